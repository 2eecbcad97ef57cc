"""What the rungs of a study showed, in the form that models are fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autoadapt.domain.history import Attempt, History, Reached

Known = Literal["job", "cost", "latency"]
"""Predictable to a few percent: log10 of a job's seconds per pass, of USD per 1,000 queries, of milliseconds."""
PROMPT_EXPONENT = 0.5
"""Time of answering a part of the rows grows with about this power of the part: loading and warm-up weigh."""
LEAST_FOR_CLIFF, CLIFF = 5, 2.0
"""Qualities below the median by more than so many times the better half's spread are raised to there."""


@dataclass(frozen=True)
class Observation:
    """One finished rung."""

    attempt: Attempt
    reached: Reached
    missing: float
    """How much of the work is missing: log9 of one over the share done."""
    log_job: float
    """log10 of the device-seconds that one pass of the whole job would take."""

    def known(self, what: Known) -> float:
        """The logarithm of one of the predictable figures."""
        if what == "job":
            return self.log_job
        return log(self.reached.cost_usd_per_1k if what == "cost" else self.reached.latency_ms)


def log(value: float) -> float:
    """log10, also of zero."""
    return math.log10(max(value, 1e-12))


def observations(history: History) -> list[Observation]:
    """Every finished rung, by time."""
    found = []
    for attempt in history.attempts:
        before = 0.0
        tunes = attempt.candidate.method in history.tunes
        for reached in attempt.reached:
            part = max(reached.share - before, 1e-6)
            seconds = max(reached.device_seconds, 1e-6) / part ** exponent(history, attempt)
            # a prompt's later rung answers the earlier rows too: it replaces what they showed
            if tunes or reached is attempt.reached[-1]:
                missing = math.log(1 / reached.share) / math.log(9) if tunes else 0.0
                found.append(Observation(attempt, reached, missing, math.log10(seconds / attempt.candidate.passes)))
            before = reached.share
    return sorted(found, key=lambda o: o.reached.order)


def exponent(history: History, attempt: Attempt) -> float:
    """Power of the share of the work with which a trial's seconds grow."""
    return 1.0 if attempt.candidate.method in history.tunes else PROMPT_EXPONENT


def without_cliffs(seen: Sequence[Observation]) -> Any:
    """Qualities, shape (n,), with the worst of each method and model raised.

    A diverged run says that it is bad, not how bad its neighbours are: a model that had to explain the cliff would be
    unsure everywhere. What counts is how the better half differs.
    """
    qualities = np.array([o.reached.quality for o in seen])
    groups: dict[tuple[str, str], list[int]] = {}
    for i, o in enumerate(seen):
        groups.setdefault((o.attempt.candidate.method, o.attempt.candidate.model), []).append(i)
    for own in groups.values():
        if len(own) >= LEAST_FOR_CLIFF:
            middle, high = np.quantile(qualities[own], [0.5, 0.9])
            qualities[own] = np.maximum(qualities[own], middle - CLIFF * max(high - middle, 0.02))
    return qualities


def thin(seen: Sequence[Observation], most: int) -> list[Observation]:
    """The best and the latest observations, at most so many, in their order."""
    if len(seen) <= most:
        return list(seen)
    best = sorted(seen, key=lambda o: -o.reached.quality)[: most // 2]
    kept = {id(o) for o in best} | {id(o) for o in seen[-(most - most // 2) :]}
    return [o for o in seen if id(o) in kept]
