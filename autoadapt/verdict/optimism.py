"""By how much the score by which the best option was selected is too high."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.domain.verdict import Optimism

RESAMPLES = 200
MOST_OPTIONS = 50
"""Only the best ones are resampled: those far below are never selected."""
SAMPLED = 8
"""Options from which the effect of fewer rows on the metric is estimated."""


def expected_optimism(metric: Metric, stats: Mapping[int, Any], seed: int = 0) -> float:
    """Expected excess of the highest of several scores over the true quality, from the same rows alone.

    Rows are drawn with replacement; the option that is best on those drawn is scored on those left out; the mean of
    that score over draws estimates the quality of an option selected so (bootstrap bias correction, Tsamardinos,
    Greasidou and Borboudakis 2018). Metrics such as F1 are lower on fewer rows; that difference is added back. The set
    of options is taken as given: that the search itself used the same rows is not accounted for.

    Args:
        metric: of the task.
        stats: statistics of each option's rows, shape (rows, statistics), the same rows for all.
        seed: of the draws.

    Returns:
        Quality of the best option on all rows minus that mean; not below 0.
    """
    best = sorted(stats, key=lambda t: -metric.value(stats[t]))[:MOST_OPTIONS]
    if len(best) < 2:
        return 0.0
    rng, n = np.random.default_rng(seed), len(stats[best[0]])
    whole = {t: metric.value(stats[t]) for t in best}
    selected, fewer = [], []
    for _ in range(RESAMPLES):
        drawn = rng.integers(n, size=n)
        left_out = np.setdiff1d(np.arange(n), drawn)
        if len(left_out):
            winner = max(best, key=lambda t: metric.value(stats[t][drawn]))
            selected.append(metric.value(stats[winner][left_out]))
            fewer += [whole[t] - metric.value(stats[t][left_out]) for t in best[:SAMPLED]]
    return max(0.0, whole[best[0]] - float(np.mean(selected)) - float(np.mean(fewer)))


def optimism(option: Option, metric: Metric, stats: Mapping[int, Any], seed: int = 0) -> Optimism:
    """By how much the best option's validation score is too high: expected, and observed on test rows.

    Args:
        option: the best one on validation rows.
        metric, stats, seed: as of `expected_optimism`, on validation rows.
    """
    observed = low = high = None
    if option.test_quality is not None and option.test_quality_ci is not None:
        observed = option.quality - option.test_quality
        # both qualities are independent, so the half widths of their intervals add up by squares
        down = np.hypot(option.quality - option.quality_ci[0], option.test_quality_ci[1] - option.test_quality)
        up = np.hypot(option.quality_ci[1] - option.quality, option.test_quality - option.test_quality_ci[0])
        low, high = observed - float(down), observed + float(up)
    return Optimism(
        trial=option.trial,
        validation_quality=option.quality,
        options=len(stats),
        expected=expected_optimism(metric, stats, seed),
        observed=observed,
        observed_low=low,
        observed_high=high,
    )
