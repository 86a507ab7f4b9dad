"""Statements, loops, reductions, helpers, arrays and maps: native, and as Python answers."""

from __future__ import annotations

import array
import math
import struct
import sys

import pytest
from support import Run

import iris
from iris import jit


def bits(value):
    if type(value) is float:
        return "nan" if value != value else struct.pack("<d", value)
    if type(value) is tuple:
        return tuple(map(bits, value))
    return type(value), value


def outcome(function, *args):
    try:
        return bits(function(*args))
    except Exception as error:
        return type(error), str(error)


def native(function, *args):
    """The call runs natively and gives the plain answer."""
    before = function.stats["native"]
    result = function(*args)
    assert function.stats["native"] == before + 1, function.explain()
    assert bits(result) == bits(function.py(*args)), args
    return result


def falls_back(function, *args):
    before = function.stats["python"]
    assert outcome(function, *args) == outcome(function.py, *args)
    assert function.stats["python"] > before, function.explain()


@iris.offload
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n //= 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@iris.offload
def triangle(n):
    total = 0
    for i in range(n):
        if i == 13:
            continue
        if total > 1000:
            break
        total += i
    else:
        return -total
    return total


@iris.offload
def halves(n):
    total = 0
    for i in range(n, 0, -2):
        total += i / 2
    return total


@iris.offload
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@iris.offload
def checked(x):
    if x <= 0:
        raise ValueError("x must be positive")
    if x > 100:
        raise OverflowError("too large")
    return x


@iris.offload
def walrus(x):
    if (half := x / 2) > 1 and (quarter := half / 2) < 10:
        return half + quarter
    return half


@iris.offload
def divided(a, b):
    return divmod(a, b), (a < b, None)


@iris.offload
def nothing(x):
    if x:
        return
    return x


@iris.offload
def either(x):
    return 0 if x < 0 else x * 0.5


def test_statements_run_natively() -> None:
    assert native(collatz, 27) == 111
    assert native(triangle, 10) == -45
    assert native(triangle, 100) == native(triangle, 1000)
    assert native(halves, 9) == 12.5
    assert native(halves, 0) == 0
    assert native(fibonacci, 90) == fibonacci.py(90)
    assert native(checked, 5) == 5
    assert native(walrus, 12.0) == 9.0
    assert native(walrus, 1.0) == 0.5
    assert native(divided, -7, 2) == ((-4, 1), (True, None))
    assert native(nothing, 3) is None
    assert native(nothing, 0.0) == 0.0
    assert native(either, -2.0) == 0
    assert native(either, 3.0) == 1.5


def test_exceptions_of_the_function_s_own_are_raised_by_python(tmp_path) -> None:
    falls_back(checked, -1)
    falls_back(checked, 101)
    falls_back(fibonacci, 200)
    path = tmp_path / "module.py"
    path.write_text("def f(x):\n    assert x > 0, 'x must be positive'\n    return x\n")
    scope: dict[str, object] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    asserts = iris.offload(scope["f"])
    assert native(asserts, 3) == 3
    falls_back(asserts, -3)
    falls_back(divided, 1, 0)

    @iris.offload
    def unbound(x):
        if x:
            y = x
        return y

    assert native(unbound, 1) == 1
    falls_back(unbound, 0)


@iris.offload
def squares(n):
    return sum(i * i for i in range(n) if i % 3 != 1)


@iris.offload
def floats(n):
    return sum(1 / (i + 1) for i in range(0, n, 2))


@iris.offload
def pairs(n):
    return sum(i * j for i in range(n) for j in range(i) if i != j + 1)


@iris.offload
def some(n):
    return any(i * i == n for i in range(100)), all(i < n for i in range(0, 10, 3))


def test_reductions_run_natively() -> None:
    assert native(squares, 1000) == squares.py(1000)
    assert native(floats, 999) == floats.py(999)
    falls_back(floats, 0)
    assert native(pairs, 30) == pairs.py(30)
    assert native(some, 49) == (True, True)
    assert native(some, 5) == (False, False)


@iris.offload
def broken(limit):
    return sum(break_if(i * i > limit, i * i) for i in range(1000))  # noqa: F821


@iris.offload
def skipped(n):
    return sum(continue_unless(i % 2, break_when(i > 20, float(i))) for i in range(n))  # noqa: F821


@iris.offload
def numbers(data):
    return sum(continue_on_nan(x) for x in data), sum(break_on_nan(x) for x in data)  # noqa: F821


@iris.offload
def looped(n):
    return (
        sum_while(i, 0, i < n, i + 1, i * i)  # noqa: F821
        + any_while(i, 1, i < n, i * 2, i == 64)  # noqa: F821
        + all_while(i, 1, i < n, i + 1, i < 50)  # noqa: F821
    )


@iris.offload
def bare(x):
    return if_else(x > 0, sqrt(x) * pi, 1 / x) + abs(sin(e))  # noqa: F821


@iris.offload
def endless(x):
    return sum_while(i, 0, i >= 0, i * x, 1)  # noqa: F821


def test_the_names_of_iris_jit_need_no_import() -> None:
    assert native(broken, 30) == 55
    assert native(skipped, 100) == 100.0
    assert native(numbers, array.array("d", [1.0, math.nan, 2.0])) == (3.0, 1.0)
    assert native(looped, 100) == sum(i * i for i in range(100)) + 1
    assert native(looped, 40) == sum(i * i for i in range(40)) + 0 + 1
    assert native(bare, 4.0) == 2.0 * math.pi + math.sin(math.e)
    assert native(bare, -4.0) == -0.25 + math.sin(math.e)
    falls_back(bare, 0)
    assert broken.py(30) == 55


def test_an_endless_reduction_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "ITERATION_CAP", 100)
    with pytest.raises(RuntimeError, match="100 rounds"):
        endless.py(0)


def test_imported_names_and_bound_ones_keep_their_meaning() -> None:
    from iris.jit import break_if, if_else

    @iris.offload
    def imported(n):
        return sum(break_if(i > 3, i) for i in range(n)) + if_else(n > 0, 1, n)

    @iris.offload
    def through_module(n):
        return sum(jit.continue_if(i > 3, i) for i in range(n)) + jit.sqrt(n)

    assert native(imported, 10) == 7
    assert imported.py(10) == 7
    assert native(through_module, 9) == 9.0
    assert through_module.py(9) == 9.0

    def exp(x):
        return x + 1

    @iris.offload
    def bound(x):
        return exp(x)

    assert native(bound, 1.5) == 2.5


SCALE = 3


def scaled(x, by=2):
    return [x * by][0]


def shifted(x, by=2):
    if x > 10:
        return x
    return x * SCALE + by


@iris.offload
def quarter(x):
    return x / 4


@iris.offload
def calls(x):
    return shifted(x) + shifted(by=x, x=1) + quarter(x)


@iris.offload
def refused_call(x):
    return scaled(x)


def test_plain_functions_are_called_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native(calls, 2) == calls.py(2)
    assert native(calls, 20) == calls.py(20)
    falls_back(refused_call, 3)
    monkeypatch.setitem(globals(), "SCALE", 30)
    assert calls(2) == calls.py(2)
    assert "SCALE was bound again" in calls.explain()
    monkeypatch.undo()
    monkeypatch.setattr(shifted, "__defaults__", (5,))
    assert calls(2) == calls.py(2)


@iris.offload
def defaults(x, y=2.0, z=3):
    return x + y * z


def test_keyword_and_default_arguments_run_natively() -> None:
    for args, keywords in [
        ((1.0,), {}),
        ((1.0, 5.0), {}),
        ((1.0,), {"y": 4.0}),
        ((), {"x": 1.0, "y": 2.0, "z": 4}),
        ((1.0, 2.0), {"z": 7}),
    ]:
        before = defaults.stats["native"]
        assert defaults(*args, **keywords) == defaults.py(*args, **keywords)
        assert defaults.stats["native"] == before + 1, (args, keywords)
    assert defaults(1.0, z=5) == defaults.py(1.0, z=5)
    for args, keywords in [((), {}), ((1,), {"x": 1}), ((1, 2, 3, 4), {}), ((1,), {"a": 2})]:
        with pytest.raises(TypeError, match="defaults"):
            defaults(*args, **keywords)
    defaults.py.__defaults__ = (10.0, 1)
    assert defaults(1.0) == 11.0


@iris.offload
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@iris.offload
def depth(n):
    if n == 0:
        return 0
    return 1 + depth(n - 1)


def test_a_recursion_runs_natively() -> None:
    assert native(fib, 20) == 6765
    assert native(depth, 300) == 300


def test_an_endless_recursion_raises_as_in_python() -> None:
    with pytest.raises(RecursionError):
        depth(-1)


def test_a_recursion_that_python_has_no_room_for_raises() -> None:
    def nested(levels):
        return depth(500) if levels == 0 else nested(levels - 1)

    assert nested(10) == 500
    with pytest.raises(RecursionError):
        nested(700)


@iris.offload
def total(data):
    result = 0
    for x in data:
        result += x
    return result


@iris.offload
def prefix(data, out):
    running = 0.0
    for i, x in enumerate(data):
        running += x
        out[i] = running
    return len(out)


@iris.offload
def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


@iris.offload
def last(data, index):
    return data[index], data[-1]


def containers():
    yield array.array("d", [0.5, -0.0, 2.5])
    yield array.array("f", [0.5, 1e-45])
    for code in "bhilq":
        yield array.array(code, [1, -2, 3])
    for code in "BHILQ":
        yield array.array(code, [1, 2, 3])
    yield b"abc"
    yield bytearray(b"xyz")
    yield memoryview(b"abcdef")[::2]
    yield memoryview(array.array("d", [1.0, 2.0, 3.0, 4.0]))[::-2]
    yield memoryview(bytes([1, 0, 2])).cast("?")
    yield array.array("q", [])
    yield array.array("d", [])


@pytest.mark.parametrize("data", list(containers()), ids=repr)
def test_arrays_are_read_natively(data) -> None:
    native(total, data)
    if len(data) > 0:
        native(last, data, 0)
        native(last, data, -len(data))
        native(dot, data, data)
    falls_back(last, data, 7)


def test_arrays_are_written_natively() -> None:
    data = array.array("d", [1.0, 2.0, 3.5])
    out = array.array("d", [0.0] * 4)
    assert prefix(data, out) == 4
    assert out.tolist() == [1.0, 3.0, 6.5, 0.0]
    assert prefix.stats["native"] == 1


def test_a_failed_store_leaves_what_python_leaves() -> None:
    data = array.array("d", [1.0, 2.0, 3.5])
    for out in (array.array("d", [0.0, 0.0]), array.array("f", [0.0, 0.0])):
        native_out, plain_out = out[:], out[:]
        with pytest.raises(IndexError) as caught:
            prefix(data, native_out)
        with pytest.raises(IndexError) as expected:
            prefix.py(data, plain_out)
        assert str(caught.value) == str(expected.value)
        assert native_out == plain_out

    @iris.offload
    def doubled(data):
        for i in range(len(data)):
            data[i] = data[i] * 2
        return data[0]

    small, plain = array.array("b", [1, 50, 100]), array.array("b", [1, 50, 100])
    assert outcome(doubled, small) == outcome(doubled.py, plain)
    assert small == plain
    read_only = memoryview(b"ab")
    assert outcome(doubled, read_only) == outcome(doubled.py, read_only)


def test_strided_memory_is_written_in_place() -> None:
    @iris.offload
    def fill(data, x):
        for i in range(len(data)):
            data[i] = x + i

    memory = array.array("q", range(8))
    fill(memoryview(memory)[::3], 100)
    assert memory.tolist() == [100, 1, 2, 101, 4, 5, 102, 7]
    assert fill.stats["native"] == 1, fill.explain()


def test_a_matrix_is_read_by_row_and_column() -> None:
    @iris.offload
    def trace(m, n):
        return sum(m[i, i] for i in range(n)) + m[-1, 0]

    m = memoryview(array.array("d", range(9))).cast("B").cast("d", (3, 3))
    assert native(trace, m, 3) == 18.0
    falls_back(trace, m, 4)


@iris.offload
def polynomial(x, k=2):
    if x < 0:
        return 0.0
    return x * x * k + 1.0


@iris.offload
def increment(n):
    return n + 1


@iris.offload
def positive(x):
    return x > 0


def test_a_function_of_scalars_maps_over_arrays() -> None:
    x = array.array("d", [1.0, -2.0, 0.5])
    assert polynomial(x) == array.array("d", [3.0, 0.0, 1.5])
    assert polynomial(x, k=3.0).tolist() == [4.0, 0.0, 1.75]
    assert polynomial(2.0) == 9.0
    assert increment(array.array("i", [1, 2])) == array.array("q", [2, 3])
    assert positive(array.array("f", [1.0, -1.0])) == array.array("B", [1, 0])
    assert increment(array.array("d", [])) == array.array("d", [])
    assert polynomial.stats["python"] == increment.stats["python"] == 0, polynomial.explain()
    out = array.array("d", [0.0] * 3)
    assert polynomial(x, out=out) is out
    assert out.tolist() == [3.0, 0.0, 1.5]
    with pytest.raises(ValueError, match="2 elements for 3"):
        polynomial(x, out=array.array("d", [0.0] * 2))


def test_an_array_that_is_not_looked_at_makes_no_map() -> None:
    @iris.offload
    def ignores(data, x):
        return x + 1

    assert native(ignores, array.array("d", [1.0, 2.0]), 2) == 3


def test_a_map_answers_as_python_where_native_code_gives_up() -> None:
    @iris.offload
    def inverse(x):
        return 1 / x

    assert inverse(array.array("d", [2.0, 4.0])).tolist() == [0.5, 0.25]
    with pytest.raises(ZeroDivisionError):
        inverse(array.array("d", [2.0, 0.0]))
    with pytest.raises(OverflowError):
        increment(array.array("q", [2**63 - 1]))
    nan = inverse(array.array("d", [math.nan, 1.0]))
    assert math.isnan(nan[0])
    assert nan[1] == 1.0
    assert outcome(inverse, array.array("d", [1.0]), 3)[0] is TypeError


def test_numpy_arrays_map_to_numpy_arrays() -> None:
    np = pytest.importorskip("numpy")
    result = polynomial(np.array([1.0, -2.0]))
    assert type(result) is np.ndarray
    assert result.tolist() == [3.0, 0.0]
    assert increment(np.array([1, 2], dtype="i2")).dtype == np.int64
    assert positive(np.array([1.0])).dtype == np.bool_
    assert type(native(total, np.array([1.0, 2.0]))) is np.float64
    falls_back(total, np.array([1.0, 2.0], dtype="f4"))
    assert native(total, memoryview(np.array([1.0, 2.0]))) == 3.0
    big_endian = np.array([1.0], dtype=">f8")
    assert outcome(polynomial, big_endian) is not None


def test_ctrl_c_ends_a_native_loop(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import _thread, threading, time, iris\n"
        "@iris.offload\n"
        "def spin(n):\n"
        "    i = 0\n"
        "    while i < n:\n"
        "        i += 1\n"
        "    return i\n"
        "assert spin(10) == 10\n"
        "threading.Timer(0.3, _thread.interrupt_main).start()\n"
        "try:\n"
        "    spin(10**15)\n"
        "except KeyboardInterrupt:\n"
        "    assert spin.stats == {'native': 2, 'python': 0}, spin.explain()\n"
        "    print('interrupted')\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_other_threads_run_beside_a_long_call(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import threading, iris\n"
        "@iris.offload\n"
        "def spin(n):\n"
        "    i = 0\n"
        "    while i < n:\n"
        "        i += 1\n"
        "    return i\n"
        "spin(1)\n"
        "thread = threading.Thread(target=spin, args=(3 * 10**9,))\n"
        "thread.start()\n"
        "count = 0\n"
        "while thread.is_alive():\n"
        "    count += 1\n"
        "assert count > 10_000, count\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sum is plain before")
def test_sums_of_floats_are_compensated_where_python_s_are() -> None:
    data = array.array("d", [0.1] * 10)
    assert sum(data) == 1.0
    assert native(dot, data, array.array("d", [1.0] * 10)) == 1.0


@iris.offload
def grows_at(n, at, step):
    total = 1
    for i in range(n):
        if i == at:
            total = total * step + 1
        else:
            total = total - 3
    return total


@iris.offload
def shrinks_unless(n, at, step):
    total = 1
    for i in range(n):
        if i != at:
            total += 3
        else:
            total = step - total
    return total


@pytest.mark.parametrize("function", [grows_at, shrinks_unless])
def test_an_overflow_counts_only_in_the_arm_that_is_taken(function) -> None:
    for step in (2**62, -(2**62), 2**63 - 1, -(2**63)):
        before = dict(function.stats)
        # The other arm would overflow in each round, and is never taken.
        assert function(50, -1, step) == function.py(50, -1, step)
        assert function.stats["native"] == before["native"] + 1
        for at in (0, 1, 7, 49):
            assert function(50, at, step) == function.py(50, at, step)
    assert function.stats["python"] > 0
