"""The maths: running figures against the textbook, and the two scoring functions."""

from __future__ import annotations

import math
import statistics

import pytest

import detector
from detector import Stats

DELAYS = [12.0, -5.0, 0.0, 33.0, 7.0, -12.0, 180.0, 4.0, 4.0]
BOTH = pytest.mark.parametrize("score", [detector.score_v1, detector.score_v2])


def past_of(delays: list[float]) -> Stats:
    stats = Stats()
    for delay in delays:
        stats.add(delay, 0.0)
    return stats


def test_the_running_figures_are_the_textbooks() -> None:
    stats = past_of(DELAYS)
    assert stats.count == len(DELAYS)
    assert math.isclose(stats.mean, statistics.fmean(DELAYS))
    assert math.isclose(stats.deviation, statistics.stdev(DELAYS))


def test_the_running_figures_keep_their_precision_far_from_zero() -> None:
    # Sums of squares lose all digits here; Welford's recurrence does not.
    shifted = [delay + 1e9 for delay in DELAYS]
    assert math.isclose(past_of(shifted).deviation, statistics.stdev(DELAYS), rel_tol=1e-6)


@pytest.mark.parametrize("delays", [[], [30.0]])
def test_one_flight_has_no_deviation(delays: list[float]) -> None:
    assert past_of(delays).deviation == 0.0


def test_scores_are_kept_in_their_order() -> None:
    stats, other = Stats(), Stats()
    for score in (1e16, 1.0, -1e16):
        stats.add(0.0, score)
    for score in (1e16, -1e16, 1.0):
        other.add(0.0, score)
    assert stats.last_score == -1e16
    assert (stats.score_sum, other.score_sum) == (0.0, 1.0)


@BOTH
@pytest.mark.parametrize("count", [0.0, 1.0, 2.0])
def test_little_knowledge_means_no_score(score: detector.ScoreFunction, count: float) -> None:
    assert score(500.0, count, 0.0, 100.0 * count) == 0.0


@BOTH
def test_a_longer_delay_never_scores_lower(score: detector.ScoreFunction) -> None:
    scores = [score(float(delay), 40.0, 5.0, 9000.0) for delay in range(-60, 300)]
    assert scores == sorted(scores)
    assert scores[0] < 0.0 < scores[-1]


@BOTH
def test_an_aircraft_that_is_always_on_time_does_not_divide_by_zero(
    score: detector.ScoreFunction,
) -> None:
    assert math.isfinite(score(3.0, 50.0, 0.0, 0.0))


def test_the_first_detector_by_hand() -> None:
    # Variance 36 / 4 = 9, deviation 3 + 10: (29 - 3) / 13.
    assert detector.score_v1(29.0, 5.0, 3.0, 36.0) == 2.0


def test_the_second_detector_by_hand() -> None:
    # Variance 48 / 3 = 16, mean's error 2, deviation 4 + 4 + 2: (33 - 3) / 10.
    assert detector.score_v2(33.0, 4.0, 3.0, 48.0) == 3.0


def test_the_second_detector_is_the_sharper_one() -> None:
    arguments = (90.0, 100.0, 5.0, 22_000.0)
    assert detector.score_v2(*arguments) > detector.score_v1(*arguments)
