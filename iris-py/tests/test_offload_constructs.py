"""Constructs one by one, at their edges: native where that gives Python's answer, and else as Python."""

from __future__ import annotations

import itertools
import linecache
import math
import random
import struct
import sys
from array import array
from typing import Any

import pytest

import iris

INTS = [0, 1, -1, 2, 3, 5, -7, 25, 20, 21, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 2.675, 1e-310, 5e-324, 2**52 + 0.5, 1e22, 1.7e308,
          math.inf, -math.inf, math.nan, 171.5, -170.5, 23.0, 0.125]  # fmt: skip
NUMBERS = [*INTS, *FLOATS, True, False]
GRID = memoryview(array("d", range(6))).cast("B").cast("d", (2, 3))
TABLE = (1.5, -2.0, 4.0)
MIXED = (1, 2.0, None)
NOTHING = None


def define(text: str) -> Any:
    """The offloaded `f` of a text."""
    name = f"<constructs {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, object] = {
        "math": math, "TABLE": TABLE, "MIXED": MIXED, "NOTHING": NOTHING, "__name__": "constructs"
    }  # fmt: skip
    exec(compile(text, name, "exec"), scope)
    return iris.offload(scope["f"])


def outcome(function: Any, *args: object, **named: object) -> object:
    try:
        result = function(*args, **named)
    except Exception as error:
        return type(error), str(error)
    return bits(result)


def bits(value: object) -> object:
    if type(value) is float:
        return "nan" if value != value else struct.pack("<d", value)
    if type(value) is tuple:
        return tuple(map(bits, value))
    return type(value), value


def check(function: Any, *args: object, **named: object) -> None:
    found, expected = outcome(function, *args, **named), outcome(function.py, *args, **named)
    assert found == expected, (args, named, function.explain())


def is_native(function: Any, *args: object, **named: object) -> None:
    before = function.stats["native"]
    check(function, *args, **named)
    assert function.stats["native"] == before + 1, (args, named, function.explain())


# What is computed, with arguments for which it must not run as Python.
OF_ONE = {
    "math.cbrt(x)": 2.0, "math.exp2(x)": 2.5, "math.gamma(x)": 2.5, "math.lgamma(x)": 2.5,
    "math.ulp(x)": 2.5, "math.frexp(x)": 2.5, "math.modf(x)": -2.5, "math.isqrt(x)": 26,
    "math.factorial(x)": 6, "math.perm(x)": 6, "math.gcd(x)": -6, "math.lcm(x)": -6,
    "math.gcd()": 1, "math.lcm()": 1, "round(x, 2)": 2.675, "round(x, -1)": 25, "round(x, 0)": 2.5,
    "round(x, 25)": 1e-25, "round(x, None)": 2.5, "round(number=x, ndigits=1)": 0.25,
    "x.bit_length()": 5, "x.is_integer()": 2.0, "x.conjugate()": 2, "x is None": 2, "x is not None": 2,
    "x is True": True, "x == None": 1, "x != None": 1, "NOTHING == None": 1, "x is False": 2.0, "x in (1, 2.5, True)": 2, "x not in [1, 2.5]": 2.5,
    "x in {1, 2.5}": 1, "x in ()": 1, "x in (None, 1)": 1, "x in range(5)": 3, "x in range(9, -9, -4)": 5,
    "x in range(-3, 9, 3)": 3.0, "len(range(3, x, 4))": 9, "len(range(x, 0, -3))": 9, "len([x, x])": 1,
    "sum((x, x * 2))": 1.5, "sum([x, 0.5], 1.0)": 1.5, "sum((x, 1), start=2)": 1, "max((x, 2.0, -1.5))": 1.0,
    "min([x, 2])": 1, "any((x, 0))": 0, "all([x, 1.0])": 1.5, "math.prod((x, x))": 1.5,
    "math.prod([x, 3], start=2)": 5, "math.prod(())": 1, "sum(a * x for a in (1, 2, 3))": 5,
    "sum(a * b for a, b in zip((1.0, 2.0), (x, 3.0)))": 0.5, "max((), default=x)": 3,
    "max((a for a in range(x)), default=-1)": 3, "sum(reversed((x, 1)))": 2,
    "TABLE[x]": 1, "TABLE[-1] * x": 1, "len(TABLE) + x": 1, "sum(TABLE) + x": 1.0, "MIXED[1] + x": 1.0,
    "MIXED[2] is None": 1, "NOTHING is None": 1, "x if NOTHING is None else 0": 2, "not NOTHING": 1,
    "NOTHING or x": 1.5, "x in TABLE": 4.0, "pow(base=x, exp=2)": 3, "math.ldexp(x, 3)": 1.5,
    "math.comb(x, 3)": 10, "math.perm(x, 3)": 10, "(x, 2)[0]": 1, "(x if x else 0) in (0, 5)": 5,
    "math.isclose(x, 2.5, rel_tol=0.1)": 2.4, "math.isclose(x, 0, abs_tol=1)": 0.5,
    "math.dist((x, 1), (0.5, 2))": 4.0, "sum(i for i in reversed(range(x)))": 5,
    "sum(a * i for i, a in enumerate([x, 2.5, 3.5], 1))": 1.5,
}  # fmt: skip
YOUNG = {"math.cbrt(x)": (3, 11), "math.exp2(x)": (3, 11), "math.dist((x, 1), (0.5, 2))": (3, 10)}


@pytest.mark.parametrize("text", OF_ONE)
def test_an_expression_of_one_number(text: str) -> None:
    f = define(f"def f(x):\n    return {text}\n")
    slow = any(name in text for name in ("range(x", "factorial", "perm"))
    for x in NUMBERS:
        # Python would count or multiply for years.
        if not slow or -400 < x < 400:
            check(f, x)
    if sys.version_info >= YOUNG.get(text, (3, 9)):
        is_native(f, OF_ONE[text])


OF_TWO = {
    "math.gcd(x, y)": (12, 18), "math.lcm(x, y)": (12, 18), "math.gcd(x, y, 6)": (12, 18),
    "math.comb(x, y)": (10, 4), "math.perm(x, y)": (10, 4), "math.ldexp(x, y)": (1.5, -3),
    "math.remainder(x, y)": (5.0, 3), "math.nextafter(x, y)": (5.0, 3), "math.isclose(x, y)": (1.0, 1.0),
    "math.isclose(x, y, rel_tol=1e-3, abs_tol=0.5)": (1.0, 1.2), "math.isclose(1, x, rel_tol=y)": (1.5, 0.9),
    "math.hypot(x, y)": (3.0, 4), "round(x, y)": (2.675, 2), "x in (y, 1)": (3, 3.0),
    "x in range(0, y, 3)": (6, 9), "len(range(x, y))": (2, 9), "max((x, y))": (1.5, 2.5),
    "min([x, y])": (3, 2), "math.prod((x, y))": (3, 2), "x is y": (True, True),
    "sum(i * 2 for i in reversed(range(x, y)))": (2, 7), "math.copysign(x, y) in (1.0, -1.0)": (1, -2.0),
}  # fmt: skip


@pytest.mark.parametrize("text", OF_TWO)
def test_an_expression_of_two_numbers(text: str) -> None:
    f = define(f"def f(x, y):\n    return {text}\n")
    huge = ("round", "range", "sum", "comb", "perm")
    for x, y in itertools.product(NUMBERS, NUMBERS):
        if any(name in text for name in huge) and not -400 < y < 400:
            continue
        if "range" in text and not -400 < x < 400:
            continue
        check(f, x, y)
    if text != "math.hypot(x, y)" or sys.version_info >= (3, 10):
        is_native(f, *OF_TWO[text])


def random_float(rng: random.Random) -> float:
    if rng.random() < 0.5:
        return struct.unpack("<d", rng.randbytes(8))[0]
    return rng.uniform(-200, 200) if rng.random() < 0.5 else rng.randrange(-2000, 2000) / 8


@pytest.mark.parametrize(
    "text",
    ["math.gamma(x)", "math.lgamma(x)", "math.cbrt(x)", "math.exp2(x)", "math.ulp(x)", "math.frexp(x)",
     "math.modf(x)", "math.hypot(x, y)", "math.remainder(x, y)", "math.nextafter(x, y)",
     "math.isclose(x, y, rel_tol=0.1)", "round(x, 2)", "round(x, 1)", "round(x, 12)", "round(x, -2)",
     "math.ldexp(x, int(y) % 2200 - 1100) if y == y and abs(y) < 1e300 else 0.0"],
)  # fmt: skip
def test_random_floats_give_the_same_bits(text: str) -> None:
    f = define(f"def f(x, y):\n    return {text}\n")
    rng = random.Random(7)
    for _ in range(4000):
        check(f, random_float(rng), random_float(rng))


def test_rounding_at_ties_and_beside_them() -> None:
    f = define("def f(x, n):\n    return round(x, n)\n")
    rng = random.Random(11)
    for _ in range(4000):
        digits = rng.randrange(-4, 8)
        tie = (rng.randrange(10**9) + 0.5) * 10.0**-digits
        for x in (tie, math.nextafter(tie, 0), math.nextafter(tie, math.inf), -tie):
            check(f, x, digits)
        # Exact ties: halves of powers of two.
        check(f, rng.randrange(2**46) + 0.125, 2)
        check(f, rng.randrange(2**40) / 2**9, rng.randrange(9))
        check(f, rng.randrange(-(2**63), 2**63), -rng.randrange(21))
    assert f.stats["native"] > 20000


def test_keyword_only_parameters() -> None:
    f = define("def f(x, y=2, *, k=3.0, m):\n    return x * y + k - m\n")
    is_native(f, 1, m=1.5)
    is_native(f, 1, 4, m=1.5, k=0.5)
    is_native(f, m=1, k=2, y=3, x=4)
    check(f, 1)
    check(f, 1, 2, 3, m=4)
    check(f, 1, m=4, z=5)
    f.py.__kwdefaults__["k"] = 10.0
    is_native(f, 1, m=1.5)
    assert f(1, m=0) == 12.0
    del f.py.__kwdefaults__["k"]
    check(f, 1, m=1.5)


def test_keyword_only_parameters_of_maps_and_helpers() -> None:
    f = define("def f(x, *, by=2.0):\n    return x * by\n")
    xs = array("d", [1.0, 2.5])
    assert f(xs) == array("d", [2.0, 5.0])
    assert f(xs, by=3.0) == array("d", [3.0, 7.5])
    whole = define("def f(x, *, by=2):\n    return x * by\n")
    # Beyond 64 bits Python computes it, element by element.
    with pytest.raises(OverflowError):
        whole(array("q", [1, 2**62]), by=2)
    text = "def g(a, *, k=2, m=None):\n    return a * k if m is None else m\n"
    f = define(text + "def f(x):\n    return g(x), g(x, k=3), g(k=x, a=2), g(x, m=1.5)\n")
    is_native(f, 5)
    g = f.py.__globals__["g"]
    g.__kwdefaults__["k"] = 7
    check(f, 5)
    assert f(5)[0] == 35
    g.__kwdefaults__ = {"k": 1, "m": 2}
    check(f, 5)


def test_calls_that_leave_out_an_argument_before_others() -> None:
    f = define("def f(x, y=2, z=3):\n    return x, y, z\n")
    is_native(f, 1, z=5)
    is_native(f, z=5.0, x=1)
    check(f, z=5)


def test_none_as_an_argument() -> None:
    f = define("def f(x, k=None, m=None):\n    return (x if k is None else k) + (m or 0)\n")
    is_native(f, 1)
    is_native(f, 1.5, 2.5)
    is_native(f, 1, None, 4)
    is_native(f, 1, m=4)
    is_native(f, 1, m=None, k=2)
    check(f, None)
    assert "with k = None" in f.explain()
    xs = array("d", [1.0, 2.0])
    weighted = define(
        "def f(xs, w=None):\n    total = 0.0\n    for i in range(len(xs)):\n"
        "        total += xs[i] if w is None else xs[i] * w[i]\n    return total\n"
    )
    is_native(weighted, xs)
    is_native(weighted, xs, xs)
    mapped = define("def f(k, x):\n    return x if k is None else x * k\n")
    assert mapped(None, xs) == xs
    assert mapped(2.0, xs) == array("d", [2.0, 4.0])
    falling = define("def f(n, k=None):\n    return 0 if n <= 0 else f(n - 1) + 1\n")
    check(falling, 5)
    with pytest.raises(TypeError):
        define("def f(k):\n    return k + 1\n")(None)


def test_recursion_by_names() -> None:
    f = define("def f(n, *, by):\n    return 0 if n <= 0 else f(n - by, by=by) + 1\n")
    is_native(f, 9, by=2)
    check(f, 9, by=0)


SEQUENCES = [
    array("d", [1.0, 2.5, -3.0]), array("d"), array("q", [3, -1, 2**53 + 1]), array("b", [1, 2]),
    array("B", [1, 2, 255]), bytes([1, 2, 3]), bytearray(b"ab"), [1.0, math.nan, 2.5], (1, 2, 3), [True, False],
    memoryview(array("i", [5, 6])), array("f", [0.1, 2.5]),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["x in xs", "x not in xs", "sum(v * 2 for v in reversed(xs))", "min(xs, default=x)", "max(xs, default=None)",
     "math.prod(xs)", "any(v == x for v in reversed(xs))", "sum((xs[0], x))"],
)  # fmt: skip
def test_an_expression_of_a_container(text: str) -> None:
    f = define(f"def f(xs, x):\n    return {text}\n")
    nan = SEQUENCES[7][1]
    for xs, x in itertools.product(SEQUENCES, [*NUMBERS, nan, 255, 256, 0.1]):
        check(f, xs, x)
    assert f.stats["native"] > 20


def test_loops_over_what_is_written_down() -> None:
    f = define(
        "def f(x, n):\n    total, rounds = 0, 0\n    for k in (1, x, 2.5, n):\n        if k == n:\n"
        "            break\n        if k == 2:\n            continue\n        total += k\n        rounds += 1\n"
        "    else:\n        return -1\n    for i, k in enumerate([x, 3, n]):\n        total = total * 2 + i * k\n"
        "    for k in reversed(range(n)):\n        total -= k\n    for k in reversed(()):\n        total = 0\n"
        "    return total, rounds, k\n"
    )
    for x, n in itertools.product([1, 2, 3.5, True], [0, 1, 4, 5]):
        check(f, x, n)
    is_native(f, 3.5, 4)
    backwards = define(
        "def f(xs):\n    total = 0.0\n    for x in reversed(xs):\n        total = total / 2 + x\n    return total\n"
    )
    for xs in SEQUENCES:
        check(backwards, xs)
    is_native(backwards, SEQUENCES[0])
    steps = define(
        "def f(a, b, c):\n    total = 0\n    for i in reversed(range(a, b, c)):\n        total = total * 3 + i\n"
        "    return total, len(range(a, b, c))\n"
    )
    for args in itertools.product(range(-3, 4), range(-3, 4), range(-3, 4)):
        check(steps, *args)
    is_native(steps, 1, 9, 3)


def test_shapes_of_two_dimensions() -> None:
    f = define(
        "def f(m):\n    rows, columns = m.shape\n    total = 0.0\n    for i in range(m.shape[0]):\n"
        "        for j in range(columns):\n            total += m[i, j]\n"
        "    return total, rows, m.ndim, m.nbytes\n"
    )
    is_native(f, GRID)
    check(f, array("d", [1.0]))
    check(f, memoryview(array("d", [1.0])))


def test_del_unbinds() -> None:
    f = define(
        "def f(x):\n    y = x * 2\n    z = y\n    del y\n    if x > 5:\n        return y\n"
        "    if x < 0:\n        del z\n    return z\n"
    )
    is_native(f, 3)
    check(f, 6)
    check(f, -1)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="match is from Python 3.10 on")
def test_match_of_scalars() -> None:
    f = define(
        "def f(x, y):\n    match x:\n        case 0 | 5:\n            return y\n"
        "        case -2.5 if y > 3:\n            return 1\n        case True:\n            return 2\n"
        "        case None:\n            return 3\n        case math.inf:\n            return 4\n"
        "        case other if other > 20:\n            return other * 2\n        case 25 as seven:\n"
        "            return seven + y\n        case _:\n            pass\n    return -1\n"
    )  # fmt: skip
    for x, y in itertools.product([*NUMBERS, None], [1, 4.5]):
        check(f, x, y)
    for x in (5, -2.5, True, None, math.inf, 62, 3):
        is_native(f, x, 4)


def test_global_tuples_are_constants_until_bound_again() -> None:
    f = define("def f(i):\n    return TABLE[i] + sum(TABLE)\n")
    for i in range(-4, 5):
        check(f, i)
    is_native(f, True)
    f.py.__globals__["TABLE"] = (1.0,)
    check(f, 0)
    assert f(0) == 2.0


def test_bit_counts_where_python_has_them() -> None:
    f = define("def f(x):\n    return x.bit_count()\n")
    for x in INTS:
        check(f, x)
    if sys.version_info >= (3, 10):
        is_native(f, -7)
    whole = define("def f(x):\n    return x.is_integer()\n")
    for x in NUMBERS:
        check(whole, x)
