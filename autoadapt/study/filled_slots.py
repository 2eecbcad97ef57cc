"""An Optuna sampler that draws no slot that is not filled yet, around one that knows nothing of slots."""

import random
from typing import Any

from optuna.samplers import BaseSampler

from autoadapt.domain.history import History
from autoadapt.domain.proposal import SLOT
from autoadapt.domain.space import Choices

PARAMETER = f"prompt.{SLOT}"
"""Optuna's name of the parameter."""


def drawing_filled(sampler: Any, history: History, seed: int) -> Any:
    """A sampler whose slots are those that are filled; the same one in a space without slots.

    Args:
        sampler: any.
        history: whose arms have the slots that may be drawn.
        seed: for slots drawn in place of those that are not filled.
    """
    specs = [branch.specs[SLOT] for branch in history.branches.values() if SLOT in branch.specs]
    if not specs or not isinstance(specs[0], Choices):
        return sampler
    return _FilledSlots(sampler, [int(choice) for choice in specs[0].choices if choice is not None], seed)


class _FilledSlots(BaseSampler):
    """See `drawing_filled`."""

    def __init__(self, sampler: BaseSampler, filled: list[int], seed: int) -> None:
        self._sampler, self._filled, self._random = sampler, filled, random.Random(seed)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        drawn = self._sampler.sample_relative(study, trial, search_space)
        if PARAMETER in drawn:
            drawn = {**drawn, PARAMETER: self._one_filled(drawn[PARAMETER])}
        return drawn

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._one_filled(value) if param_name == PARAMETER else value

    def before_trial(self, study: Any, trial: Any) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def _one_filled(self, slot: Any) -> int:
        return slot if slot in self._filled else self._random.choice(self._filled)
