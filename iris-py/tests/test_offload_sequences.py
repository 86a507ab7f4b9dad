"""Lists and tuples as arguments of offloaded functions."""

from __future__ import annotations

import math
from typing import Any

import pytest

import iris


@iris.offload
def total(xs):
    return sum(x * x for x in xs)


@iris.offload
def picked(xs, at):
    return xs[at]


@iris.offload
def weighted(xs, ws):
    result = 0.0
    for x, w in zip(xs, ws):
        if x > w:
            result += x * w
    return result


@iris.offload
def count(xs):
    return sum(1 for x in xs if x), any(x for x in xs), all(x for x in xs), len(xs)


@iris.offload
def largest(xs):
    best = xs[0]
    for i, x in enumerate(xs):
        if x > best and i >= 0:
            best = x
    return best


def same(result: Any, wanted: Any) -> bool:
    if type(result) is not type(wanted):
        return False
    if isinstance(wanted, tuple):
        return all(map(same, result, wanted))
    return result == wanted or (result != result and wanted != wanted)


CALLS = [
    (total, ([1.5, -2.0, 1e-308],)),
    (total, ((3, -4, 2**31),)),
    (total, ([True, False, True],)),
    (total, ([],)),
    (total, ((),)),
    (total, ([0.1] * 1000,)),
    (picked, ([1, 2, 3], -1)),
    (picked, ((1.5, -0.0), 1)),
    (picked, ([True, False], 0)),
    (weighted, ([1.0, 5.0, 3.0], [2.0, 4.0])),
    (weighted, ((1, 5, 3), [2.0, 4.0, 0.5])),
    (count, ([0, 1, 2],)),
    (count, ([0.0, math.nan],)),
    (count, ((True, True),)),
    (count, ([],)),
    (largest, ([3, 9, 2**62],)),
    (largest, ([1.0, math.nan],)),
]


@pytest.mark.parametrize(("function", "args"), CALLS, ids=lambda value: str(value)[:40])
def test_a_sequence_gives_what_python_gives(function: Any, args: tuple[Any, ...]) -> None:
    before = function.stats["native"]
    assert same(function(*args), function.py(*args))
    assert function.stats["native"] == before + 1, function.explain()


@pytest.mark.parametrize(
    "xs",
    [
        [1, 2.0],
        [1, True],
        [2**63],
        [1.0, None],
        ["a"],
        [10**30, 1.0],
    ],
    ids=str,
)
def test_what_is_not_of_one_type_runs_as_python(xs: list[Any]) -> None:
    before = total.stats["python"]
    try:
        wanted = total.py(xs)
    except TypeError as error:
        with pytest.raises(TypeError) as raised:
            total(xs)
        assert str(raised.value) == str(error)
    else:
        assert same(total(xs), wanted)
    assert total.stats["python"] == before + 1
    assert "not of floats alone" in total.explain()


def test_errors_are_python_s() -> None:
    for args in (([], 0), ([1, 2], 2), ((1.0,), -2)):
        with pytest.raises(IndexError):
            picked(*args)
    big = [2**62, 2**62]
    assert total(big) == 2**125


def test_a_list_that_is_computed_with_as_a_whole_is_no_map() -> None:
    @iris.offload
    def twice(x):
        return x * 2

    assert twice([1, 2]) == [1, 2, 1, 2]
    assert twice((1.5,)) == (1.5, 1.5)
    assert "computes with a list or tuple as a whole" in twice.explain()


def test_a_list_that_is_written_to_is_the_caller_s() -> None:
    @iris.offload
    def cleared(xs):
        for i in range(len(xs)):
            xs[i] = 0
        return len(xs)

    xs = [1, 2, 3]
    assert cleared(xs) == 3
    assert xs == [0, 0, 0]


def test_subclasses_have_elements_of_their_own() -> None:
    class Backwards(list):
        def __iter__(self):
            return reversed(list(range(len(self))))

    assert picked(Backwards([5, 6]), 0) == 5
    assert total(Backwards([5, 6])) == 1


def test_iterators_are_gone_through_once() -> None:
    assert total(iter([1, 2, 3])) == 14
    assert total(x for x in [1.0, 2.0]) == 5.0
    assert total({1, 2}) == 5
    assert total(range(4)) == 14
