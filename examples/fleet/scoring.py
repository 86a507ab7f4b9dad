"""What one scoring call costs, offloaded and plain, over arguments of the real run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import detector
from data import Flight
from detector import ScoreFunction, Stats
from fleet import unit_of

Arguments = tuple[float, float, float, float]

# Enough for a stable median, few enough to take no noticeable time.
CALLS = 50_000
REPETITIONS = 7


def real_arguments(flights: Sequence[Flight]) -> list[Arguments]:
    """What the detector is called with in the second half of the flights, when much is known."""
    past: dict[str, Stats] = {}
    arguments: list[Arguments] = []
    for index, flight in enumerate(flights):
        if flight.delay != flight.delay:  # NaN
            continue
        stats = past.setdefault(unit_of(flight), Stats())
        if index >= len(flights) // 2:
            arguments.append((flight.delay, stats.count, stats.mean, stats.m2))
            if len(arguments) == CALLS:
                break
        stats.add(flight.delay, 0.0)
    return arguments


def compare(offloaded: ScoreFunction, arguments: Sequence[Arguments]) -> tuple[float, float]:
    """Nanoseconds per call, the loop included: offloaded and plain, medians in turn."""
    plain = detector.score_v2
    both: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPETITIONS):
        for times, score in zip(both, (offloaded, plain)):
            start = time.perf_counter_ns()
            for delay, count, mean, m2 in arguments:
                score(delay, count, mean, m2)
            times.append((time.perf_counter_ns() - start) / max(1, len(arguments)))
    return statistics.median(both[0]), statistics.median(both[1])
