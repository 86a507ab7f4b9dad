"""NumPy arrays as containers in offloaded functions: elements are NumPy's numbers, as in Python."""

from __future__ import annotations

import array
import math
import struct
import warnings

import pytest

import iris

np = pytest.importorskip("numpy")


@iris.offload
def squares(a):
    return sum(x * x for x in a)


@iris.offload
def element(a, i):
    return a[i]


@iris.offload
def accumulated(a):
    total = 0.0
    for i, x in enumerate(a):
        if x > 0.5:
            total += x * i
    return total, len(a)


@iris.offload
def smoothed(a, out):
    for i in range(1, len(a)):
        out[i] = (a[i - 1] + a[i]) / 2


@iris.offload
def trace(a):
    return sum(a[i, i] for i in range(len(a)))


@iris.offload
def quotients(a, by):
    return sum(x / by for x in a)


@iris.offload
def counted(a):
    return sum(x > 0 for x in a)


@iris.offload
def clipped(a):
    return sum(x if x > 0 else 0.0 for x in a)


def bits(value):
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    return type(value), struct.pack("<d", value) if isinstance(value, float) else repr(value)


def both(function, *args):
    """Checks the answer and the warnings against the plain function; whether it was native."""
    answers = []
    before = function.stats["native"]
    for f in (function.py, function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = bits(f(*args))
            except Exception as error:
                answer = type(error), str(error)
        answers.append((answer, [(one.category, str(one.message)) for one in caught]))
    assert answers[0] == answers[1], (function, args)
    return function.stats["native"] > before


WAVE = [0.25, -1.5, 0.75, 2.0, 5e-324, -0.0]


@pytest.mark.parametrize("function", [squares, accumulated, clipped, counted])
@pytest.mark.parametrize("view", [slice(None), slice(None, None, -1), slice(1, None, 2)])
def test_float64_arrays_are_native_with_any_stride(function, view) -> None:
    assert both(function, np.array(WAVE)[view])


@pytest.mark.parametrize("kind", ["float64", "int64", "bool"])
def test_an_untouched_element_is_numpys_scalar(kind) -> None:
    numbers = np.array([1, 0, 1, 1]).astype(kind)
    for index in (0, 1, 3, -1, -4):
        assert both(element, numbers, index)
    assert type(element(numbers, 0)) is numbers.dtype.type
    assert not both(element, numbers, 4)
    assert not both(element, numbers, True)


def test_ints_are_native_until_they_overflow() -> None:
    assert both(squares, np.array([1, -2, 3_000_000_000]))
    assert not both(squares, np.array([2**62, 2]))
    assert both(quotients, np.array([2**63 - 1, 2**53 + 1, -7]), 2**53 + 1)


def test_what_numpy_warns_of_is_told_as_numpy_tells_it() -> None:
    assert not both(squares, np.array([1e308, 1.0]))
    assert not both(quotients, np.array([1.0, -1.0]), 0)
    assert not both(quotients, np.array([1, 2]), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="overflow"):
            squares(np.array([1e308]))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="overflow"):
        squares(np.array([1e308]))


def test_an_underflow_is_reported_where_numpy_is_told_to() -> None:
    tiny = np.array([1e-200, 1.0])
    assert both(squares, tiny)
    with np.errstate(under="raise"):
        assert not both(squares, tiny)
        with pytest.raises(FloatingPointError, match="underflow"):
            squares(tiny)
    assert both(squares, tiny)


@iris.offload
def dropped(a):
    for x in a:
        y = x * 1e308  # noqa: F841
    return 0


def test_a_result_that_nobody_reads_still_warns() -> None:
    assert both(dropped, np.array([0.5]))
    assert not both(dropped, np.array([0.5, 100.0]))


def test_nan_and_infinity_are_values_to_look_at() -> None:
    @iris.offload
    def finite(a):
        return sum(x for x in a if not math.isnan(x) and x < math.inf)

    assert both(finite, np.array([1.0, math.nan, 2.5, math.inf]))
    assert not both(squares, np.array([1.0, math.nan]))
    assert not both(squares, np.array([math.inf]))


def test_a_sum_of_nothing_is_pythons() -> None:
    for function in (squares, accumulated, counted, clipped):
        both(function, np.array([]))
    assert type(squares(np.array([]))) is int


def test_stores_are_numpys() -> None:
    numbers = np.array([1.0, 2.0, 4.0, 8.0])
    for make in (np.zeros, lambda n: np.zeros(2 * n)[::2], lambda n: np.zeros(n)[::-1]):
        plain, native = make(4), make(4)
        smoothed.py(numbers, plain)
        count = smoothed.stats["native"]
        assert smoothed(numbers, native) is None
        assert smoothed.stats["native"] == count + 1
        assert plain.tolist() == native.tolist()
    fixed = np.zeros(4)
    fixed.flags.writeable = False
    assert not both(smoothed, numbers, fixed)
    # Into ints NumPy truncates: the plain function does so.
    plain, native = np.zeros(4, int), np.zeros(4, int)
    smoothed.py(numbers, plain)
    smoothed(numbers, native)
    assert plain.tolist() == native.tolist()


def test_a_call_that_fails_late_leaves_no_trace() -> None:
    @iris.offload
    def scaled(a, by):
        for i in range(len(a)):
            a[i] *= by[i]

    plain, native = np.array([1.0, 2.0, 1e308]), np.array([1.0, 2.0, 1e308])
    by = np.array([3.0, 3.0, 100.0])
    with np.errstate(over="ignore"):
        scaled.py(plain, by)
        scaled(native, by)
    assert plain.tolist() == native.tolist() == [3.0, 6.0, math.inf]


def test_two_dimensions_are_indexed() -> None:
    grid = np.arange(9.0).reshape(3, 3)
    for view in (grid, grid.T, grid[::-1], grid[:, ::-1], np.asfortranarray(grid)):
        assert both(trace, view)
    assert not both(squares, np.array([[2.0]]))


def test_arrays_of_both_kinds_keep_their_numbers() -> None:
    @iris.offload
    def dot(a, b):
        return sum(x * y for x, y in zip(a, b))

    numpys, plains = np.array([1.5, 2.0]), array.array("d", [2.0, 0.5])
    assert both(dot, numpys, plains) and both(dot, plains, numpys) and both(dot, plains, plains)
    assert type(dot(numpys, plains)) is np.float64
    assert type(dot(plains, plains)) is float
    assert both(element, plains, 0) and type(element(plains, 0)) is float


class Doubled(np.ndarray):
    def __getitem__(self, index):
        return 2 * super().__getitem__(index)


@pytest.mark.parametrize(
    "numbers",
    [
        np.arange(3.0).view(Doubled),
        np.array([[1.0, 2.0]]).view(np.matrix),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.array(1.0),
        np.arange(3.0).astype(">f8"),
        np.arange(3.0).astype("f4"),
        np.arange(3).astype("i4"),
        np.arange(3).astype("u8"),
        np.arange(3).astype("c16"),
        np.arange(3).astype("O"),
        np.arange(3).astype("longlong" if np.dtype("longlong").type is not np.int64 else "int8"),
        np.array([1, 2], dtype="m8[s]"),
        np.array(["a", "b"]),
    ],
    ids=lambda numbers: f"{type(numbers).__name__}-{numbers.dtype}-{numbers.ndim}",
)
def test_other_arrays_run_as_python(numbers) -> None:
    assert not both(squares, numbers)
    assert not both(element, numbers, 0)


def test_a_reason_names_the_mend() -> None:
    @iris.offload
    def first(a):
        return a[0]

    first(np.zeros(2, "f4"))
    text = first.explain()
    assert "first(NumPy array of f32) runs as Python" in text
    assert "mend: pass memoryview(array), or an array of float64, int64 or bool" in text
    first(np.zeros(2))
    assert "first(NumPy array of f64) -> numpy.float64" in first.explain()


def test_a_class_that_looks_like_ndarray_is_none() -> None:
    fake = type("ndarray", (np.ndarray,), {"__module__": "numpy", "__getitem__": lambda *_: 7})
    assert element(np.zeros(2).view(fake), 0) == 7


def test_a_map_of_a_numpy_array_is_as_before() -> None:
    @iris.offload
    def half(x):
        return x / 2

    result = half(np.array([1.0, 2.0]))
    assert type(result) is np.ndarray and result.tolist() == [0.5, 1.0]
    assert half.stats == {"native": 1, "python": 0}
