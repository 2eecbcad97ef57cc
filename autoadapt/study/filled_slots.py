"""An Optuna sampler that draws no slot that is not filled yet and no labels that are not given yet, around one that
knows nothing of them."""

import random
from collections.abc import Mapping
from typing import Any

from optuna.samplers import BaseSampler

from autoadapt.domain.history import History
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.proposal import SLOT
from autoadapt.domain.space import Choices


def drawing_filled(sampler: Any, history: History, seed: int) -> Any:
    """A sampler whose slots are those that are filled, and which draws rows of a teacher that are labelled; the same
    sampler in a space without either.

    Args:
        sampler: any.
        history: whose arms have the values that may be drawn.
        seed: for values drawn in place of others.
    """
    possible: dict[str, list[int]] = {}
    for name in (SLOT, TEACHER_ROWS):
        specs = [branch.specs[name] for branch in history.branches.values() if name in branch.specs]
        if specs and isinstance(specs[0], Choices):
            possible[name] = [int(choice) for choice in specs[0].choices if choice is not None]
    return _FilledSlots(sampler, possible, seed) if possible else sampler


class _FilledSlots(BaseSampler):
    """See `drawing_filled`."""

    def __init__(self, sampler: BaseSampler, possible: Mapping[str, list[int]], seed: int) -> None:
        self._sampler, self._possible, self._random = sampler, possible, random.Random(seed)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        drawn = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._possible_value(name, value) for name, value in drawn.items()}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._possible_value(param_name, value)

    def before_trial(self, study: Any, trial: Any) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def _possible_value(self, name: str, value: Any) -> Any:
        """The value of a parameter, or another one where it is a slot or a number of rows that may not be drawn."""
        possible = self._possible.get(name.rpartition(".")[2])  # Optuna's names are prompt.slot and ARM.teacher_rows
        return value if possible is None or value in possible else self._random.choice(possible)
