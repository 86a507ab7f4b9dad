"""The maths of the job: a running mean and deviation, and two functions that score a delay.

Plain Python without a runtime: the actors, the asyncio loop and the single loop all use this
module, and `actors` offloads the two scoring functions to machine code.
"""

from __future__ import annotations

import math
from collections.abc import Callable

# Delay, count, mean, sum of squares.
ScoreFunction = Callable[[float, float, float, float], float]

DEFAULT_THRESHOLD = 4.0


def score_v1(delay: float, count: float, mean: float, m2: float) -> float:
    """How many deviations `delay` lies above the running mean; 0.0 while little is known.

    Ten minutes are added to the deviation, so that an aircraft that was always on time does not
    turn a short delay into an incident.
    """
    variance = m2 / (count - 1.0) if count > 1.0 else 0.0
    deviation = math.sqrt(variance) + 10.0
    return (delay - mean) / deviation if count >= 5.0 else 0.0


def score_v2(delay: float, count: float, mean: float, m2: float) -> float:
    """The sharper detector: less padding, and the width of the mean's own error counts too."""
    variance = m2 / (count - 1.0) if count > 1.0 else 0.0
    error = math.sqrt(variance / count) if count > 1.0 else 0.0
    deviation = math.sqrt(variance) + 4.0 + error
    excess = delay - mean
    late = excess if excess > 0.0 else excess * 0.5
    return late / deviation if count >= 3.0 else 0.0


class Stats:
    """What one aircraft knows of its own past: Welford's running mean and sum of squares.

    The count is a float, so that the scoring functions see one type only. `score_sum` depends on
    every score and on their order: two runs with the same sum scored every flight alike.
    """

    __slots__ = ("cancelled", "count", "last_score", "m2", "mean", "score_sum")

    def __init__(self) -> None:
        self.count = 0.0
        self.mean = 0.0
        self.m2 = 0.0
        self.last_score = 0.0
        self.score_sum = 0.0
        self.cancelled = 0

    def add(self, delay: float, score: float) -> None:
        """Takes one arrival delay and its score into the past."""
        count = self.count + 1.0
        delta = delay - self.mean
        mean = self.mean + delta / count
        self.count = count
        self.mean = mean
        self.m2 += delta * (delay - mean)
        self.last_score = score
        self.score_sum += score

    @property
    def deviation(self) -> float:
        """The standard deviation of the delays so far."""
        return math.sqrt(self.m2 / (self.count - 1.0)) if self.count > 1.0 else 0.0
