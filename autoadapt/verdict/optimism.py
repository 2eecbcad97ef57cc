"""By how much the validation score by which an option was chosen is too high."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option
from autoadapt.domain.verdict import Optimism

RESAMPLES = 200
MOST_OPTIONS = 50
"""Only the best ones are resampled: those far below are never selected."""


def rivals(trial: int, values: Mapping[int, Mapping[str, float]], goals: Sequence[Goal]) -> list[int]:
    """The options among which one was chosen by its quality, itself included.

    The best one has beaten all others. A cheaper one is on the frontier because it is the best of those that cost no
    more than it does, and so for every other objective that is known exactly.

    Args:
        trial: that was chosen.
        values: objectives by name of every option measured in full, by trial; quality as the frontier is chosen by it.
        goals: of the task.
    """
    uncertain, certain = [g for g in goals if g.uncertain], [g for g in goals if not g.uncertain]
    own = values[trial]
    if not any(_worse(own, of, goal) for of in values.values() for goal in uncertain):
        return sorted(values)
    return sorted(t for t, of in values.items() if not any(_worse(of, own, goal) for goal in certain))


def _worse(values: Mapping[str, float], others: Mapping[str, float], goal: Goal) -> bool:
    value, other = values[goal.name], others[goal.name]
    return value < other if goal.direction == "maximize" else value > other


def expected_optimism(
    metric: Metric, stats: Mapping[int, Any], seed: int = 0, qualities: Mapping[int, float] | None = None
) -> float:
    """Expected excess of the score of the option that was chosen over its true quality, from the same rows alone.

    Rows are drawn with replacement, and the choice is made again: the excess of the option that is best on the rows
    drawn, less its own score on all rows, is what choosing adds. True qualities differ less than measured ones, so
    that measured differences, taken for true ones, would let too few options win by chance: they are reduced to the
    variance that is left when the variance over rows is taken off (as empirical Bayes estimates do). That the search
    itself used the same rows is not accounted for.

    Args:
        metric: of the task.
        stats: statistics of the rows of each option that might have been chosen, shape (rows, statistics), the same
            rows for all.
        seed: of the draws.
        qualities: by which it was chosen, by trial; None: the measured ones.
    """
    whole = {t: metric.value(s) for t, s in stats.items()} if qualities is None else qualities
    best = sorted(stats, key=lambda t: -whole[t])[:MOST_OPTIONS]
    if len(best) < 2:
        return 0.0
    rng, n = np.random.default_rng(seed), len(stats[best[0]])
    drawn = [rng.integers(n, size=n) for _ in range(RESAMPLES)]
    luck = np.array([[metric.value(stats[t][rows]) for t in best] for rows in drawn])
    luck -= luck.mean(0)  # rows drawn twice lower metrics such as F1, which is no matter of choosing
    chosen = (_reduced(np.array([whole[t] for t in best]), luck) + luck).argmax(1)
    return max(0.0, float(luck[np.arange(RESAMPLES), chosen].mean()))


def _reduced(measured: NDArray[Any], luck: NDArray[Any]) -> NDArray[Any]:
    """Qualities around their mean with the variance that true ones have.

    Args:
        measured: shape (options,).
        luck: deviations of resampled qualities, shape (draws, options).
    """
    by_chance = (luck - luck.mean(1, keepdims=True)).var(0).sum() / (len(measured) - 1)
    differing = measured.var(ddof=1)
    share = max(0.0, 1 - float(by_chance / differing)) if differing > 0 else 0.0
    return np.asarray(measured.mean() + math.sqrt(share) * (measured - measured.mean()))


def optimism(
    option: Option,
    metric: Metric,
    stats: Mapping[int, Any],
    seed: int = 0,
    qualities: Mapping[int, float] | None = None,
) -> Optimism:
    """By how much an option's validation score is too high: expected of how it was chosen, and by its test rows.

    Args:
        option: that was chosen.
        metric, stats, seed, qualities: as of `expected_optimism`, on validation rows; no statistics: not known.
    """
    expected: dict[str, float] = {}
    if stats:
        # what choosing adds is an average, as uncertain for one option as it is large
        mean = expected_optimism(metric, stats, seed, qualities)
        down, up = (math.hypot(end - option.quality, mean) for end in option.quality_ci)
        expected = {"expected": mean, "expected_low": mean - up, "expected_high": mean + down}
    observed: dict[str, float] = {}
    if option.test_quality is not None and option.test_quality_ci is not None:
        # the validation score is what it is: how far the true quality lies from it is uncertain by test rows alone
        least, most = option.test_quality_ci
        observed = {"observed": option.quality - option.test_quality}
        observed |= {"observed_low": option.quality - most, "observed_high": option.quality - least}
    return Optimism(
        trial=option.trial, validation_quality=option.quality, options=max(1, len(stats)), **expected, **observed
    )
