"""Options on the same rows: paired tests, Holm's correction; options dominated within measurement error."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.verdict import Paired

LEVEL = 0.05
RESAMPLES = 999
LEAST_BEYOND = 10
"""Random swaps beyond what was measured from which their number gives p."""
SAME_COST = 1.2
"""Costs within this ratio count as equal: they are computed from measured times, which vary by as much."""
SAME_LATENCY = 1.1
TOLERANCES = {"latency_ms": SAME_LATENCY}
"""Objective -> ratio within which its values count as equal; SAME_COST where it is absent."""


def costs_clearly_less(cost: float, other: float) -> bool:
    """Whether a cost is below another one by more than measured times vary."""
    return cost < other and cost * SAME_COST <= other


def points(value: float) -> str:
    """A difference of quality in points with its sign, never as a negative zero."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def difference_text(difference: float, low: float, high: float) -> str:
    """A difference of quality with its interval, such as ``+1.2 points [-4.7, +7.1]``."""
    return f"{points(difference)} points [{points(low)}, {points(high)}]"


def paired(metric: Metric, first: Any, second: Any, trials: tuple[int, int], seed: int = 0) -> Paired:
    """Compares two options on the rows that both answered: the first ones, where one answered more than the other.

    Scores of 0 or 1: the exact test of McNemar (1947). Others: random swaps of the two answers to a row (approximate
    randomisation, Noreen 1989). Interval of the difference: percentile bootstrap over rows.

    Args:
        metric: of the task.
        first, second: statistics of shape (rows, statistics), in the fixed order of the same split.
        trials: their numbers.
        seed: of swaps and resamples.
    """
    both = min(len(first), len(second))
    first, second = first[:both], second[:both]
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
    """Two-sided p of the hypothesis that both are equally good; arguments as of `paired`.

    999 swaps cannot show a p below 0.002. Where fewer than ten of them differ as much as what was measured, p is that
    of a normal distribution with their standard deviation, for a sum over many rows is nearly normal (Knijnenburg et
    al. 2009, "Fewer permutations, more accurate P-values", approximate the tail, too).
    """
    from scipy.stats import binomtest, norm, permutation_test

    if metric.interval == "wilson":
        better, worse = int((first[:, 0] > second[:, 0]).sum()), int((first[:, 0] < second[:, 0]).sum())
        return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    if np.array_equal(first, second):
        return 1.0
    both = np.concatenate([first, second])
    n = len(first)
    test = permutation_test(
        (np.arange(n), n + np.arange(n)),
        lambda a, b: metric.value(both[a]) - metric.value(both[b]),
        permutation_type="samples",
        vectorized=False,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    beyond = int((np.abs(test.null_distribution) >= abs(test.statistic) - 1e-12).sum())
    if beyond >= LEAST_BEYOND:
        return float(min(1.0, test.pvalue))
    spread = float(np.std(test.null_distribution))
    differing = int((first != second).any(axis=1).sum())
    least = 2.0 ** (1 - differing)  # all of them swapped one way, of two to the power of their number
    return float(min(1.0, max(least, 2 * norm.sf(abs(test.statistic) / spread)))) if spread else 1.0


def _interval(metric: Metric, first: Any, second: Any, seed: int) -> tuple[float, float]:
    n = len(first)
    if np.array_equal(first, second):
        # no row differs: the largest share of rows that may differ all the same (exact binomial bound)
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
        known: pairs compared before, which are not computed again unless more rows are known; new ones are added.
    """
    known = {} if known is None else known
    pairs = list(combinations(sorted(stats), 2))
    for a, b in pairs:
        if (a, b) not in known or known[a, b].rows != min(len(stats[a]), len(stats[b])):
            known[a, b] = paired(metric, stats[a], stats[b], (a, b), seed)
    return [known[pair] for pair in pairs]


def pairs_with(trial: int, pairs: Iterable[Paired]) -> dict[int, Paired]:
    """Comparisons of other options with one, by the other's trial: its quality minus that of `trial`."""
    by_trial = {}
    for pair in pairs:
        if pair.other == trial:
            by_trial[pair.trial] = pair
        elif pair.trial == trial:
            by_trial[pair.other] = pair.reversed()
    return by_trial


def holm(p: Mapping[int, float]) -> dict[int, float]:
    """p-values corrected for the number of comparisons (Holm 1979), which bounds the family-wise error rate."""
    corrected, least = {}, 0.0
    for i, key in enumerate(sorted(p, key=lambda k: p[k])):
        least = max(least, min(1.0, (len(p) - i) * p[key]))
        corrected[key] = least
    return corrected


def compared_with(trial: int, others: Collection[int], pairs: Iterable[Paired]) -> dict[int, tuple[Paired, float]]:
    """Comparisons of these options with one, by the other's trial, each with its p after Holm's correction."""
    by_trial = {t: pair for t, pair in pairs_with(trial, pairs).items() if t in others}
    corrected = holm({t: pair.p for t, pair in by_trial.items()})
    return {t: (pair, corrected[t]) for t, pair in by_trial.items()}


def dominated_within_error(
    values: Mapping[int, Mapping[str, float]],
    frontier: Sequence[int],
    clearly_worse: Callable[[int, int], bool],
    goals: Sequence[Goal] = DEFAULT_GOALS,
) -> list[int]:
    """Dominated options whose differences from every option that dominates them are within measurement error.

    Differences of quality are tested on the same rows; other objectives are within measurement error up to a ratio of
    1.2, latency up to 1.1.

    Args:
        values: objectives by name of every option measured in full, by trial.
        frontier: trials on it.
        clearly_worse: whether the first option's quality is significantly below the second's.
        goals: of the task.
    """
    certain = [g for g in goals if not g.uncertain]
    within = []
    for trial in sorted(set(values) - set(frontier)):
        option = values[trial]
        dominating = [other for other in frontier if all(_no_worse(values[other], option, g) for g in goals)]
        near = all(_nearly_equal(option, values[other], g) for other in dominating for g in certain)
        if dominating and near and not any(clearly_worse(trial, other) for other in dominating):
            within.append(trial)
    return within


def _no_worse(values: Mapping[str, float], others: Mapping[str, float], goal: Goal) -> bool:
    value, other = values[goal.name], others[goal.name]
    return value >= other if goal.direction == "maximize" else value <= other


def _nearly_equal(worse: Mapping[str, float], better: Mapping[str, float], goal: Goal) -> bool:
    """Whether an objective of a dominated option is within measurement error of the option that dominates it."""
    low, high = sorted((worse[goal.name], better[goal.name]))
    return high <= TOLERANCES.get(goal.name, SAME_COST) * low
