"""Candidates as points: numbers in [0, 1], choices as indices; and new candidates, drawn or moved from old ones.

A decision looks at hundreds of candidates of every arm. So what follows from the space alone is worked out once, and
the columns of a new candidate are found on the way.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.space import Branch, Choices, Range, Scalar
from autoadapt.surrogates.gaussian_process import Columns

ABSENT = -1.0
"""Column value of a categorical parameter that does not apply; a numeric one stands in the middle."""
STEPS = (0.05, 0.12, 0.3)
"""Standard deviations by which numbers of a candidate are shifted."""


class _Parameter:
    """A parameter of an arm: its values from numbers in [0, 1), and its column.

    Args:
        name: of the parameter.
        spec: its choices or range.
        column: where it stands in a point.
        conditions: on parameters before it.
    """

    def __init__(
        self, name: str, spec: Choices | Range, column: int, conditions: Mapping[str, Sequence[Scalar]]
    ) -> None:
        self.name, self.spec, self.column, self.conditions = name, spec, column, conditions
        self.ordered = _ordered(spec)
        self.value: Callable[[float], Scalar]
        """The value at a number in [0, 1)."""
        self.number: Callable[[Any], float]
        """The column of a value."""
        if isinstance(spec, Choices):
            self.value, self.number = _of_choices(spec.choices, self.ordered)
        else:
            self.value, self.number = _of_range(spec)

    def applies(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether it does, given the parameters before it."""
        return all(chosen.get(name) in values for name, values in self.conditions.items())


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
        self._parameters = {arm: self._of_arm(arm) for arm in self.arms}
        self._by_name = {arm: {p.name: p for p in own} for arm, own in self._parameters.items()}
        self._conditional = {arm for arm, own in self._parameters.items() if any(p.conditions for p in own)}
        self._places = {pair: (self.arms.index(arm), self.models.index(pair[1])) for pair, arm in self._arm_of.items()}
        self._drawn: dict[int, tuple[Candidate, list[float]]] = {}
        """Columns of candidates that were drawn or moved here, by identity."""
        model = 0 if len(models) > 1 else None
        self._empty = [ABSENT if kind else 0.5 for kind in categorical]
        self.columns = Columns(np.array(categorical), np.array(shared), tuple(of_arm), model, np.array(steep))

    def _of_arm(self, arm: str) -> list[_Parameter]:
        """Its parameters, without those that do not apply to the kind of answers."""
        branch, own = self.branches[arm], []
        for name, spec in branch.specs.items():
            conditions = {other: values for other, values in spec.when.items() if other != "answers"}
            if branch.answers in spec.when.get("answers", [branch.answers]):
                own.append(_Parameter(name, spec, self._at[arm, name], conditions))
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
        drawn = self._drawn.get(id(candidate))
        if drawn is not None and drawn[0] is candidate:
            return drawn[1]
        point, (_, model) = self._empty.copy(), self.place(candidate)
        point[0] = float(model)
        parameters = self._by_name[self.arm_name(candidate)]
        for name, value in candidate.params.items():
            point[parameters[name].column] = parameters[name].number(value)
        return point

    def draw(self, arm: str, random: np.random.Generator) -> Candidate:
        """A uniformly random candidate of an arm."""
        model, parameters = self._draw_model(arm, random), self._parameters[arm]
        if arm in self._conditional:
            return self._complete(arm, model, lambda parameter: parameter.value(random.random()))
        units = iter(random.random(len(parameters)).tolist())
        return self._complete(arm, model, lambda parameter: parameter.value(next(units)))

    def _draw_model(self, arm: str, random: np.random.Generator) -> str:
        models = self._models_of[arm]
        return models[int(random.integers(len(models)))] if len(models) > 1 else models[0]

    def move(self, candidate: Candidate, random: np.random.Generator) -> Candidate:
        """A candidate near another: some numbers shifted, now and then another choice."""
        arm = self.arm_name(candidate)
        model, step = candidate.model, STEPS[int(random.integers(len(STEPS)))]
        if len(self._models_of[arm]) > 1 and random.random() < 0.1:
            model = self._draw_model(arm, random)

        def value(parameter: _Parameter) -> Scalar:
            if parameter.name not in candidate.params:
                return parameter.value(random.random())
            old = candidate.params[parameter.name]
            if not parameter.ordered:
                return parameter.value(random.random()) if random.random() < 0.2 else old
            if random.random() < 0.6:
                return old
            return parameter.value(min(max(parameter.number(old) + step * random.normal(), 0.0), 1 - 1e-9))

        return self._complete(arm, model, value)

    def _complete(self, arm: str, model: str, value: Callable[[_Parameter], Scalar]) -> Candidate:
        branch, point = self.branches[arm], self._empty.copy()
        chosen: dict[str, Scalar] = {}
        for parameter in self._parameters[arm]:
            if parameter.conditions and not parameter.applies(chosen):
                continue
            chosen[parameter.name] = one = value(parameter)
            point[parameter.column] = parameter.number(one)
        candidate = Candidate(method=branch.method, model=model, params=chosen)
        point[0] = float(self.place(candidate)[1])
        self._drawn[id(candidate)] = candidate, point
        return candidate


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


def _of_choices(choices: Sequence[Scalar], ordered: bool) -> tuple[Callable[[float], Scalar], Callable[[Any], float]]:
    count, most = len(choices), len(choices) - 1
    width = max(1, most) if ordered else 1

    def value(unit: float) -> Scalar:
        index = int(unit * count)
        return choices[index if index < most else most]

    def number(value: Any) -> float:
        return choices.index(value) / width

    return value, number


def _of_range(spec: Range) -> tuple[Callable[[float], Scalar], Callable[[Any], float]]:
    low, high, log = spec.low, spec.high, spec.log
    ratio, span = high / low if log else 0.0, high - low
    whole = isinstance(low, int) and isinstance(high, int)
    step = spec.step if spec.step is not None else (1 if whole else None)
    log_low, log_span = (math.log(low), math.log(high) - math.log(low)) if log else (0.0, 0.0)

    def value(unit: float) -> Scalar:
        value = low * ratio**unit if log else low + unit * span
        if step is not None:
            value = low + round((value - low) / step) * step
        value = min(max(value, low), high)
        return round(value) if whole else float(value)

    def number(value: Any) -> float:
        if not span:
            return 0.5
        return (math.log(value) - log_low) / log_span if log else float((value - low) / span)

    return value, number
