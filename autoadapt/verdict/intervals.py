"""95 % intervals of a metric over rows."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric

RESAMPLES = 1000
ENDS = (1.75, 98.25)
"""Percentiles of a posterior distribution that are the ends of a 95 % interval: its prior was estimated from the same
rows and taken as known, so that it is somewhat too narrow (`benchmarks/verdict/rare_labels.py`)."""


def mean_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval (percentiles of 1,000 resamples) of a mean over rows."""
    sample = np.array(values, dtype=float)
    if sample.std() == 0:
        return float(sample[0]), float(sample[0])
    drawn = np.random.default_rng(seed).integers(len(sample), size=(RESAMPLES, len(sample)))
    low, high = np.percentile(sample[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)


def interval(metric: Metric, stats: Any, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a metric, from its rows' statistics of shape (rows, statistics).

    An error that all rows share (`Metric.shared_error`) is independent of which rows were drawn: its variance is added.
    """
    low, high = _over_rows(metric, stats, seed)
    shared = metric.shared_error(stats)
    if not shared:
        return low, high
    value = metric.value(stats)
    return max(0.0, value - math.hypot(value - low, shared)), min(1.0, value + math.hypot(high - value, shared))


def _over_rows(metric: Metric, stats: Any, seed: int) -> tuple[float, float]:
    """The interval that follows from the rows.

    Shares: Wilson (1927). Metrics that define their posterior distribution: percentiles of its draws. Others:
    bias-corrected accelerated bootstrap over rows (Efron 1987); where every resample gives the same value, from which
    no width follows, Wilson on the mean score.
    """
    from scipy.stats import binomtest, bootstrap

    n, mean = len(stats), float(np.clip(stats[:, 0].mean(), 0, 1))

    def wilson() -> tuple[float, float]:
        share = binomtest(round(mean * n), n).proportion_ci(0.95, method="wilson")
        return float(share.low), float(share.high)

    if metric.interval == "wilson":
        return wilson()
    if len(np.unique(stats, axis=0)) == 1:
        return wilson()
    drawn = metric.draws(stats, RESAMPLES, np.random.default_rng(seed)) if metric.interval == "posterior" else None
    if drawn is not None:
        ends, value = np.percentile(drawn, ENDS), metric.value(stats)
        return min(float(ends[0]), value), max(float(ends[1]), value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # resamples that are all equal give NaN, see below
        result = bootstrap(
            (np.arange(n),),
            lambda index: metric.value(stats[index]),
            n_resamples=RESAMPLES,
            vectorized=False,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(result.low), float(result.high)
    return (low, high) if low < high else wilson()  # False for NaN too
