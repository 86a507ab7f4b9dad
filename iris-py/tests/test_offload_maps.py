"""Maps give each element the plain function's result, at lengths where blocks begin and end."""

from __future__ import annotations

import array
import math
import random
import struct

import pytest
from support import Run

import iris

LENGTHS = [0, 1, 7, 8, 9, 511, 512, 513, 1024, 1500]


@iris.offload
def wave(x):
    return math.exp(-x) * math.sin(x) + math.log(x)


@iris.offload
def option(s, k, t):
    root = 0.3 * math.sqrt(t)
    d1 = (math.log(s / k) + 0.065 * t) / root
    n1 = 0.5 * math.erfc(-d1 / 1.4142135623730951)
    n2 = 0.5 * math.erfc(-(d1 - root) / 1.4142135623730951)
    return s * n1 - k * math.exp(-0.02 * t) * n2


@iris.offload
def polynomial(x):
    return ((((0.1 * x + 0.2) * x - 0.3) * x + 0.4) * x - 0.5) * x + 0.6


@iris.offload
def turned(x, y):
    return math.cos(x) * y - math.sin(y) * x


@iris.offload
def piecewise(x):
    if x < 0.0:
        return -x
    if x < 2.0:
        return 1.0 / (x + 1.0)
    return math.log(x) - 1.0


@iris.offload
def shifted(n, by):
    return n * 3 - by


@iris.offload
def within(x, low, high):
    return low <= x <= high


def numbers(count, low=0.01, high=6.0, seed=1):
    rng = random.Random(seed)
    return array.array("d", (rng.uniform(low, high) for _ in range(count)))


def bits(values):
    return [struct.pack("<d", value) if type(value) is float else (type(value), value) for value in values]


def check(function, *args):
    """In blocks, and as the plain function does one element after the other."""
    count = next(len(arg) for arg in args if hasattr(arg, "__len__"))
    rows = [[arg[i] if hasattr(arg, "__len__") else arg for arg in args] for i in range(count)]
    before = function.stats["native"]
    result = function(*args)
    assert function.stats["native"] == before + 1, function.explain()
    assert bits(result) == bits([function.py(*row) for row in rows])


@pytest.mark.parametrize("count", LENGTHS)
def test_each_element_is_as_the_plain_function_says(count):
    x, y = numbers(count), numbers(count, -40.0, 40.0, 2)
    check(wave, x)
    check(option, numbers(count, 50.0, 150.0), 100.0, 0.5)
    check(polynomial, y)
    check(turned, y, x)
    check(turned, y, 0.75)
    check(piecewise, y)
    check(shifted, array.array("i", range(-5, count - 5)), 4)
    assert wave.explain().count("block-vector") == 1


def test_bools_come_as_bytes_of_truth():
    y = numbers(600, -3.0, 3.0)
    result = within(y, -1.0, 1.5)
    assert [bool(value) for value in result] == [within.py(value, -1.0, 1.5) for value in y]


@pytest.mark.parametrize("code", ["d", "f", "b", "H", "q"])
def test_steps_and_element_types(code):
    values = array.array(code, [n % 100 + 1 for n in range(1400)])
    for view in (memoryview(values), memoryview(values)[::3], memoryview(values)[::-1]):
        check(wave, view)


def test_special_values_go_where_python_takes_them():
    special = [0.0, -0.0, 5e-324, 1e308, -1e308, math.inf, -math.inf, 1.0, 710.0, -746.0, 26.9, -6.0]

    @iris.offload
    def bell(x):
        return math.erfc(x) + 0.5

    @iris.offload
    def positive(x):
        return 0.0 if x == 0.0 else x * 0.5

    for count in (8, 600):
        values = array.array("d", (special * count)[:count])
        check(bell, values)
        check(positive, values)


@pytest.mark.parametrize("at", [0, 511, 512, 999])
@pytest.mark.parametrize("bad", [0.0, -1.0, 800.0])
def test_an_error_of_one_element_is_python_s(at, bad):
    x = numbers(1000)
    x[at] = bad

    @iris.offload
    def f(x):
        return math.exp(x) + math.log(x)

    with pytest.raises((ValueError, OverflowError)) as plain:
        [f.py(value) for value in x]
    out = array.array("d", [7.0] * 1000)
    with pytest.raises(type(plain.value)) as found:
        f(x, out=out)
    assert str(found.value) == str(plain.value)
    assert set(out) == {7.0}


def test_a_long_map_on_threads_is_the_same():
    x = numbers(300_000)
    expected = [wave.py(value) for value in x]
    assert bits(wave(x)) == bits(expected)
    x[250_000] = 0.0
    with pytest.raises(ValueError):
        wave(x)


def test_numpy_gets_numpy():
    np = pytest.importorskip("numpy")
    x = np.linspace(0.1, 5.0, 1300)
    result = wave(x)
    assert type(result) is np.ndarray
    assert bits(result.tolist()) == bits([wave.py(float(value)) for value in x])
    assert bits(wave(x[::2]).tolist()) == bits(result[::2].tolist())


def test_ctrl_c_ends_a_long_map(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import _thread, array, math, threading, iris\n"
        "@iris.offload\n"
        "def slow(x):\n"
        f"    return {'math.tan(' * 60}x{')' * 60}\n"
        "slow(array.array('d', [0.3]))\n"
        "data = array.array('d', [0.3]) * 8_000_000\n"
        "threading.Timer(0.3, _thread.interrupt_main).start()\n"
        "try:\n"
        "    slow(data)\n"
        "except KeyboardInterrupt:\n"
        "    assert slow.stats == {'native': 2, 'python': 0}, slow.explain()\n"
        "    print('interrupted')\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def planes(np, size, kind):
    """The same elements, row by row, in different places of memory."""
    grid = (np.arange(6 * size) % 97 / 8 + 1.125).astype(kind).reshape(2 * size, 3)
    doubled = np.repeat(np.repeat(grid, 2, axis=0), 2, axis=1)
    return [
        grid,
        np.asfortranarray(grid),
        doubled[::2, ::2],
        np.ascontiguousarray(grid[::-1])[::-1],
        np.ascontiguousarray(grid[:, ::-1])[:, ::-1],
        np.ascontiguousarray(grid.T).T,
    ]


@pytest.mark.parametrize("size", [0, 1, 85, 400])
@pytest.mark.parametrize("kind", ["f8", "f4", "i8", "u1"])
def test_a_map_over_two_dimensions_has_the_same_shape(size, kind) -> None:
    np = pytest.importorskip("numpy")
    # Of ints the branches of `piecewise` have several types.
    for function in (wave, polynomial, *([piecewise] if kind[0] == "f" else [])):
        before = function.stats["native"]
        for grid in planes(np, size, kind):
            result = function(grid)
            assert type(result) is np.ndarray and result.shape == grid.shape
            expected = [function.py(x) for x in grid.ravel().tolist()]
            if expected:
                assert result.ravel().tolist() == expected
        assert function.stats["native"] == before + 6, function.explain()


def test_maps_over_two_dimensions_take_several_arrays_and_scalars() -> None:
    np = pytest.importorskip("numpy")
    grid = np.arange(12.0).reshape(3, 4)
    result = turned(grid, grid[::-1])
    assert result.shape == (3, 4)
    pairs = zip(grid.ravel().tolist(), grid[::-1].ravel().tolist())
    assert result.ravel().tolist() == [turned.py(x, y) for x, y in pairs]
    assert shifted(np.arange(4).reshape(2, 2), 1).tolist() == [[-1, 2], [5, 8]]
    bools = within(grid, 2.0, 5.0)
    assert bools.dtype == np.bool_ and bools.shape == (3, 4)
    out = np.empty((3, 4))
    assert turned(grid, 0.5, out=out) is out
    assert out.tolist() == turned(grid, 0.5).tolist()


def test_a_map_over_two_dimensions_that_fails_runs_as_python_in_the_same_shape() -> None:
    np = pytest.importorskip("numpy")

    @iris.offload
    def power(n):
        return n**3

    before = power.stats["python"]
    result = power(np.array([[1, 2], [3, -4]]))
    assert (result.dtype, result.tolist()) == (np.int64, [[1, 8], [27, -64]])
    assert power.stats["python"] == before
    with pytest.raises(OverflowError):
        power(np.array([[1, 2], [3, 2**40]]))
    with pytest.raises(ValueError, match="domain"):
        wave(np.array([[1.0, -1.0]]))

    @iris.offload(return_type="int")
    def half(x):
        return x / 2

    halves = half(np.array([[2.0, 5.0], [-3.0, 0.0]]))
    assert (halves.dtype, halves.tolist()) == (np.int64, [[1, 2], [-1, 0]])


def test_arrays_of_other_shapes_are_no_map_over_two_dimensions() -> None:
    np = pytest.importorskip("numpy")
    grid = np.arange(6.0).reshape(2, 3)
    for other in (grid.T, np.arange(3.0), np.arange(6.0)):
        before = turned.stats["native"]
        with pytest.raises(Exception):  # noqa: B017  (what math.cos says of an array)
            turned(grid, other)
        assert turned.stats["native"] == before
    with pytest.raises(TypeError):
        polynomial(memoryview(grid))
