"""What the rungs of a study showed, in the form that models are fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoadapt.domain.history import History, Reached, TrialHistory

PROMPT_EXPONENT = 0.5
"""Time of answering a part of the rows grows with about this power of the part: loading and warm-up weigh."""
LEAST_FOR_CLIFF, CLIFF, LEAST_SPREAD = 5, 2.0, 0.02
"""Values below the median by more than so many times the better half's spread, at least this, are raised to there."""


@dataclass(frozen=True)
class Observation:
    """One finished rung."""

    trial: TrialHistory
    """Whose it is; it may have gone on since."""
    reached: Reached
    missing: float
    """How much of the work is missing: log9 of one over the share done."""
    log_job: float
    """log10 of the device-seconds that one pass of the whole job would take."""
    silent: bool = False
    """Whether it says nothing of the uncertain objective (`History.silent`)."""


def log(value: float) -> float:
    """log10, also of zero."""
    return math.log10(max(value, 1e-12))


def observations(history: History) -> list[Observation]:
    """Every finished rung, by time."""
    return by_time([o for trial in history.trials for o in observed(history, trial)])


def observed(history: History, trial: TrialHistory) -> tuple[Observation, ...]:
    """What a trial's finished rungs showed. Of the history, only methods that train and quality at chance matter."""
    before, own = 0.0, []
    tunes = trial.candidate.method in history.tunes
    for reached in trial.reached:
        part = max(reached.share - before, 1e-6)
        seconds = max(reached.device_seconds, 1e-6) / part ** exponent(history, trial)
        # a prompt's later rung answers the earlier rows too: it replaces what they showed
        if tunes or reached is trial.reached[-1]:
            missing = math.log(1 / (reached.share * reached.trained)) / math.log(9) if tunes else 0.0
            log_job, silent = (
                math.log10(seconds / trial.candidate.passes_over(history.rows)),
                history.silent(trial, reached),
            )
            own.append(Observation(trial, reached, missing, log_job, silent))
        before = reached.share
    return tuple(own)


def by_time(every: Sequence[Observation]) -> list[Observation]:
    """Finished rungs in the order in which they were finished."""
    return sorted(every, key=lambda o: o.reached.order)


def exponent(history: History, trial: TrialHistory) -> float:
    """Power of the share of the work with which a trial's seconds grow."""
    return 1.0 if trial.candidate.method in history.tunes else PROMPT_EXPONENT


def without_cliffs(seen: Sequence[Observation], values: Any) -> Any:
    """Encoded values of the uncertain objective, shape (n,), with the worst of each method and model raised.

    A diverged run says that it is bad, not how bad its neighbours are: a model that had to explain the cliff would be
    unsure everywhere. What counts is how the better half differs.

    Args:
        seen: n finished rungs.
        values: their encoded values, shape (n,).
    """
    raised = np.array(values)
    groups: dict[tuple[str, str], list[int]] = {}
    for i, o in enumerate(seen):
        groups.setdefault((o.trial.candidate.method, o.trial.candidate.model), []).append(i)
    for group in groups.values():
        if len(group) >= LEAST_FOR_CLIFF:
            middle, high = np.quantile(raised[group], [0.5, 0.9])
            raised[group] = np.maximum(raised[group], middle - CLIFF * max(high - middle, LEAST_SPREAD))
    return raised


def thin(values: Any, most: int) -> Any:
    """Indices of at most so many observations, in their order: those with the best values, and the latest.

    Args:
        values: of all observations, by time, shape (n,); greater is better.
        most: how many.
    """
    if len(values) <= most:
        return np.arange(len(values))
    best, latest = (
        np.argsort(-values, kind="stable")[: most // 2],
        np.arange(len(values) - (most - most // 2), len(values)),
    )
    return np.union1d(best, latest)
