"""Arrays that a function writes to, where native code gives up half-way and Python starts over."""

from __future__ import annotations

import array

import pytest

import iris


@iris.offload
def scaled(data, out, factor):
    for i in range(len(data)):
        out[i] = data[i] * factor
    return out[0]


@iris.offload
def counted_down(out, start):
    for i in range(len(out)):
        out[i] = 100 // (start - i)
    return 0


@iris.offload
def running(data):
    for i in range(1, len(data)):
        data[i] = data[i] + data[i - 1]
    return data[0]


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def same_as_python(function, make, *args):
    ours, plain = make(), make()
    results = outcome(function, *ours, *args), outcome(function.py, *plain, *args)
    assert results[0] == results[1]
    assert [bytes(one) for one in ours] == [bytes(one) for one in plain]


@pytest.mark.parametrize("length", [0, 1, 3, 8])
def test_what_was_written_is_written_again(length) -> None:
    # `out` is shorter, or too long, or holds numbers that no write replaces.
    before = scaled.stats["python"]
    same_as_python(
        scaled,
        lambda: (array.array("q", [2**60, 1, -(2**61)]), array.array("q", range(length))),
        5,
    )
    same_as_python(
        scaled,
        lambda: (array.array("q", [1, 2, 2**62, 3]), array.array("q", range(length))),
        3,
    )
    assert scaled.stats["python"] == before + 2


def test_an_exception_leaves_what_python_leaves() -> None:
    for start in range(-1, 9):
        same_as_python(counted_down, lambda: (array.array("q", [7] * 6),), start)
    assert counted_down.stats["python"] > 0


def test_what_is_read_again_is_undone() -> None:
    same_as_python(running, lambda: (array.array("q", [1, 2, 3, 2**63 - 5, 4]),))
    same_as_python(running, lambda: (array.array("b", [100, 20, 10, 1]),))
    assert running.stats == {"native": 0, "python": 2}


def test_memory_that_two_arguments_share_is_undone() -> None:
    def shared(shift):
        data = array.array("q", [1, 2, 3, 4, 2**62, 6, 7, 8])
        view = memoryview(data)
        return data, view, shift

    for shift in (0, 1):
        ours, plain = shared(shift), shared(shift)
        before = scaled.stats["python"]
        results = [
            outcome(function, view[: 8 - shift], view[shift:], 2**20)
            for function, (_, view, _) in ((scaled, ours), (scaled.py, plain))
        ]
        assert results[0] == results[1]
        assert ours[0] == plain[0]
        assert scaled.stats["python"] == before + 1
