"""Loops over ranges by any step, known when it is compiled or not."""

from __future__ import annotations

import itertools

import pytest

import iris

MOST = (1 << 63) - 1
LEAST = -(1 << 63)
SMALL = range(-4, 5)


@iris.offload
def by_any(start, stop, step):
    total = 0
    last = 1000
    for i in range(start, stop, step):
        total = total * 3 + i
        last = i
    else:
        total += 1
    return total, last


@iris.offload
def up_by_three(start, stop):
    total = 0
    for i in range(start, stop, 3):
        total = total * 3 + i
        if i == 2:
            continue
        if i > 100:
            break
    return total


@iris.offload
def down_by_three(start, stop):
    return sum(i * i for i in range(start, stop, -3) if i % 2)


@iris.offload
def zipped(n, step):
    total = 0
    for i, j in zip(range(0, n, step), range(n)):
        total += i * 10 + j
    return total


def check(function, *args) -> None:
    def outcome(call):
        try:
            return call(*args)
        except Exception as error:
            return type(error), str(error)

    assert outcome(function) == outcome(function.py), args


def test_every_small_range_is_pythons() -> None:
    for start, stop, step in itertools.product(SMALL, SMALL, SMALL):
        check(by_any, start, stop, step)
    for start, stop in itertools.product(SMALL, SMALL):
        check(up_by_three, start, stop)
        check(down_by_three, start, stop)
    for n, step in itertools.product(SMALL, SMALL):
        check(zipped, n, step)
    # All but those with a step of 0 run natively.
    assert by_any.stats["native"] == 9 * 9 * 8
    assert by_any.stats["python"] == 9 * 9
    assert down_by_three.stats["python"] == 0


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [
        (MOST - 5, MOST, 2),
        (MOST - 5, MOST, 1),
        (LEAST + 5, LEAST, -2),
        (LEAST + 5, LEAST, -1),
        (0, MOST, MOST),
        (0, MOST, MOST - 1),
        (0, LEAST, LEAST),
        (-1, LEAST, LEAST + 1),
        (LEAST, MOST, MOST),
        (MOST, LEAST, LEAST),
        (MOST, LEAST, 1),
        (LEAST, MOST, -1),
        (5, 5, LEAST),
    ],
)
def test_ranges_at_the_ends_of_64_bits(start: int, stop: int, step: int) -> None:
    check(by_any, start, stop, step)
