"""Options on the same rows: paired tests, corrected for many comparisons; points beaten only within noise."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from autoadapt.domain.option import Objectives
from autoadapt.domain.plugins import Metric
from autoadapt.domain.verdict import Paired

LEVEL = 0.05
RESAMPLES = 999
SAME_COST = 1.2
"""Costs that differ by less than this ratio count as the same: they are measured times, and a saving should be felt."""
SAME_LATENCY = 1.1


def paired(metric: Metric, first: Any, second: Any, trials: tuple[int, int], seed: int = 0) -> Paired:
    """Compares two options that answered the same rows.

    Scores of 0 or 1: the exact test of McNemar (1947). Others: random swaps of the two answers to a row (approximate
    randomisation, Noreen 1989). Interval of the difference: percentile bootstrap over rows.

    Args:
        metric: of the task.
        first, second: statistics of shape (rows, statistics), row by row of the same input.
        trials: their numbers.
        seed: of swaps and resamples.

    Raises:
        ValueError: they answered different numbers of rows.
    """
    if len(first) != len(second):
        raise ValueError(f"trial {trials[0]} answered {len(first)} rows, trial {trials[1]} {len(second)}")
    difference = metric.value(first) - metric.value(second)
    low, high = _interval(metric, first, second, seed)
    return Paired(
        trial=trials[0],
        other=trials[1],
        rows=len(first),
        difference=difference,
        low=min(low, difference),
        high=max(high, difference),
        p=p_value(metric, first, second, seed),
    )


def p_value(metric: Metric, first: Any, second: Any, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that both are equally good; arguments as of `paired`."""
    from scipy.stats import binomtest, permutation_test

    if metric.interval == "wilson":
        better, worse = int((first[:, 0] > second[:, 0]).sum()), int((first[:, 0] < second[:, 0]).sum())
        return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    if np.array_equal(first, second):
        return 1.0
    both = np.concatenate([first, second])
    n = len(first)
    found = permutation_test(
        (np.arange(n), n + np.arange(n)),
        lambda a, b: metric.value(both[a]) - metric.value(both[b]),
        permutation_type="samples",
        vectorized=False,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    return float(min(1.0, found.pvalue))


def _interval(metric: Metric, first: Any, second: Any, seed: int) -> tuple[float, float]:
    n = len(first)
    if np.array_equal(first[:, 0], second[:, 0]):
        # no row tells them apart: how many of all rows may do so at the most (exact binomial bound)
        most = 1 - 0.025 ** (1 / n)
        return -most, most
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    if metric.interval == "wilson":
        values = (first[:, 0] - second[:, 0])[drawn].mean(1)
    else:
        values = np.array([metric.value(first[rows]) - metric.value(second[rows]) for rows in drawn])
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def all_pairs(
    metric: Metric, stats: Mapping[int, Any], seed: int = 0, known: dict[tuple[int, int], Paired] | None = None
) -> list[Paired]:
    """Every pair of options, by trial.

    Args:
        metric, stats, seed: as of `paired`.
        known: pairs compared before, which are not compared again; new ones are added.
    """
    known = {} if known is None else known
    pairs = list(combinations(sorted(stats), 2))
    for a, b in pairs:
        if (a, b) not in known:
            known[a, b] = paired(metric, stats[a], stats[b], (a, b), seed)
    return [known[pair] for pair in pairs]


def beside(trial: int, pairs: Iterable[Paired]) -> dict[int, Paired]:
    """Every other option that was compared with one, as seen from the other: its quality minus that of `trial`."""
    found = {}
    for pair in pairs:
        if pair.other == trial:
            found[pair.trial] = pair
        elif pair.trial == trial:
            found[pair.other] = pair.turned()
    return found


def holm(p: Mapping[int, float]) -> dict[int, float]:
    """p-values corrected for making all of these comparisons (Holm 1979): at most 5 % of studies err anywhere."""
    corrected, least = {}, 0.0
    for i, key in enumerate(sorted(p, key=lambda k: p[k])):
        least = max(least, min(1.0, (len(p) - i) * p[key]))
        corrected[key] = least
    return corrected


def against(trial: int, others: Collection[int], pairs: Iterable[Paired]) -> dict[int, tuple[Paired, float]]:
    """Each of these options that was compared with one: as seen from it, and its p corrected for all of them."""
    found = {t: pair for t, pair in beside(trial, pairs).items() if t in others}
    corrected = holm({t: pair.p for t, pair in found.items()})
    return {t: (pair, corrected[t]) for t, pair in found.items()}


def beaten_within_noise(
    points: Mapping[int, Objectives], frontier: Sequence[int], clearly_worse: Callable[[int, int], bool]
) -> list[int]:
    """Options off the frontier that none of those on it beats clearly in anything.

    A difference is clear when it is more than noise: quality by a paired test, cost and latency by 20 and 10 %.

    Args:
        points: of every option measured in full, by trial.
        frontier: trials on it.
        clearly_worse: whether the first option's quality is certainly below the second's.
    """
    found = []
    for trial in sorted(set(points) - set(frontier)):
        own = points[trial]
        rivals = [
            other
            for other in frontier
            if points[other].quality >= own.quality
            and points[other].cost_usd_per_1k <= own.cost_usd_per_1k
            and points[other].latency_ms <= own.latency_ms
        ]
        near = all(
            own.cost_usd_per_1k <= SAME_COST * points[r].cost_usd_per_1k
            and own.latency_ms <= SAME_LATENCY * points[r].latency_ms
            for r in rivals
        )
        if rivals and near and not any(clearly_worse(trial, r) for r in rivals):
            found.append(trial)
    return found
