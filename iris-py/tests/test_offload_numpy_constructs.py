"""Constructs of the language on NumPy's numbers: NumPy's rule in native code, or Python runs them."""

from __future__ import annotations

import linecache
import math
import struct
import sys
import warnings
from array import array
from typing import Any

import pytest

import iris

np = pytest.importorskip("numpy")

FLOATS = np.array([0.25, -1.5, 3.0, 2.5])
INTS = np.array([6, -4, 3, 2])
BOOLS = np.array([True, False, True, True])
GRID = np.arange(12.0).reshape(3, 4)


def define(text: str) -> Any:
    name = f"<numpy constructs {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"math": math, "__name__": "numpy_constructs"}
    exec(compile(text, name, "exec"), scope)
    return iris.offload(scope["f"])


def bits(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tolist()
    return type(value), struct.pack("<d", value) if isinstance(value, float) else repr(value)


def is_native(function: Any, *args: Any, **named: Any) -> bool:
    """Compares the answer and the warnings with the plain function's; whether it was native."""
    answers = []
    before = function.stats["native"]
    for f in (function.py, function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = bits(f(*args, **named))
            except Exception as error:
                answer = type(error), str(error)
        answers.append((answer, [(one.category, str(one.message)) for one in caught]))
    assert answers[0] == answers[1], (args, named, function.explain())
    return bool(function.stats["native"] > before)


# What is computed, whether it is native, and for which arrays.
EXPRESSIONS = [
    ("3 in a", True, [FLOATS, INTS, BOOLS]),
    ("1 not in a", True, [FLOATS, INTS, BOOLS]),
    ("2.5 in a", True, [FLOATS, INTS, BOOLS]),
    ("a[0] in a", True, [FLOATS, INTS, BOOLS]),
    ("a[1] in (1, 2.5, -4, a[3])", True, [FLOATS, INTS, BOOLS]),
    ("a[0] in range(0, 9, 3)", True, [INTS]),
    ("a[0] in range(0, 9, 3)", False, [FLOATS, BOOLS]),
    ("a[0] is None", True, [FLOATS, INTS, BOOLS]),
    ("a[0] is True or a[0] is not False", True, [FLOATS, INTS, BOOLS]),
    ("a[0] is a[2]", False, [BOOLS]),
    ("a[0] == None", False, [FLOATS, INTS, BOOLS]),
    ("(a[0], a[1], a[2])[len(a) - 2]", True, [FLOATS, INTS, BOOLS]),
    ("(1, a[0])[len(a) - 3]", False, [INTS]),
    ("sum((a[0], a[1], 1))", True, [FLOATS, INTS]),
    ("max((a[0], a[2]))", True, [FLOATS, INTS, BOOLS]),
    ("max(a, default=a[0])", True, [FLOATS, INTS, BOOLS]),
    ("min(a, default=7)", True, [FLOATS, INTS, BOOLS]),
    ("min(a, default=None)", True, [FLOATS, INTS, BOOLS]),
    ("max((x for x in a if x > 99), default=a[0])", True, [FLOATS, INTS]),
    ("max((x for x in a if x > 99), default=7)", False, [FLOATS, INTS]),
    ("max((x for x in a if x > 99), default=None)", False, [FLOATS, INTS]),
    ("math.prod(a)", False, [FLOATS, INTS, BOOLS]),
    ("math.prod((2, 3), start=a[0])", False, [FLOATS, INTS, BOOLS]),
    ("math.prod(float(x) for x in a)", True, [FLOATS, INTS, BOOLS]),
    ("round(a[3])", True, [FLOATS, INTS]),
    ("round(a[3], None)", True, [FLOATS, INTS]),
    ("round(a[0], 1)", False, [FLOATS, INTS, BOOLS]),
    ("round(0.25, a[3])", False, [FLOATS, INTS, BOOLS]),
    ("a[2].is_integer()", False, [FLOATS, INTS]),
    ("a[2].bit_length()", False, [INTS]),
    ("a[2].conjugate()", False, [FLOATS, INTS]),
    ("float(a[2]).is_integer()", True, [FLOATS, INTS, BOOLS]),
    ("math.hypot(a[0], a[1])", sys.version_info >= (3, 10), [FLOATS, INTS, BOOLS]),
    ("math.dist((a[0], 1.0), (0, a[1]))", sys.version_info >= (3, 10), [FLOATS, INTS, BOOLS]),
    ("math.isclose(a[0], a[1], rel_tol=a[2])", True, [FLOATS, INTS, BOOLS]),
    ("math.modf(a[0]), math.frexp(a[1])", True, [FLOATS, INTS, BOOLS]),
    ("math.ulp(a[0]), math.nextafter(a[0], a[1])", True, [FLOATS, INTS, BOOLS]),
    ("math.remainder(a[0], a[2]), math.ldexp(a[1], 3)", True, [FLOATS, INTS, BOOLS]),
    ("math.ldexp(0.5, a[1])", False, [FLOATS, INTS, BOOLS]),
    ("math.gcd(a[0], 4)", False, [FLOATS, INTS, BOOLS]),
    ("math.isqrt(a[0])", False, [FLOATS, INTS, BOOLS]),
    ("math.comb(a[0], 2)", False, [FLOATS, INTS, BOOLS]),
    ("pow(base=a[1], exp=2)", True, [FLOATS, INTS]),
    ("a.shape, a.shape[0], a.ndim, a.nbytes", True, [FLOATS, INTS, BOOLS, FLOATS[::2], GRID]),
    ("len(a[0:1])", False, [FLOATS]),
]


@pytest.mark.parametrize(("text", "native", "arrays"), EXPRESSIONS, ids=lambda x: str(x)[:50])
def test_an_expression(text: str, native: bool, arrays: list[Any]) -> None:
    f = define(f"def f(a):\n    return {text}\n")
    for numbers in arrays:
        assert is_native(f, numbers) == native, (numbers, f.explain())


def test_membership_asks_for_values_that_are_no_objects() -> None:
    f = define("def f(a, x):\n    return x in a, x in (a[0], 1)\n")
    holes = np.array([math.nan, 2.0, 2.0**53])
    assert is_native(f, holes, 2)
    # NaN is in a tuple that has the very object, and 2**53 + 1 is rounded by NumPy.
    assert not is_native(f, holes, math.nan)
    assert not is_native(f, holes, 2**53 + 1)
    assert not is_native(f, np.array([2**53 + 1, 5]), 2.0**53)
    assert not is_native(f, GRID, 5.0)
    assert not is_native(f, np.array([1, 2], "u1"), 2)


def test_backwards_and_rows_keep_numpys_numbers() -> None:
    f = define(
        "def f(a):\n    t = 0\n    for x in reversed(a):\n        t = t * 2 + x\n"
        "    for i, x in enumerate([a[0], a[1]], 1):\n        t = t + x * i\n    return t, x\n"
    )
    assert is_native(f, array("d", FLOATS)) and is_native(f, array("q", INTS))
    g = define(
        "def f(a):\n    t = a[0]\n    for x in reversed(a):\n        t = t * 2 + x\n    return t, x\n"
    )
    for numbers in (FLOATS, INTS, FLOATS[::-2], INTS[1:]):
        assert is_native(g, numbers)
    assert not is_native(g, np.array([1e308, 1.0]))
    assert not is_native(g, GRID)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="match is from Python 3.10 on")
def test_a_match_compares_as_numpy_does() -> None:
    f = define(
        "def f(a, i):\n    match a[i]:\n        case 3 | 0.25:\n            return 1\n"
        "        case None | True:\n            return 2\n        case x if x > 2:\n"
        "            return x\n        case _:\n            return a[i]\n"
    )
    for numbers in (FLOATS, INTS):
        for index in range(4):
            assert is_native(f, numbers, index)
    assert is_native(f, BOOLS, 0)


def test_arrays_by_name_only_and_none_beside_them() -> None:
    f = define(
        "def f(a, *, b=None, by=2.0):\n    if b is None:\n        return sum(x * by for x in a)\n"
        "    return sum(x * y for x, y in zip(a, b)) + by\n"
    )
    for _ in range(2):
        assert (
            is_native(f, FLOATS) and is_native(f, FLOATS, b=INTS) and is_native(f, FLOATS, by=0.5)
        )
        assert is_native(f, FLOATS, b=None) and is_native(f, a=INTS, b=FLOATS, by=1.0)
    assert not is_native(f, FLOATS, INTS)
    assert not is_native(f, np.array([1e308]), by=10.0)


def test_a_map_of_two_dimensions_with_none_and_names() -> None:
    f = define(
        "def f(x, low=None, *, by=2.0):\n    if low is not None and x < low:\n        return 0.0\n"
        "    return x * by\n"
    )
    for grid in (GRID, GRID.T, GRID[::2]):
        for made, low, by in (
            (f(grid), None, 2.0),
            (f(grid, 5.0), 5.0, 2.0),
            (f(grid, by=0.5), None, 0.5),
            (f(by=3.0, x=grid, low=None), None, 3.0),
        ):
            expected = [[f.py(x, low, by=by) for x in row] for row in grid.tolist()]
            assert made.shape == grid.shape and made.tolist() == expected
        assert f(grid, by=grid).tolist() == (grid * grid).tolist()
    assert f.stats["python"] == 0
    out = np.zeros((3, 4))
    assert f(GRID, None, out=out) is out and out.tolist() == (GRID * 2.0).tolist()
    assert bits(f(GRID[0], None)) == bits(GRID[0] * 2.0)
    assert f(FLOATS.tolist()[0], None) == 0.5


def test_variants_of_a_map_with_none_are_those_of_its_none() -> None:
    f = define(
        "def f(x, low=None, high=None):\n    if low is None:\n        return x * 3.0 + 1.0\n"
        "    return x * 2.0 + low\n"
    )
    numbers = np.linspace(-2.0, 2.0, 50_000)
    assert iris.jit.set_quantum_speculation(True)
    try:
        for _ in range(40):
            assert (f(numbers) == numbers * 3.0 + 1.0).all()
            assert (f(numbers, 0.5) == numbers * 2.0 + 0.5).all()
            assert (f(numbers, high=0.5) == numbers * 3.0 + 1.0).all()
    finally:
        iris.jit.set_quantum_speculation(None)
    assert f.explain().count("variants") == 3
    assert f.stats["python"] == 0
