"""Prompts race on growing blocks of validation rows: one that another beats on the same rows is dropped.

A prompt at an early rung has answered the first rows of the split, and so has every prompt measured in full. Where one
of those is no worse in every other objective (costs no more, is no slower), the rows on which just one of the two is
better decide (exact sign test, the test of McNemar 1947 for right and wrong answers). A one-sided p below LEVEL, shared
among all that could beat it (Bonferroni), drops the prompt; so a prompt that is as good as all others is dropped in at
most LEVEL of the comparisons (racing: Maron and Moore 1994, "Hoeffding Races").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoadapt.domain.objective import Goal
from autoadapt.domain.outcome import Measurement
from autoadapt.row_statistics import stats_array
from autoadapt.runs.values import Values, known_goals, no_worse

LEVEL = 0.02


@dataclass(frozen=True)
class Runner:
    """A prompt with what it showed.

    Args:
        scores: of each row it answered, shape (rows,), in the split's order.
        values: its objectives.
    """

    scores: Any
    values: Values

    @classmethod
    def of(cls, measurement: Measurement, values: Values) -> "Runner":
        """From what was measured; the first of a row's statistics is its score."""
        return cls(stats_array(measurement)[:, 0], values)


def beaten_by(runner: Runner, others: Mapping[int, Runner], goals: Sequence[Goal]) -> int | None:
    """The trial that beats a prompt beyond chance, or None.

    Args:
        runner: the prompt, on its first rows.
        others: prompts measured on more rows, by trial.
        goals: what is optimised.
    """
    from scipy.stats import binomtest

    known = known_goals(goals)
    rivals = {
        trial: other
        for trial, other in others.items()
        if all(no_worse(goal, other.values[goal.name], runner.values[goal.name]) for goal in known)
    }
    rows = len(runner.scores)
    for trial, other in rivals.items():
        better = int((other.scores[:rows] > runner.scores).sum())
        worse = int((other.scores[:rows] < runner.scores).sum())
        if better > worse and binomtest(better, better + worse, 0.5, "greater").pvalue < LEVEL / len(rivals):
            return trial
    return None
