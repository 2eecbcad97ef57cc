"""Many candidates of one arm at once: drawn, or moved from others. Most are looked at as numbers and never built."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate, Params
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.space import Scalar
from autoadapt.surrogates.parameters import Parameter

STEPS = (0.05, 0.12, 0.3)
"""Standard deviations by which numbers of a candidate are shifted."""
OTHER_MODEL, OTHER_CHOICE, OTHER_NUMBER = 0.1, 0.2, 0.4
"""Shares of moves with which a model, a choice and a number differ from what they were."""
PASSES = ("num_train_epochs", "pairs_per_row")
"""Parameters of which `Candidate.passes` is made."""


@dataclass(frozen=True)
class Drawn:
    """Candidates of one arm side by side.

    Args:
        parameters: of the arm.
        models: shape (m,), index of each candidate's base model.
        units: shape (m, parameters), numbers in [0, 1) that stand for values; unused where a parameter does not apply.
        kept: shape (m, parameters), bool: where the value is that of another candidate instead.
        others: candidates of which values are kept.
        source: shape (m,), which of the others each candidate was moved from.
        rows: for training, those of a teacher apart; 0: not known.
    """

    parameters: Sequence[Parameter]
    models: Any
    units: Any
    kept: Any
    others: Sequence[Candidate] = ()
    source: Any = None
    rows: int = 0

    def __len__(self) -> int:
        return len(self.models)

    def params(self, i: int) -> Params:
        """Parameters of one of the candidates."""
        params: Params = {}
        for j in np.flatnonzero(self.applies[i]).tolist():
            parameter = self.parameters[j]
            if self.kept[i, j]:
                params[parameter.name] = self.others[self.source[i]].params[parameter.name]
            else:
                params[parameter.name] = parameter.value(float(self.units[i, j]))
        return params

    def points(self, empty: Any) -> Any:
        """Where the candidates stand, shape (m, d).

        Args:
            empty: point of a candidate without parameters, shape (d,).
        """
        points = np.tile(empty, (len(self), 1))
        points[:, 0] = self.models
        for j, parameter in enumerate(self.parameters):
            numbers = self._figures(j, parameter.numbers(self.units[:, j]), parameter.number)
            points[:, parameter.column] = np.where(self.applies[:, j], numbers, points[:, parameter.column])
        return points

    @property
    def passes(self) -> Any:
        """Passes over the training rows of each candidate, shape (m,): see `Candidate.passes_over`."""
        passes = np.ones(len(self))
        for j, parameter in enumerate(self.parameters):
            if parameter.name in PASSES:
                drawn = np.array([_factor(value) for value in parameter.values(self.units[:, j])])
                passes *= np.where(self.applies[:, j], self._figures(j, drawn, _factor), 1.0)
            elif parameter.name == TEACHER_ROWS and self.rows:
                drawn = np.array([_count(value) for value in parameter.values(self.units[:, j])])
                passes *= 1 + np.where(self.applies[:, j], self._figures(j, drawn, _count), 0.0) / self.rows
        return passes

    @cached_property
    def applies(self) -> Any:
        """Whether each parameter applies to each candidate, given those before it, shape (m, parameters)."""
        applies = np.ones(self.units.shape, bool)
        at = {parameter.name: j for j, parameter in enumerate(self.parameters)}
        for j, parameter in enumerate(self.parameters):
            for name, wanted in parameter.conditions.items():
                met = np.full(len(self), None in wanted)  # what does not apply has no value
                if name in at:
                    met = np.where(applies[:, at[name]], self._holds(at[name], wanted), met)
                applies[:, j] &= met
        return applies

    def _holds(self, j: int, wanted: Sequence[Scalar]) -> Any:
        """Whether a parameter has one of some values, shape (m,), where it applies."""
        drawn = np.array([value in wanted for value in self.parameters[j].values(self.units[:, j])])
        return self._figures(j, drawn, lambda value: value in wanted).astype(bool)

    def _figures(self, j: int, drawn: Any, figure: Callable[[Any], float]) -> Any:
        """Figures of a parameter's values, shape (m,).

        Args:
            j: which parameter.
            drawn: figures of the values that its numbers stand for, shape (m,).
            figure: that of a value, for those that were kept.
        """
        name, kept = self.parameters[j].name, self.kept[:, j]
        if not kept.any():
            return drawn
        own = np.array([figure(c.params[name]) if name in c.params else 0.0 for c in self.others])
        return np.where(kept, own[self.source], drawn)


def moved(drawn: Drawn, others: Sequence[Candidate], models: Any, random: np.random.Generator) -> Drawn:
    """Candidates near others: some numbers shifted, now and then another choice.

    Args:
        drawn: m random candidates, from which other models and other choices are taken.
        others: at least one, of the same arm.
        models: their base models, shape (others,).
        random: for what is moved and how far.
    """
    source, shape = random.integers(len(others), size=len(drawn)), drawn.units.shape
    step = np.array(STEPS)[random.integers(len(STEPS), size=len(drawn))]
    other_model, other, shift = random.random(len(drawn)), random.random(shape), random.normal(size=shape)
    units, kept = drawn.units.copy(), np.zeros(shape, bool)
    for j, parameter in enumerate(drawn.parameters):
        has = np.array([parameter.name in c.params for c in others])
        kept[:, j] = has[source] & (other[:, j] >= (OTHER_NUMBER if parameter.ordered else OTHER_CHOICE))
        if parameter.ordered:
            old = np.array(
                [parameter.number(c.params[parameter.name]) if h else 0.0 for c, h in zip(others, has, strict=True)]
            )
            shifted = np.clip(old[source] + step * shift[:, j], 0.0, 1 - 1e-9)
            units[:, j] = np.where(has[source], shifted, units[:, j])
    of_model = np.where(other_model < OTHER_MODEL, drawn.models, models[source])
    return replace(drawn, models=of_model, units=units, kept=kept, others=others, source=source)


def _factor(value: Any) -> float:
    return float(value or 1.0)


def _count(value: Any) -> float:
    return float(value or 0.0)
