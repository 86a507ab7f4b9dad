"""Each construct, data type, switch and rule that the description of the offload promises: it runs
natively, and gives what Python gives."""

from __future__ import annotations

import itertools
import linecache
import math
import struct
import types
from array import array
from typing import Any

import pytest

import iris
from iris import jit

COUNT = itertools.count()

REALS = array("d", [1.5, -2.0, 0.0, 3.25, 1e300])
WITH_NAN = array("d", [1.0, math.nan, 2.0])
INTS = array("q", [3, -1, 4, 1, -5])


def define(body: str, params: str, **options: Any) -> Any:
    """An offloaded function that returns ``body``."""
    name = f"<description {next(COUNT)}>"
    text = f"def f({params}):\n    return {body}\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"math": math}
    exec(compile(text, name, "exec"), scope)
    return iris.offload(**options)(scope["f"])


def bits(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, array):
        return value.typecode, value.tobytes()
    return value


CONSTRUCTS: list[tuple[str, str, tuple[Any, ...], Any]] = [
    # Arithmetic, unary signs, constants.
    ("x + y - x * y / 3", "x, y", (2.0, 5), 2.0 + 5 - 2.0 * 5 / 3),
    ("x % y", "x, y", (-7, 3), 2),
    ("x % y", "x, y", (-7.5, 2.0), 0.5),
    ("x ** y", "x, y", (2.0, 0.5), 2.0**0.5),
    ("x ** y", "x, y", (3, 4), 81),
    ("+x, -x", "x", (4,), (4, -4)),
    ("pi * x + e", "x", (2.0,), math.pi * 2.0 + math.e),
    # Logic.
    ("x and y or not x", "x, y", (True, False), False),
    ("True if x else False", "x", (0.0,), False),
    # Comparisons, chained too.
    (
        "x < y, x > y, x <= y, x >= y, x == y, x != y",
        "x, y",
        (1, 2.0),
        (True, False, True, False, False, True),
    ),
    ("a < b < c", "a, b, c", (1, 2, 3), True),
    ("a < b > c != a", "a, b, c", (1, 5, 3), True),
    # Conditionals.
    ("x if x > y else y", "x, y", (1.0, 2.0), 2.0),
    ("if_else(x > 0, sqrt(x), -x)", "x", (4.0,), 2.0),
    ("if_else(x > 0, sqrt(x), -x)", "x", (-4.0,), 4.0),
    # Generator reductions over ranges.
    ("sum(i * i for i in range(n))", "n", (10,), 285),
    ("sum(i for i in range(1, n, 3) if i % 2 == 0)", "n", (20,), 4 + 10 + 16),
    ("any(i * i == n for i in range(n))", "n", (49,), True),
    ("all(n % i != 0 for i in range(2, n))", "n", (97,), True),
    # While reductions.
    ("sum_while(i, 0, i < n, i + 1, i * 0.5)", "n", (5,), 5.0),
    ("any_while(i, 2, i * i <= n, i + 1, n % i == 0)", "n", (91,), True),
    ("all_while(i, 2, i * i <= n, i + 1, n % i != 0)", "n", (97,), True),
    # Generators over runtime containers.
    ("sum(x_i * 2 for x_i in x)", "x", (INTS,), 4),
    ("sum(x_i for x_i in x if x_i > 0)", "x", (REALS,), 1.5 + 3.25 + 1e300),
    ("any(x_i > 3 for x_i in x)", "x", (INTS,), True),
    ("all(x_i > 3 for x_i in x if x_i > 0)", "x", (REALS,), False),
    # Loop control in generators.
    ("sum(break_if(i > 3, i) for i in range(n))", "n", (10,), 6),
    ("sum(break_when(i > 3, i) for i in range(n))", "n", (10,), 6),
    ("sum(break_unless(i <= 3, i) for i in range(n))", "n", (10,), 6),
    ("sum(continue_if(i % 2, i) for i in range(n))", "n", (10,), 20),
    ("sum(continue_when(i % 2, i) for i in range(n))", "n", (10,), 20),
    ("sum(continue_unless(i % 2, i) for i in range(n))", "n", (10,), 25),
    ("sum(break_on_nan(v) for v in x)", "x", (WITH_NAN,), 1.0),
    ("sum(continue_on_nan(v) for v in x)", "x", (WITH_NAN,), 3.0),
    ("any(break_if(i > 3, i == 5) for i in range(n))", "n", (10,), False),
    ("all(continue_if(i == 2, i != 2) for i in range(n))", "n", (10,), True),
    # Inlined builtins and shortcuts of powers.
    ("min(x, y), max(x, y)", "x, y", (2.0, 1.0), (1.0, 2.0)),
    ("x ** 0.5, x ** -1", "x", (6.25,), (2.5, 0.16)),
    # Closed forms.
    ("sum(2 * i + 1 for i in range(n))", "n", (1000,), 1000 * 1000),
    ("sum(i * i for i in range(100))", "n", (0,), 328350),
]


def python_of(name: str, x: float) -> float:
    return getattr(math, name)(x)


@pytest.mark.parametrize(
    ("body", "params", "args", "wanted"), CONSTRUCTS, ids=lambda value: str(value)[:50]
)
@pytest.mark.parametrize("strategy", ["auto", "jit", "actor"])
def test_a_construct_runs_natively(
    strategy: str, body: str, params: str, args: tuple[Any, ...], wanted: Any
) -> None:
    function = define(body, params, strategy=strategy)
    for _ in range(2):
        result = function(*args)
        assert type(result) is type(wanted)
        assert bits(result) == bits(wanted)
    assert function.stats == {"native": 2, "python": 0}, function.explain()
    # The plain function, with the names of iris.jit, says the same.
    assert bits(function.py(*args)) == bits(wanted)


@pytest.mark.parametrize("prefix", ["", "math."])
@pytest.mark.parametrize(
    "name", ["sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt"]
)
def test_a_call_of_math_runs_natively(prefix: str, name: str) -> None:
    function = define(f"{prefix}{name}(x)", "x")
    for x in (0.75, 2, True, 1e-300):
        assert bits(function(x)) == bits(python_of(name, x))
    assert function.stats == {"native": 4, "python": 0}


@pytest.mark.parametrize("name", ["math.pow", "pow"])
def test_pow_and_abs_run_natively(name: str) -> None:
    function = define(f"{name}(abs(x), 1.5)", "x")
    assert bits(function(-2.5)) == bits(2.5**1.5)
    assert function.stats == {"native": 1, "python": 0}


CODES = {
    "d": [0.5, -1.5, 1e308],
    "f": [0.5, -1.5, 2.0],
    "b": [-128, 127],
    "B": [0, 255],
    "h": [-32768, 32767],
    "H": [0, 65535],
    "i": [-(2**31), 2**31 - 1],
    "I": [0, 2**32 - 1],
    "l": [-(2**31), 2**31 - 1],
    "L": [0, 2**32 - 1],
    "q": [-(2**62), 2**62],
    "Q": [0, 2**62],
}


@pytest.mark.parametrize("code", CODES)
def test_a_buffer_of_each_type_is_read(code: str) -> None:
    values = array(code, CODES[code])
    total = define("sum(v * 0.5 for v in x)", "x")
    doubled = define("x * 0.5 + k", "x, k")
    assert bits(total(values)) == bits(sum(v * 0.5 for v in values))
    assert doubled(values, 1.0) == array("d", [v * 0.5 + 1.0 for v in values])
    assert total.stats == doubled.stats == {"native": 1, "python": 0}


def test_a_buffer_of_bools_is_read() -> None:
    values = memoryview(bytes([1, 0, 1])).cast("?")
    count = define("sum(1 for v in x if v)", "x")
    flipped = define("not x", "x")
    assert count(values) == 2
    assert list(flipped(values)) == [0, 1, 0]
    assert count.stats == flipped.stats == {"native": 1, "python": 0}


def test_scalars_of_each_type_are_taken() -> None:
    function = define("x * 2", "x")
    for x in (1.5, 3, True):
        result = function(x)
        assert result == x * 2
        assert type(result) is type(x * 2)
    assert function.stats == {"native": 3, "python": 0}


def test_buffers_of_one_length_go_together() -> None:
    function = define("x * w + b", "x, w, b")
    xs, ws = array("d", [1.0, 2.0]), array("i", [3, 4])
    assert function(xs, ws, 0.5) == array("d", [3.5, 8.5])
    assert function.stats == {"native": 1, "python": 0}
    with pytest.raises(TypeError):
        function(xs, array("d", [1.0]), 0.5)


def test_a_call_of_another_shape_is_compiled_anew_and_earlier_ones_stay() -> None:
    function = define("x * 2.0", "x")
    shapes = [1.5, 2, array("d", [1.0]), array("f", [1.0]), True]
    for _ in range(3):
        for x in shapes:
            function(x)
    assert function.stats == {"native": 15, "python": 0}
    with pytest.raises(TypeError):
        function("text")
    assert function(1.5) == 3.0


def test_sequences_of_a_reduction_are_safe() -> None:
    function = define("sum(v * 2 for v in x)", "x")
    assert function([1, 2, 3]) == 12
    assert function((1.5, 2.5)) == 8.0
    assert function(iter([1, 2])) == 6
    assert function({5}) == 10
    assert function.stats == {"native": 2, "python": 2}


def test_any_and_all_end_early() -> None:
    # Python would divide by zero at the second element.
    some = define("any(1 / v > 0.5 for v in x)", "x")
    every = define("all(1 / v > 2 for v in x)", "x")
    values = array("d", [1.0, 0.0])
    assert some(values) is True
    assert every(values) is False
    assert some.stats == every.stats == {"native": 1, "python": 0}
    with pytest.raises(ZeroDivisionError):
        some(array("d", [0.0, 1.0]))


def test_a_while_reduction_without_end_raises() -> None:
    function = define("sum_while(i, 0, True, i, 1)", "n")
    with pytest.raises(RuntimeError, match="rounds"):
        function(1)
    assert jit.ITERATION_CAP > 0


def test_memory_that_is_not_aligned_is_read() -> None:
    raw = bytearray(8 * 4 + 1)
    struct.pack_into("4d", raw, 1, 1.5, 2.5, -3.0, 4.0)
    values = memoryview(raw)[1:].cast("d")
    total = define("sum(v for v in x)", "x")
    doubled = define("x * 2", "x")
    assert total(values) == 5.0
    assert list(doubled(values)) == [3.0, 5.0, -6.0, 8.0]
    assert total.stats == doubled.stats == {"native": 1, "python": 0}


@pytest.mark.parametrize("kind", ["float", "int", "bool"])
def test_return_type_converts(kind: str) -> None:
    function = define("x * x", "x", return_type=kind)
    convert = {"float": float, "int": int, "bool": bool}[kind]
    for x in (1.5, 3, 0.0):
        result = function(x)
        assert result == convert(x * x)
        assert type(result) is convert


def test_what_cannot_be_compiled_runs_as_python() -> None:
    function = define("{x: 1}[x]", "x")
    assert function(2) == 1
    assert function.stats == {"native": 0, "python": 1}
    assert "a dict is not compiled" in function.explain()


def test_each_switch_exists() -> None:
    assert jit.set_jit_logging(False) is False
    assert jit.set_jit_logging(None, env_var=None) is jit.get_jit_logging()
    assert jit.set_quantum_speculation(False) is False
    assert jit.set_quantum_speculation(None) is jit.get_quantum_speculation()
    assert isinstance(jit, types.ModuleType)
    for strategy in ("jit", "actor", "auto"):
        assert define("x + 1", "x", strategy=strategy)(1) == 2
    with pytest.raises(ValueError, match="strategy must be"):
        iris.offload(strategy="gpu")
