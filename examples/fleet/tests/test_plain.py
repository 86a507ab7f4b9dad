"""The single loop and the asyncio queues find the same, and the check sees what differs."""

from __future__ import annotations

import copy
import math

import pytest

import data
import detector
from data import Flight
from fleet import Incident, Outcome, digest, first_difference, make_plan
from plain import asyncio_fleet, single_loop

NAN = math.nan


def no_tick(_: int) -> None:
    pass


def flight(minute: int, delay: float, tail: str | None = "N1", carrier: str = "UA") -> Flight:
    return Flight((2013, 1, 1, minute), carrier, tail, delay)


@pytest.fixture(scope="module")
def sample() -> list[Flight]:
    return data.in_order(data.parse(data.generate(7, 4_000, 40)))


def test_an_aircraft_of_two_carriers_is_one_unit_with_two_paths() -> None:
    plan = make_plan([flight(1, 0.0), flight(2, 0.0, carrier="DL"), flight(3, 0.0, tail="N2")])
    assert plan.units == ["N1", "N2"]
    assert plan.paths == {"/fleet/UA/N1": 0, "/fleet/DL/N1": 0, "/fleet/UA/N2": 1}
    assert plan.aircraft == 2


def test_flights_without_a_tail_number_go_to_their_carrier() -> None:
    plan = make_plan([flight(1, NAN, None), flight(2, NAN, None, "DL"), flight(3, NAN, None)])
    assert plan.units == ["UA/unassigned", "DL/unassigned"]
    assert plan.paths == {"/fleet/UA/unassigned": 0, "/fleet/DL/unassigned": 1}
    assert plan.aircraft == 0


def test_a_cancelled_flight_is_counted_and_not_scored() -> None:
    outcome = single_loop([flight(1, 10.0), flight(2, NAN), flight(3, 20.0)], 4.0)
    (stats,) = outcome.stats
    assert (stats.count, stats.mean, stats.cancelled) == (2.0, 15.0, 1)


def test_the_second_half_is_scored_by_the_second_detector() -> None:
    # 20 flights as usual, one of them in each half ends far too late.
    delays = [float(number % 3) for number in range(20)]
    delays[9] = delays[15] = 500.0
    outcome = single_loop([flight(number, delay) for number, delay in enumerate(delays)], 2.0)
    assert [(found.flight, found.version) for found in outcome.incidents] == [(9, 1), (15, 2)]


def test_the_swap_falls_on_the_middle_flight() -> None:
    # The middle flight itself is the first that the second detector scores.
    delays = [0.0] * 10 + [500.0] * 2 + [0.0] * 8
    outcome = single_loop([flight(number, delay) for number, delay in enumerate(delays)], 2.0)
    first = outcome.incidents[0]
    assert (first.flight, first.version) == (10, 2)
    assert first.score == detector.score_v2(500.0, 10.0, 0.0, 0.0)


@pytest.mark.parametrize("threshold", [1.0, 4.0, 1e9])
def test_the_queues_find_what_the_loop_finds(sample: list[Flight], threshold: float) -> None:
    plan = make_plan(sample)
    expected = single_loop(sample, threshold)
    found = asyncio_fleet(plan, threshold, no_tick)
    assert first_difference(plan, expected, found) is None
    assert digest(plan, expected) == digest(plan, found)
    assert bool(expected.incidents) == (threshold < 1e9)


def changed(outcome: Outcome, name: str) -> Outcome:
    other = copy.deepcopy(outcome)
    if name == "incident":
        first = other.incidents[0]
        other.incidents[0] = first._replace(score=math.nextafter(first.score, math.inf))
    elif name == "lost":
        other.incidents.pop()
    elif name == "extra":
        other.incidents.append(Incident(3_999, 2, 1.0, 9.0))
    elif name == "cancelled":
        other.stats[3].cancelled += 1
    elif name == "order":
        other.stats[3].score_sum = -other.stats[3].score_sum
    else:
        value = getattr(other.stats[3], name)
        setattr(other.stats[3], name, math.nextafter(value, math.inf))
    return other


@pytest.mark.parametrize(
    "name",
    ["count", "mean", "m2", "last_score", "cancelled", "order", "incident", "lost", "extra"],
)
def test_one_bit_in_any_figure_is_found(sample: list[Flight], name: str) -> None:
    plan = make_plan(sample)
    expected = single_loop(sample, 2.0)
    found = changed(expected, name)
    assert digest(plan, expected) != digest(plan, found)
    difference = first_difference(plan, expected, found)
    assert difference is not None
    kind = "incident at flight" if name in ("incident", "lost", "extra") else "unit"
    assert difference.startswith(kind)


def test_zeros_of_different_sign_differ(sample: list[Flight]) -> None:
    plan = make_plan(sample)
    expected = single_loop(sample, 2.0)
    expected.stats[0].last_score = 0.0
    found = copy.deepcopy(expected)
    found.stats[0].last_score = -0.0
    assert first_difference(plan, expected, found) is not None
