"""History: what a sampler may know when it chooses: every trial with what its rungs showed, the space, what is left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from autoadapt.domain.space import Branch
from autoadapt.domain.task import Constraints
from autoadapt.domain.candidate import Candidate


@dataclass(frozen=True)
class Reached:
    """What a finished rung showed."""

    rung: int
    share: float
    """Share of the full work done by the end of this rung, in (0, 1]."""
    quality: float
    quality_error: float
    """Standard error of `quality` over the rows it was measured on."""
    cost_usd_per_1k: float
    """USD per 1,000 queries, with the training that the full work would take."""
    latency_ms: float
    device_seconds: float
    """Of fitting and measuring, by this rung's steps alone."""
    overhead_seconds: float
    """Device-seconds held besides by a step whose worker was warm: loading the model, bookkeeping; 0 if none was."""
    order: int
    """Place among all finished rungs of the study, by time."""


@dataclass(frozen=True)
class Attempt:
    """One trial."""

    number: int
    candidate: Candidate
    reached: tuple[Reached, ...]
    state: Literal["running", "paused", "done", "failed"]


@dataclass(frozen=True)
class History:
    """A study so far.

    Args:
        attempts: every trial, by number.
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
    """

    attempts: tuple[Attempt, ...]
    branches: Mapping[str, Branch]
    models: tuple[str, ...]
    tunes: frozenset[str]
    left_seconds: float | None
    may_try: bool
    constraints: Constraints
    least_gain: float = 0.0
    first: tuple[Candidate, ...] = ()
    job_seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)
