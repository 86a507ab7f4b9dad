"""``fastmath=True``: other last bits, and nothing else."""

from __future__ import annotations

import math
from array import array

import pytest

import iris


def total(xs):
    return sum(x for x in xs)


def positive(xs):
    return sum(x * 0.5 for x in xs if x > 0)


def powers(x):
    return x**0.5, x**-1, x**2, x**3, x**-2, x**7, x**-0.5, x**16


fast_total = iris.offload(fastmath=True)(total)
fast_positive = iris.offload(fastmath=True)(positive)
fast_powers = iris.offload(fastmath=True)(powers)

CANCELLING = array("d", [1.0, 2.0**53, 1.0, -(2.0**53)])


def test_a_sum_is_added_in_another_order() -> None:
    # In Python's order it is 0 up to 3.11, and 2 when compensated.
    assert fast_total(CANCELLING) == 1.0
    assert fast_total.stats["native"] == 1
    assert "fast math" in fast_total.explain()


def test_without_it_a_sum_is_python_s() -> None:
    strict = iris.offload(total)
    assert strict(CANCELLING) == total(CANCELLING)
    assert strict.stats["native"] == 1
    assert "fast math" not in strict.explain()


@pytest.mark.parametrize("length", range(12))
def test_every_element_is_added_once(length: int) -> None:
    xs = array("d", [2.0**n for n in range(length)])
    assert fast_total(xs) == total(xs)
    assert type(fast_total(xs)) is type(total(xs))
    assert fast_positive(xs) == positive(xs)


def test_sums_have_the_same_bits_in_each_call_and_are_near() -> None:
    xs = array("d", (math.sin(n) for n in range(100_001)))
    assert {fast_positive(xs) for _ in range(5)} == {fast_positive(xs)}
    assert math.isclose(fast_positive(xs), math.fsum(x * 0.5 for x in xs if x > 0), rel_tol=1e-13)


def test_overflow_is_an_infinity_as_in_python() -> None:
    xs = array("d", [1e308] * 8)
    assert fast_total(xs) == math.inf


@pytest.mark.parametrize("x", [2.0, 0.1, 1e-30, 1e18, 3.7, 5e-324, 1.0])
def test_powers_are_near(x: float) -> None:
    try:
        wanted = powers(x)
    except OverflowError:
        with pytest.raises(OverflowError):
            fast_powers(x)
        return
    for result, value in zip(fast_powers(x), wanted):
        assert math.isclose(result, value, rel_tol=1e-14, abs_tol=1e-300), (result, value)


@pytest.mark.parametrize("x", [0.0, -0.0, -2.0, math.inf, -math.inf, 1e40, -1e-200, 1e-200, 3, -3])
@pytest.mark.parametrize("exponent", ["0.5", "-0.5", "-1", "-1.0", "2.0", "3.0", "-3.0", "16.0"])
def test_exceptions_signs_and_complex_numbers_stay_python_s(
    tmp_path, x: float, exponent: str
) -> None:
    path = tmp_path / "raised.py"
    path.write_text(f"def raised(x):\n    return x ** {exponent}\n")
    namespace: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    plain = namespace["raised"]
    fast = iris.offload(fastmath=True)(plain)
    try:
        wanted = plain(x)
    except (ZeroDivisionError, OverflowError) as error:
        with pytest.raises(type(error)):
            fast(x)
    else:
        result = fast(x)
        assert type(result) is type(wanted)
        if isinstance(wanted, complex):
            assert result == wanted
        else:
            assert math.isclose(result, wanted, rel_tol=1e-14)
            assert math.copysign(1.0, result) == math.copysign(1.0, wanted)


def test_fastmath_is_a_switch() -> None:
    with pytest.raises(TypeError, match="fastmath must be True or False, not 1"):
        iris.offload(fastmath=1)
