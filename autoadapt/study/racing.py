"""Prompts race on growing blocks of validation rows: one that another beats on the same rows is dropped.

A prompt at an early rung has answered the first rows of the split, and so has every prompt measured in full. Where one
of those costs no more and is no slower, the rows on which just one of the two is better decide (exact sign test, the
test of McNemar 1947 for right and wrong answers). A one-sided p below LEVEL, shared among all that could beat it
(Bonferroni), drops the prompt; so a prompt that is as good as all others is dropped in at most LEVEL of the looks
(racing: Maron and Moore 1994, "Hoeffding Races").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Measurement
from autoadapt.economics.objectives import stats_array

LEVEL = 0.02


@dataclass(frozen=True)
class Runner:
    """A prompt with what it showed: the score of each row it answered, shape (rows,), in the split's order."""

    scores: Any
    found: Objectives

    @classmethod
    def of(cls, measured: Measurement, found: Objectives) -> "Runner":
        """From what was measured; the first of a row's statistics is its score."""
        return cls(stats_array(measured)[:, 0], found)


def beaten_by(own: Runner, others: Mapping[int, Runner]) -> int | None:
    """The trial that beats a prompt for certain, or None.

    Args:
        own: the prompt, on its first rows.
        others: prompts measured on more rows, by trial.
    """
    from scipy.stats import binomtest

    rivals = {
        trial: other
        for trial, other in others.items()
        if other.found.cost_usd_per_1k <= own.found.cost_usd_per_1k and other.found.latency_ms <= own.found.latency_ms
    }
    rows = len(own.scores)
    for trial, other in rivals.items():
        better = int((other.scores[:rows] > own.scores).sum())
        worse = int((other.scores[:rows] < own.scores).sum())
        if better > worse and binomtest(better, better + worse, 0.5, "greater").pvalue < LEVEL / len(rivals):
            return trial
    return None
