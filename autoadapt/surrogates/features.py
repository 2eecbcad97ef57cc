"""Candidates as points: numbers in [0, 1], choices as indices; and new candidates, drawn or moved from old ones.

A decision looks at hundreds of candidates of every arm, so what follows from the space alone is worked out once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.space import Branch, Scalar
from autoadapt.surrogates.parameters import Parameter, choices_of, is_ordered, is_steep
from autoadapt.surrogates.places import ABSENT, Columns, Places
from autoadapt.surrogates.pool import Pool

STEPS = (0.05, 0.12, 0.3)
"""Standard deviations by which numbers of a candidate are shifted."""


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
        categorical, steep, choices, of_arm = [True], [False], [len(models)], []
        prompted = max(branches.values(), key=lambda branch: branch.shared)
        for name in list(prompted.specs)[: prompted.shared]:
            for arm, branch in branches.items():
                if branch.shared:
                    self._at[arm, name] = len(categorical)
            categorical.append(not is_ordered(prompted.specs[name]))
            steep.append(is_steep(prompted.specs[name]))
            choices.append(choices_of(prompted.specs[name]))
        shared = list(range(len(categorical)))
        for arm, branch in branches.items():
            begin = len(categorical)
            for name in list(branch.specs)[branch.shared :]:
                self._at[arm, name] = len(categorical)
                categorical.append(not is_ordered(branch.specs[name]))
                steep.append(is_steep(branch.specs[name]))
                choices.append(choices_of(branch.specs[name]))
            of_arm.append(np.array([*(shared if branch.shared else [0]), *range(begin, len(categorical))]))
        self._parameters = {arm: self._of_arm(arm) for arm in self.arms}
        self._by_name = {arm: {p.name: p for p in own} for arm, own in self._parameters.items()}
        self._conditional = {
            arm: {other for p in own for other in p.conditions}
            for arm, own in self._parameters.items()
            if any(p.conditions for p in own)
        }
        """Arms with parameters that apply with some values of others only, and these others."""
        self._places = {pair: (self.arms.index(arm), self.models.index(pair[1])) for pair, arm in self._arm_of.items()}
        model = 0 if len(models) > 1 else None
        self._empty = [ABSENT if kind else 0.5 for kind in categorical]
        kinds = np.array(categorical), np.array(shared), tuple(of_arm), np.array(choices)
        self.columns = Columns(*kinds, model, np.array(steep))

    def _of_arm(self, arm: str) -> list[Parameter]:
        """Its parameters, without those that do not apply to the kind of answers."""
        branch, own = self.branches[arm], []
        for name, spec in branch.specs.items():
            conditions = {other: values for other, values in spec.when.items() if other != "answers"}
            if branch.answers in spec.when.get("answers", [branch.answers]):
                own.append(Parameter(name, spec, self._at[arm, name], conditions))
        return own

    def arm_of(self, method: str, model: str) -> str | None:
        """The arm of a method on a model; None: they do not suit each other, or one of them is not searched."""
        return self._arm_of.get((method, model))

    def arm_name(self, candidate: Candidate) -> str:
        """The candidate's arm."""
        return self._arm_of[candidate.method, candidate.model]

    def arm(self, candidate: Candidate) -> int:
        """Index of the candidate's arm."""
        return self._places[candidate.method, candidate.model][0]

    def place(self, candidate: Candidate) -> tuple[int, int]:
        """Indices of the candidate's arm and model."""
        return self._places[candidate.method, candidate.model]

    def point(self, candidate: Candidate) -> Any:
        """The candidate's columns, shape (d,)."""
        return np.array(self.columns_of(candidate))

    def columns_of(self, candidate: Candidate) -> list[float]:
        """The same as a list."""
        point, (_, model) = self._empty.copy(), self.place(candidate)
        point[0] = float(model)
        parameters = self._by_name[self.arm_name(candidate)]
        for name, value in candidate.params.items():
            point[parameters[name].column] = parameters[name].number(value)
        return point

    def draw(self, arm: str, random: np.random.Generator) -> Candidate:
        """A uniformly random candidate of an arm."""
        return self._built(arm, *self._draw_units(arm, random))

    def draw_many(self, arm: str, count: int, random: np.random.Generator) -> Pool:
        """The candidates that so many calls of `draw` would give."""
        drawn = [self._draw_units(arm, random) for _ in range(count)]
        parameters, units = self._parameters[arm], [units for _, units in drawn]
        points = np.tile(np.array(self._empty), (count, 1))
        points[:, 0] = [model for model, _ in drawn]
        for parameter, own in zip(parameters, zip(*units, strict=True), strict=True):
            at = np.array([unit is not None for unit in own]) if parameter.conditions else slice(None)
            points[at, parameter.column] = parameter.numbers(np.array(own, float)[at])
        return Pool(
            Places(self.columns, points, np.full(count, self.arms.index(arm))),
            units,
            parameters,
            partial(self._built, arm),
        )

    def _draw_units(self, arm: str, random: np.random.Generator) -> tuple[int, list[float | None]]:
        """Index of a random model, and a number in [0, 1) for every parameter that applies."""
        model, parameters = self._draw_model(arm, random), self._parameters[arm]
        if arm not in self._conditional:
            return model, random.random(len(parameters)).tolist()
        chosen: dict[str, Scalar] = {}
        units: list[float | None] = []
        for parameter in parameters:
            units.append(random.random() if parameter.applies(chosen) else None)
            if (unit := units[-1]) is not None and parameter.name in self._conditional[arm]:
                chosen[parameter.name] = parameter.value(unit)
        return model, units

    def _draw_model(self, arm: str, random: np.random.Generator) -> int:
        models = self._models_of[arm]
        return self.models.index(models[int(random.integers(len(models)))] if len(models) > 1 else models[0])

    def _built(self, arm: str, model: int, units: Sequence[float | None]) -> Candidate:
        params = {
            parameter.name: parameter.value(unit)
            for parameter, unit in zip(self._parameters[arm], units, strict=True)
            if unit is not None
        }
        return Candidate(method=self.branches[arm].method, model=self.models[model], params=params)

    def move(self, candidate: Candidate, random: np.random.Generator) -> Candidate:
        """A candidate near another: some numbers shifted, now and then another choice."""
        arm = self.arm_name(candidate)
        model, step = candidate.model, STEPS[int(random.integers(len(STEPS)))]
        if len(self._models_of[arm]) > 1 and random.random() < 0.1:
            model = self.models[self._draw_model(arm, random)]

        def value(parameter: Parameter) -> Scalar:
            if parameter.name not in candidate.params:
                return parameter.value(random.random())
            old = candidate.params[parameter.name]
            if not parameter.ordered:
                return parameter.value(random.random()) if random.random() < 0.2 else old
            if random.random() < 0.6:
                return old
            return parameter.value(min(max(parameter.number(old) + step * random.normal(), 0.0), 1 - 1e-9))

        chosen: dict[str, Scalar] = {}
        for parameter in self._parameters[arm]:
            if not parameter.conditions or parameter.applies(chosen):
                chosen[parameter.name] = value(parameter)
        return Candidate(method=self.branches[arm].method, model=model, params=chosen)
