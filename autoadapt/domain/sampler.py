"""Sampler: how the next candidate is chosen. The shelf ``samplers/`` holds one per file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History
from autoadapt.domain.strict import StrictModel


@dataclass(frozen=True)
class Decision:
    """What to run next: a candidate, or the next rung of a paused trial; neither leaves it to the sampler's `build`."""

    candidate: Candidate | None = None
    promote: int | None = None
    """Number of a paused trial."""
    straight: bool = False
    """Whether the candidate gets all of the work at once, or the paused trial all that is left of it, without rungs."""
    converged: bool = False
    """Whether no job that could be run is worth its cost."""
    waits: bool = False
    """Whether nothing is to be begun now: there is no candidate that can work and that the budget pays for."""


class Sampler(ABC):
    """How the next candidate is chosen.

    For every trial: `decide` first where `pauses` is true, then `build` unless a paused trial was named.
    """

    class Settings(StrictModel):
        """Settings of this sampler, filled from the task: ``search: {sampler: {NAME: {setting: value}}}``."""

    pauses: ClassVar[bool] = False
    """Whether trials wait at each rung until `decide` names them; else the rule of `autoadapt.study.rungs` holds."""

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = settings if settings is not None else self.Settings()

    @abstractmethod
    def build(self, seed: int, history: History) -> Any:
        """An Optuna ``BaseSampler``; one is built for every trial, so that a resumed study repeats."""

    def decide(self, seed: int, history: History) -> Decision:
        """What to run next, for samplers that pause trials."""
        return Decision()

    def believed(self, history: History) -> Mapping[int, float]:
        """Qualities of trials measured in full, by number, where the sampler knows better than one measurement."""
        return {}
