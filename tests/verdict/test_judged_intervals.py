"""The interval of a judged quality covers the true one as often as it says, because the judge's error is in it."""

from typing import Any

import numpy as np
import pytest

from autoadapt.domain.metric import Metric
from autoadapt.shelves import METRICS
from autoadapt.verdict.comparisons import paired
from autoadapt.verdict.growth import trained_again
from autoadapt.verdict.intervals import interval

JUDGE: Metric = METRICS.new("judge", {"model": "server:m@http://127.0.0.1:1/v1"})


def judged_by(people: Any, bias: float, rng: np.random.Generator) -> Any:
    """A judge's scores of answers, from what people would give: a bias, noise, and whole points from 0 to 10."""
    return np.clip(np.round(10 * (people + bias + rng.normal(0, 0.15, len(people)))) / 10, 0, 1)


def graded_by_people(rng: np.random.Generator, size: int) -> Any:
    """Scores of people, seldom at the ends."""
    return rng.beta(4, 3, size)


def stats_of(scores: Any, errors: Any) -> Any:
    """Statistics of rows, as the judge gives them after its errors on graded answers."""
    shared = [errors.mean(), errors.std(ddof=1) / np.sqrt(len(errors)), len(errors)]
    rest = np.tile([*shared, 0.0, 0.0], (len(scores), 1))
    return np.column_stack([scores, rest])


def coverage(samples: int, rows: int, graded: int) -> tuple[float, float, float]:
    """Shares of intervals that cover the true mean: this one's, that of scores alone, and that without the variance."""
    true, hits = 4 / 7, np.zeros(3)
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        errors = (people := graded_by_people(rng, graded), judged_by(people, 0.12, rng))
        scores = judged_by(graded_by_people(rng, rows), 0.12, rng)
        corrected = stats_of(scores, errors[1] - errors[0])
        without_variance = corrected.copy()
        without_variance[:, 2] = 0.0
        naive = corrected.copy()
        naive[:, 1:3] = 0.0
        for i, stats in enumerate((corrected, naive, without_variance)):
            low, high = interval(JUDGE, stats, seed)
            hits[i] += low <= true <= high
    covered, of_scores, of_corrected = hits / samples
    return float(covered), float(of_scores), float(of_corrected)


def test_interval_covers_the_true_quality_where_that_of_scores_alone_seldom_does() -> None:
    covered, of_scores, _ = coverage(samples=25, rows=100, graded=50)
    assert covered >= 0.84
    assert of_scores <= 0.2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_interval_covers_as_often_as_it_says() -> None:
    covered, of_scores, of_corrected = coverage(samples=200, rows=300, graded=50)
    print(f"covered {covered:.3f}, of scores alone {of_scores:.3f}, without the judge's variance {of_corrected:.3f}")
    assert 0.9 <= covered <= 0.99
    assert of_scores < 0.02
    assert of_corrected < 0.9


def test_half_width_combines_both_variances() -> None:
    rng = np.random.default_rng(0)
    errors = rng.normal(0.1, 0.2, 50)
    stats = stats_of(np.clip(rng.normal(0.6, 0.1, 2000), 0, 1), errors)
    low, high = interval(JUDGE, stats)
    rows_alone = 1.96 * stats[:, 0].std() / np.sqrt(2000)
    of_judge = 2.0096 * errors.std(ddof=1) / np.sqrt(50)
    assert (high - low) / 2 == pytest.approx(np.hypot(rows_alone, of_judge), rel=0.05)
    assert interval(JUDGE, np.tile(stats[:1], (200, 1)))[0] < JUDGE.value(stats[:1]) - of_judge + 0.01


def test_bias_of_the_judge_cancels_in_the_difference_of_two_options() -> None:
    rng = np.random.default_rng(1)
    scores = np.clip(rng.normal(0.5, 0.1, (2, 200)), 0, 1)
    pairs = [
        paired(JUDGE, *(stats_of(one, np.full(50, bias) + rng.normal(0, 0.1, 50) * 0) for one in scores), (0, 1))
        for bias in (0.0, 0.2)
    ]
    assert pairs[0].difference == pytest.approx(pairs[1].difference)
    assert (pairs[0].low, pairs[0].high) == pytest.approx((pairs[1].low, pairs[1].high))
    wide = [stats_of(one, rng.normal(0.2, 0.5, 50)) for one in scores]
    wide[1][:, 1:4] = wide[0][:, 1:4]
    certain = paired(JUDGE, *wide, (0, 1))
    assert certain.high - certain.low == pytest.approx(pairs[0].high - pairs[0].low, rel=0.01)


def test_interval_over_seeds_contains_the_error_of_the_judge() -> None:
    rng = np.random.default_rng(2)
    errors = rng.normal(0.0, 0.3, 50)
    seeds = [stats_of(np.clip(rng.normal(0.5, 0.05, 400), 0, 1), errors) for _ in range(3)]
    trained = trained_again(JUDGE, seeds, 0)
    assert (trained.high - trained.low) / 2 >= JUDGE.shared_error(seeds[0])


def test_other_metrics_have_no_shared_error() -> None:
    stats = np.random.default_rng(3).random((50, 1))
    assert METRICS.get("rouge_l").shared_error(stats) == 0.0
