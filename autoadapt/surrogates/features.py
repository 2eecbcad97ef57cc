"""Candidates as points: numbers in [0, 1], choices as indices; and new candidates, drawn or moved from old ones.

A decision looks at hundreds of candidates of every arm, so what follows from the space alone is worked out once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate, Params
from autoadapt.domain.space import Branch, Scalar
from autoadapt.surrogates.drawing import OTHER_CHOICE, OTHER_MODEL, OTHER_NUMBER, STEPS, Drawn, moved
from autoadapt.surrogates.parameters import Parameter, choices_of, is_ordered, is_steep
from autoadapt.surrogates.places import ABSENT, Columns, Places
from autoadapt.surrogates.pool import Pool


class Features:
    """The joint space of some arms as columns: model, parameters of the prompt, then each arm's own.

    Args:
        branches: arm -> its parameters; those of the prompt are the same in all arms that have them.
        models: base models.
        rows: for training, as of `History.rows`.
    """

    def __init__(self, branches: Mapping[str, Branch], models: Sequence[str], rows: int = 0) -> None:
        self.rows = rows
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
        model, params = self._draw_model(arm, random), Params()
        for parameter in self._parameters[arm]:
            if parameter.applies(params):
                params[parameter.name] = parameter.value(random.random())
        return self._built(arm, model, params)

    def draw_many(self, arm: str, count: int, random: np.random.Generator) -> Drawn:
        """Uniformly random candidates of an arm, at once."""
        parameters, models = self._parameters[arm], [self.models.index(model) for model in self._models_of[arm]]
        units = random.random((count, len(parameters)))
        of_model = np.array(models)[random.integers(len(models), size=count)]
        return Drawn(parameters, of_model, units, np.zeros(units.shape, bool), rows=self.rows)

    def move_many(self, arm: str, others: Sequence[Candidate], count: int, random: np.random.Generator) -> Drawn:
        """Candidates of an arm near others of it, of which there is at least one, by the rules of `move`."""
        models = np.array([self.place(c)[1] for c in others])
        return moved(self.draw_many(arm, count, random), others, models, random)

    def pool(self, arm: str, drawn: Sequence[Drawn], others: Sequence[Candidate] = ()) -> Pool:
        """Candidates of an arm side by side: those drawn, then others."""
        empty = np.array(self._empty)
        of_others = np.array([self.columns_of(c) for c in others]).reshape(-1, len(empty))
        points = np.concatenate([*(one.points(empty) for one in drawn), of_others])
        places = Places(self.columns, points, np.full(len(points), self.arms.index(arm)))
        return Pool(places, drawn, others, partial(self._built, arm), self.rows)

    def _draw_model(self, arm: str, random: np.random.Generator) -> int:
        models = self._models_of[arm]
        return self.models.index(models[int(random.integers(len(models)))] if len(models) > 1 else models[0])

    def _built(self, arm: str, model: int, params: Params) -> Candidate:
        return Candidate(method=self.branches[arm].method, model=self.models[model], params=params)

    def move(self, candidate: Candidate, random: np.random.Generator) -> Candidate:
        """A candidate near another: some numbers shifted, now and then another choice."""
        arm = self.arm_name(candidate)
        model, step = candidate.model, STEPS[int(random.integers(len(STEPS)))]
        if len(self._models_of[arm]) > 1 and random.random() < OTHER_MODEL:
            model = self.models[self._draw_model(arm, random)]

        def value(parameter: Parameter) -> Scalar:
            if parameter.name not in candidate.params:
                return parameter.value(random.random())
            old = candidate.params[parameter.name]
            if not parameter.ordered:
                return parameter.value(random.random()) if random.random() < OTHER_CHOICE else old
            if random.random() < 1 - OTHER_NUMBER:
                return old
            return parameter.value(min(max(parameter.number(old) + step * random.normal(), 0.0), 1 - 1e-9))

        chosen: dict[str, Scalar] = {}
        for parameter in self._parameters[arm]:
            if not parameter.conditions or parameter.applies(chosen):
                chosen[parameter.name] = value(parameter)
        return Candidate(method=self.branches[arm].method, model=model, params=chosen)
