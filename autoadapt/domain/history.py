"""History: what a sampler may know when it chooses: every trial with what its rungs showed, the space, what is left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.space import Branch
from autoadapt.domain.task import Constraints
from autoadapt.domain.trial import Candidate


@dataclass(frozen=True)
class Reached:
    """What a finished rung showed."""

    rung: int
    share: float
    """Share of the full work done by the end of this rung, in (0, 1]."""
    values: Mapping[str, float]
    """Name of each goal -> its value, in the goal's unit. A cost counts the training that the full work would take."""
    error: float
    """Standard error of the uncertain goal's value over the rows it was measured on; 0 where it has none."""
    device_seconds: float
    """Of fitting and measuring, in the steps of this rung only."""
    overhead_seconds: float
    """Further device-seconds of a step whose worker was warm: loading the model, bookkeeping; 0 if no worker was."""
    order: int
    """Place among all finished rungs of the study, by time."""


@dataclass(frozen=True)
class TrialHistory:
    """One trial: what it tried and what its finished rungs showed."""

    number: int
    candidate: Candidate
    reached: tuple[Reached, ...]
    state: Literal["running", "paused", "done", "failed"]


@dataclass(frozen=True)
class History:
    """A study so far.

    Args:
        trials: every trial, by number.
        branches: the parameters of each method that may be used.
        models: base models that may be used.
        tunes: methods that train.
        left_seconds: device-seconds the budget still pays for; None without such a limit.
        may_try: whether the budget allows another candidate.
        constraints: what a recommended option must hold.
        least_gain: share of the hypervolume reached below which a step is not worth taking.
        first: candidates that should be tried before others, untried so far.
        job_seconds: (method, model) -> device-seconds that the full work took in earlier runs, per pass over
            the training rows (`Candidate.passes`).
        goals: the objectives, 2 to 5 of them, at most one of them uncertain.
    """

    trials: tuple[TrialHistory, ...]
    branches: Mapping[str, Branch]
    models: tuple[str, ...]
    tunes: frozenset[str]
    left_seconds: float | None
    may_try: bool
    constraints: Constraints
    least_gain: float = 0.0
    first: tuple[Candidate, ...] = ()
    job_seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    goals: tuple[Goal, ...] = DEFAULT_GOALS
