"""How much the score by which a winner was chosen flatters it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autoadapt.domain.option import Option
from autoadapt.domain.plugins import Metric
from autoadapt.domain.verdict import Optimism

RESAMPLES = 200
MOST_OPTIONS = 50
"""The best ones are enough: those far below are never chosen."""
SAMPLED = 8
"""Options on which the loss by fewer rows is measured."""


def flattery(metric: Metric, stats: Mapping[int, Any], seed: int = 0) -> float:
    """Expected excess of the highest of several scores over the truth, from the same rows alone.

    Rows are drawn with replacement; the option that is best on those drawn is scored on those left out; the mean of
    that over draws is what such a choice is worth (bootstrap bias correction, Tsamardinos, Greasidou and Borboudakis
    2018). What a metric such as F1 loses on fewer rows, whatever was chosen, is put back. It takes the options as
    given: that the search was steered by the same rows is not in it.

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
    worth, fewer = [], []
    for _ in range(RESAMPLES):
        drawn = rng.integers(n, size=n)
        left = np.setdiff1d(np.arange(n), drawn)
        if len(left):
            winner = max(best, key=lambda t: metric.value(stats[t][drawn]))
            worth.append(metric.value(stats[winner][left]))
            fewer += [whole[t] - metric.value(stats[t][left]) for t in best[:SAMPLED]]
    return max(0.0, whole[best[0]] - float(np.mean(worth)) - float(np.mean(fewer)))


def optimism(option: Option, metric: Metric, stats: Mapping[int, Any], seed: int = 0) -> Optimism:
    """What the winner's validation score promised too much.

    Args:
        option: the winner.
        metric, stats, seed: as of `flattery`, on validation rows.
    """
    seen = low = high = None
    if option.test_quality is not None and option.test_quality_ci is not None:
        seen = option.quality - option.test_quality
        # intervals of two independent figures: the difference's ends by the square root of summed squares
        down = np.hypot(option.quality - option.quality_ci[0], option.test_quality_ci[1] - option.test_quality)
        up = np.hypot(option.quality_ci[1] - option.quality, option.test_quality - option.test_quality_ci[0])
        low, high = seen - float(down), seen + float(up)
    return Optimism(
        trial=option.trial,
        chosen_by=option.quality,
        among=len(stats),
        expected=flattery(metric, stats, seed),
        seen=seen,
        seen_low=low,
        seen_high=high,
    )
