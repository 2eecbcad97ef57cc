"""Candidates as points: numbers in [0, 1], choices as indices; and new candidates, drawn or moved from old ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.space import Branch, Choices, Range, Scalar, applies
from autoadapt.surrogates.gaussian_process import Columns

ABSENT = -1.0
"""Column value of a categorical parameter that does not apply; a numeric one stands in the middle."""


class Features:
    """The joint space of some arms as columns: model, parameters of the prompt, then each arm's own.

    Args:
        branches: arm -> its parameters; those of the prompt are the same in all arms that have them.
        models: base models.
    """

    def __init__(self, branches: Mapping[str, Branch], models: Sequence[str]) -> None:
        self.branches, self.models, self.arms = dict(branches), list(models), list(branches)
        self._models_of = {arm: list(branch.models or models) for arm, branch in branches.items()}
        self._arm_of = {(b.method, model): arm for arm, b in branches.items() for model in self._models_of[arm]}
        self._at: dict[tuple[str, str], int] = {}
        categorical, steep, of_arm = [True], [False], []
        prompted = max(branches.values(), key=lambda branch: branch.shared)
        for name in list(prompted.specs)[: prompted.shared]:
            for arm, branch in branches.items():
                if branch.shared:
                    self._at[arm, name] = len(categorical)
            categorical.append(not _ordered(prompted.specs[name]))
            steep.append(_steep(prompted.specs[name]))
        shared = list(range(len(categorical)))
        for arm, branch in branches.items():
            begin = len(categorical)
            for name in list(branch.specs)[branch.shared :]:
                self._at[arm, name] = len(categorical)
                categorical.append(not _ordered(branch.specs[name]))
                steep.append(_steep(branch.specs[name]))
            of_arm.append(np.array([*(shared if branch.shared else [0]), *range(begin, len(categorical))]))
        self._ordered = {(m, n): _ordered(s) for m, b in self.branches.items() for n, s in b.specs.items()}
        model = 0 if len(models) > 1 else None
        self._empty = np.where(categorical, ABSENT, 0.5)
        self.columns = Columns(np.array(categorical), np.array(shared), tuple(of_arm), model, np.array(steep))

    def arm_of(self, method: str, model: str) -> str | None:
        """The arm of a method on a model; None: they do not suit each other, or one of them is not searched."""
        return self._arm_of.get((method, model))

    def arm_name(self, candidate: Candidate) -> str:
        """The candidate's arm."""
        return self._arm_of[candidate.method, candidate.model]

    def arm(self, candidate: Candidate) -> int:
        """Index of the candidate's arm."""
        return self.arms.index(self.arm_name(candidate))

    def place(self, candidate: Candidate) -> tuple[int, int]:
        """Indices of the candidate's arm and model."""
        return self.arm(candidate), self.models.index(candidate.model)

    def point(self, candidate: Candidate) -> Any:
        """The candidate's columns, shape (d,)."""
        point = self._empty.copy()
        point[0] = self.models.index(candidate.model)
        arm = self.arm_name(candidate)
        specs = self.branches[arm].specs
        for name, value in candidate.params.items():
            point[self._at[arm, name]] = _to_number(specs[name], value, self._ordered[arm, name])
        return point

    def draw(self, arm: str, random: np.random.Generator) -> Candidate:
        """A uniformly random candidate of an arm."""
        return self._complete(arm, self._draw_model(arm, random), lambda name, spec: _from_unit(spec, random.random()))

    def _draw_model(self, arm: str, random: np.random.Generator) -> str:
        models = self._models_of[arm]
        return models[int(random.integers(len(models)))]

    def move(self, candidate: Candidate, random: np.random.Generator) -> Candidate:
        """A candidate near another: some numbers shifted, now and then another choice."""
        arm = self.arm_name(candidate)
        model, step = candidate.model, float(random.choice([0.05, 0.12, 0.3]))
        if len(self._models_of[arm]) > 1 and random.random() < 0.1:
            model = self._draw_model(arm, random)

        def value(name: str, spec: Choices | Range) -> Scalar:
            old = candidate.params.get(name)
            if name not in candidate.params:
                return _from_unit(spec, random.random())
            ordered = self._ordered[arm, name]
            if not ordered:
                return _from_unit(spec, random.random()) if random.random() < 0.2 else old
            if random.random() < 0.6:
                return old
            return _from_unit(spec, min(max(_to_number(spec, old, True) + step * random.normal(), 0.0), 1 - 1e-9))

        return self._complete(arm, model, value)

    def _complete(self, arm: str, model: str, value: Any) -> Candidate:
        branch = self.branches[arm]
        chosen: dict[str, Scalar] = {}
        for name, spec in branch.specs.items():
            if not spec.when or applies(spec, {"answers": branch.answers, **chosen}):
                chosen[name] = value(name, spec)
        return Candidate.model_construct(method=branch.method, model=model, params=chosen)


def _ordered(spec: Choices | Range) -> bool:
    if isinstance(spec, Range):
        return True
    numbers = [c for c in spec.choices if isinstance(c, int | float) and not isinstance(c, bool)]
    return len(numbers) == len(spec.choices) > 2 and numbers == sorted(numbers)


def _steep(spec: Choices | Range) -> bool:
    """Whether it spans at least two orders of magnitude."""
    if isinstance(spec, Range):
        return spec.log and spec.high >= 100 * spec.low
    return _ordered(spec) and float(spec.choices[0]) > 0 and float(spec.choices[-1]) >= 30 * float(spec.choices[0])  # type: ignore[arg-type]


def _to_number(spec: Choices | Range, value: Any, ordered: bool) -> float:
    if isinstance(spec, Choices):
        index = spec.choices.index(value)
        return index / max(1, len(spec.choices) - 1) if ordered else float(index)
    if spec.high == spec.low:
        return 0.5
    if spec.log:
        return (math.log(value) - math.log(spec.low)) / (math.log(spec.high) - math.log(spec.low))
    return float((value - spec.low) / (spec.high - spec.low))


def _from_unit(spec: Choices | Range, unit: float) -> Scalar:
    if isinstance(spec, Choices):
        count = len(spec.choices)
        return spec.choices[min(count - 1, int(unit * count))]
    value = spec.low * (spec.high / spec.low) ** unit if spec.log else spec.low + unit * (spec.high - spec.low)
    whole = isinstance(spec.low, int) and isinstance(spec.high, int)
    step = spec.step if spec.step is not None else (1 if whole else None)
    if step is not None:
        value = spec.low + round((value - spec.low) / step) * step
    value = min(max(value, spec.low), spec.high)
    return round(value) if whole else float(value)
