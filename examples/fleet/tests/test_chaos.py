"""The run with crashes finds out what the single loop does."""

from __future__ import annotations

import chaos
import data
import plain
from detector import DEFAULT_THRESHOLD
from fleet import digest, make_plan


def test_nothing_is_lost_or_counted_twice_when_actors_crash() -> None:
    flights = data.load_quick()[:6_000]
    plan = make_plan(flights)
    outcome, happened = chaos.run_chaos(plan, DEFAULT_THRESHOLD, lambda _: None)
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    assert digest(plan, outcome) == digest(plan, expected)
    assert happened.crashed == happened.restarted == len(range(0, plan.aircraft, chaos.ONE_IN))
    assert happened.replayed > 0
