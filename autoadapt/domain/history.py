"""History: what a sampler may know when it chooses: every trial with what its rungs showed, the space, what is left."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.space import Branch, arm_of
from autoadapt.domain.task import Constraints
from autoadapt.domain.trial_state import TrialState


@dataclass(frozen=True)
class Reached:
    """What a finished rung showed."""

    rung: int
    share: float
    """Share of the full work done by the end of this rung, in (0, 1]."""
    values: Mapping[str, float]
    """Every objective by name; a cost contains the training that the full work would take."""
    error: float
    """Standard error of the uncertain objective over the rows it was measured on; of the first objective where none is
    uncertain."""
    device_seconds: float
    """Of fitting and measuring, by this rung's jobs alone; of a training whose time was up, what the whole would have
    taken."""
    overhead_seconds: float
    """Further device-seconds that a job with a warm worker held: loading the model, bookkeeping; 0 if none was."""
    trained: float = field(default=1.0, kw_only=True)
    """Share of the planned steps that were done; below 1 only where the time for training was up."""
    order: int
    """Place among all finished rungs of the study, by time."""


@dataclass(frozen=True)
class TrialHistory:
    """One trial."""

    number: int
    candidate: Candidate
    reached: tuple[Reached, ...]
    state: TrialState


def at_chance(quality: float, error: float, chance: float | None) -> bool:
    """Whether a quality is no better than chance by two standard errors; never where chance is not known."""
    return chance is not None and quality <= chance + 2 * error


@dataclass(frozen=True)
class History:
    """A study so far.

    Args:
        trials: every trial, by number.
        branches: the parameters of each arm: of a method, on the models that it suits.
        models: base models that may be used.
        tunes: methods that train.
        floor: simple methods that are measured before all others.
        left_seconds: device-seconds the budget still pays for; None without such a limit.
        may_try: whether the budget allows another candidate.
        constraints: what a recommended option must satisfy.
        goals: what is optimised.
        least_gain: share of the hypervolume reached below which a job is not worth taking.
        first: candidates that should be tried before others, untried so far.
        can_work: whether a candidate may work at all; others should not be asked for.
        unpaid: whether a candidate could work if what is left of the budget paid for it.
        closed: methods of which no further candidate may be tried; `can_work` refuses them one by one.
        chance: quality of always giving the most frequent label; None: not known. A training that has done a part of
            its steps and is no better says nothing of what it will reach.
        job_seconds: (method, model) -> device-seconds that the full work took in earlier runs, per pass over
            the training rows (`Candidate.passes`).
        rows: for training, those of a teacher apart; 0: not known.
        expected_seconds: device-seconds that a candidate's whole job will probably take by the text that it reads;
            None: nothing of its method and model is known.
    """

    trials: tuple[TrialHistory, ...]
    branches: Mapping[str, Branch]
    models: tuple[str, ...]
    tunes: frozenset[str]
    left_seconds: float | None
    may_try: bool
    constraints: Constraints
    goals: tuple[Goal, ...] = DEFAULT_GOALS
    least_gain: float = 0.0
    first: tuple[Candidate, ...] = ()
    can_work: Callable[[Candidate], bool] = lambda candidate: True
    unpaid: Callable[[Candidate], bool] = lambda candidate: False
    floor: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    chance: float | None = None
    job_seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rows: int = 0
    expected_seconds: Callable[[Candidate], float | None] = lambda candidate: None

    def silent(self, trial: TrialHistory, reached: Reached) -> bool:
        """Whether a rung says nothing of its trial: a part of a training after which it is at chance."""
        quality = reached.values.get("quality")
        part = trial.candidate.method in self.tunes and reached.share * reached.trained < 1
        return part and quality is not None and at_chance(quality, reached.error, self.chance)

    def arm(self, candidate: Candidate) -> str:
        """Name of the arm to which a candidate belongs."""
        pair = candidate.method, candidate.model
        return self._arms[pair] if pair in self._arms else arm_of(self.branches, *pair)

    @functools.cached_property
    def _arms(self) -> dict[tuple[str, str], str]:
        """The arm of every method and model: it is asked for every trial, several times in a decision."""
        arms: dict[tuple[str, str], str] = {}
        for name, branch in self.branches.items():
            for model in branch.models or self.models:
                arms.setdefault((branch.method, model), name)
        return arms
