"""The wrong answers that JIT compilers of Python have given, each with the right one beside it.

The answers are written out, not asked of the plain function, so that the table says what is meant
even where Python changes.
"""

from __future__ import annotations

import math
import struct
from array import array

import pytest

import iris

HEAD = """import math
K = 2.0
LIMIT = 7
"""

NAN = math.nan
#: A NaN with a payload that a compiler might take for a mark of its own.
MARKED = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000B01))[0]

# The body of `def f(ARGUMENTS)`, the arguments, the answer: a value or an exception's type.
ROWS = [
    # Names are what they are bound to, never the first argument.
    ("x", "return x * math.pi", (2.0,), 2.0 * math.pi),
    ("x", "return x + math.nan", (2.0,), NAN),
    ("x", "return x * math.e", (2.0,), 2.0 * math.e),
    ("x", "return min(x, math.inf)", (2.0,), 2.0),
    ("x", "return x * K", (3.0,), 6.0),
    ("x", "return x + LIMIT", (3,), 10),
    ("x", "return x * unknown", (3.0,), NameError),
    # Nothing behind what a parser understands is dropped.
    ("x", "return x << 2", (3,), 12),
    ("x", "return x >> 1", (-3,), -2),
    ("x, y", "return x & y", (12, 10), 8),
    ("x, y", "return x | y", (12, 10), 14),
    ("x, y", "return x ^ y", (12, 10), 6),
    ("x", "return ~x", (5,), -6),
    ("x", "return x << -1", (3,), ValueError),
    ("x", "return x << 2", (3.0,), TypeError),
    ("x", "return (y := x + 1) * y", (3,), 16),
    ("x", "return (lambda y: y + 1)(x)", (3,), 4),
    ("x", "return f'{x}!'", (3,), "3!"),
    ("x", "return x, x + 1", (3,), (3, 4)),
    ("x", "return [x, -x]", (3,), [3, -3]),
    ("x", "return x + 2j", (3.0,), 3 + 2j),
    ("x", "return x @ x", (3.0,), TypeError),
    ("x", "return pow(base=x, exp=2)", (3,), 9),
    ("x, y", "return x // y", (7.0, 2.0), 3.0),
    ("x, y", "return x // y", (-7, 2), -4),
    ("x, y", "return x // y", (7, 2), 3),
    ("x, y", "return x % y", (-7, 2), 1),
    ("x, y", "return x % y", (-7.5, 2.0), 0.5),
    ("x, y", "return x // y", (7, 0), ZeroDivisionError),
    # A reduction may stand inside an expression.
    ("x", "return sum(i * i for i in range(10)) + x", (1,), 286),
    ("x", "return sum(i for i in range(10)) + x", (1,), 46),
    ("x", "return x - sum(i for i in range(10)) * 2", (1,), -89),
    ("x, y", "return sum(i * x for i in range(4)) + y", (2, 5), 17),
    # What depends on the loop's variable stays inside the loop.
    ("", "return sum(i * i * i for i in range(4))", (), 36),
    ("", "return sum(i * i + i * i for i in range(4))", (), 28),
    ("x", "return sum(i * i * x for i in range(4))", (2.0,), 28.0),
    # Ranges are Python's.
    ("n", "return sum(i for i in range(n))", (-5,), 0),
    ("", "return sum(i for i in range(-5))", (), 0),
    ("n", "return sum(i for i in range(n))", (6,), 15),
    ("n", "return sum(i for i in range(n))", (2.0,), TypeError),
    ("n", "return sum(i for i in range(n))", (2.5,), TypeError),
    ("n", "return sum(i for i in range(0, 10, n))", (0,), ValueError),
    ("n", "return sum(i for i in range(10, 0, n))", (-3,), 22),
    # A step of a loop reads the argument that it names.
    (
        "k, n",
        "acc = 0.0\n    for i in range(n):\n        acc += i * k\n    return acc",
        (2.0, 5),
        20.0,
    ),
    (
        "n, k",
        "acc = 1.0\n    for i in range(n):\n        acc = acc * k + i\n    return acc",
        (3, 2.0),
        12.0,
    ),
    # No algebra that floats do not obey.
    ("x", "return x - x", (NAN,), NAN),
    ("x", "return x - x", (math.inf,), NAN),
    ("x", "return x / x", (NAN,), NAN),
    ("x", "return x / x", (0.0,), ZeroDivisionError),
    ("x", "return x / x", (0,), ZeroDivisionError),
    ("x", "return x / x", (3,), 1.0),
    ("x", "return x * 0", (NAN,), NAN),
    ("x", "return x * 0", (math.inf,), NAN),
    ("x", "return x * 0", (-1.0,), -0.0),
    ("x", "return x + 0", (-0.0,), 0.0),
    ("x", "return x == x", (NAN,), False),
    ("x", "return x != x", (NAN,), True),
    ("x", "return x <= x", (NAN,), False),
    ("x", "return not x < x", (NAN,), True),
    ("x", "return x ** 0", (NAN,), 1.0),
    ("a, b, c", "return (a + b) + c", (1e16, 1.0, 1.0), 1e16),
    ("a, b, c", "return a * b + c", (1 + 2**-30, 1 - 2**-30, -1.0), 0.0),
    # Mathematics is Python's own, not a namesake's.
    ("x", "return math.gamma(x)", (5.0,), 24.0),
    ("x", "return math.lgamma(x)", (5.0,), math.lgamma(5.0)),
    ("x, y", "return math.log(x, y)", (8.0, 2.0), 3.0),
    ("x", "return math.log(x)", (-1.0,), ValueError),
    ("x", "return math.isnan(x)", (2.5,), False),
    ("x", "return math.isnan(x)", (NAN,), True),
    ("x", "return math.degrees(x)", (math.pi,), 180.0),
    ("x", "return min(x, 2, 1)", (3,), 1),
    ("x", "return max(x, 2.0)", (2,), 2),
    ("x", "return round(x)", (2.5,), 2),
    ("x", "return round(x, 1)", (2.25,), 2.2),
    ("x", "return int(x)", (-2.7,), -2),
    ("x", "return int(x)", (NAN,), ValueError),
    ("x", "return math.sqrt(x)", (-1.0,), ValueError),
    ("x", "return math.exp(x)", (1000.0,), OverflowError),
    ("x", "return f_missing(x)", (1.0,), NameError),
    # Integers have no size.
    ("x", "return x * x", (2**40,), 2**80),
    ("x", "return x + 1", (2**63 - 1,), 2**63),
    ("x", "return -x", (-(2**63),), 2**63),
    ("x, y", "return x == y", (2**53 + 1, float(2**53)), False),
    ("x, y", "return x < y", (float(2**53), 2**53 + 1), True),
    ("x", "return float(x)", (2**53 + 1,), float(2**53)),
    ("x, n", "return x ** n", (2, -1), 0.5),
    ("x, n", "return x ** n", (3, 50), 3**50),
    # A NaN in the data is data.
    ("d", "return sum(v for v in d)", (array("d", [1.0, MARKED, 2.0]),), NAN),
    (
        "d",
        "n = 0\n    for v in d:\n        n += 1\n    return n",
        (array("d", [1.0, MARKED, 2.0]),),
        3,
    ),
    ("d", "return len(d)", (array("d", [MARKED] * 4),), 4),
    ("d", "return sum(v for v in d)", (array("d"),), 0),
    ("d", "return max(v for v in d)", (array("d"),), ValueError),
]


def same(answer: object, expected: object) -> bool:
    if type(answer) is not type(expected):
        return False
    if isinstance(expected, float):
        if math.isnan(expected):
            return math.isnan(answer)
        return struct.pack("<d", answer) == struct.pack("<d", expected)
    return answer == expected


def made(tmp_path, arguments: str, body: str, **options):
    path = tmp_path / "module.py"
    path.write_text(f"{HEAD}def f({arguments}):\n    {body}\n")
    scope: dict[str, object] = {"__name__": "module"}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    return iris.offload(scope["f"], **options)


@pytest.mark.parametrize("strategy", ["jit", "actor", "auto"])
@pytest.mark.parametrize(
    ("arguments", "body", "values", "expected"),
    ROWS,
    ids=[f"{number}-{row[1].split(chr(10))[0]}" for number, row in enumerate(ROWS)],
)
def test_the_answer_is_pythons(tmp_path, strategy, arguments, body, values, expected) -> None:
    function = made(tmp_path, arguments, body, strategy=strategy)
    for _ in range(3):
        if isinstance(expected, type):
            with pytest.raises(expected):
                function(*values)
        else:
            answer = function(*values)
            assert same(answer, expected), (answer, expected)


def test_a_closure_s_cell_is_not_an_argument() -> None:
    def scaled(k):
        @iris.offload
        def f(x):
            return x * k

        return f

    double, tenfold = scaled(2.0), scaled(10)
    assert [double(3.0), tenfold(3.0), double(3)] == [6.0, 30.0, 6.0]
    assert type(tenfold(3)) is int


def test_numpy_scalars_answer_as_numpy_does() -> None:
    numpy = pytest.importorskip("numpy")

    @iris.offload
    def f(x):
        return x * x + 1

    for kind in (numpy.float64, numpy.float32, numpy.int64, numpy.int8):
        expected = f.py(kind(3))
        answer = f(kind(3))
        assert type(answer) is type(expected)
        assert answer == expected


def test_most_of_the_rows_run_natively(tmp_path) -> None:
    native = 0
    for arguments, body, values, expected in ROWS:
        function = made(tmp_path, arguments, body)
        if not isinstance(expected, type):
            function(*values)
            native += function.stats["native"] > 0
    answers = sum(not isinstance(row[3], type) for row in ROWS)
    # A table that ran as Python would prove nothing about the compiler.
    assert native > answers * 0.6, f"{native} of {answers}"
