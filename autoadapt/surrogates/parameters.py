"""A parameter of the search space as numbers: its value at a number in [0, 1), and its column in a point."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.space import Choices, Names, Range, Scalar


class Parameter:
    """One parameter of an arm.

    Args:
        name: of the parameter.
        spec: its choices or range.
        column: where it stands in a point.
        conditions: the values of parameters before it with which it applies.
    """

    def __init__(
        self, name: str, spec: Choices | Range, column: int, conditions: Mapping[str, Sequence[Scalar]]
    ) -> None:
        self.name, self.column, self.conditions = name, column, conditions
        self.ordered = is_ordered(spec)
        self._scale = _Listed(spec.choices, self.ordered) if isinstance(spec, Choices) else _Ranged(spec)

    def applies(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether it does, given the parameters before it."""
        return all(chosen.get(name) in values for name, values in self.conditions.items())

    def value(self, unit: float) -> Scalar:
        """The value at a number in [0, 1)."""
        return self._scale.value(unit)

    def values(self, units: Any) -> Sequence[Scalar]:
        """The values at numbers in [0, 1) of shape (m,); m of them."""
        return self._scale.values(units)

    def number(self, value: Any) -> float:
        """The column of a value: in [0, 1], or the index of a choice."""
        return self._scale.number(value)

    def numbers(self, units: Any) -> Any:
        """The columns of the values at numbers in [0, 1), shape (m,) of both."""
        return self._scale.numbers(units)


class _Listed:
    def __init__(self, choices: Sequence[Scalar], ordered: bool) -> None:
        self.choices, self.count, self.last = choices, len(choices), len(choices) - 1
        self.width = max(1, self.last) if ordered else 1

    def value(self, unit: float) -> Scalar:
        index = int(unit * self.count)
        return self.choices[index if index < self.last else self.last]

    def number(self, value: Any) -> float:
        return self.choices.index(value) / self.width

    def values(self, units: Any) -> list[Scalar]:
        return [self.choices[i] for i in self._indices(units).tolist()]

    def numbers(self, units: Any) -> Any:
        return self._indices(units) / self.width

    def _indices(self, units: Any) -> Any:
        return np.minimum((units * self.count).astype(int), self.last)


class _Ranged:
    def __init__(self, spec: Range) -> None:
        self.low, self.high, self.log, self.span = spec.low, spec.high, spec.log, spec.high - spec.low
        self.ratio = spec.high / spec.low if spec.log else 1.0
        self.whole = isinstance(spec.low, int) and isinstance(spec.high, int)
        self.step = spec.step if spec.step is not None else (1 if self.whole else None)
        if spec.log:
            self.log_low, self.log_span = math.log(spec.low), math.log(spec.high) - math.log(spec.low)

    def value(self, unit: float) -> Scalar:
        value = self.low * self.ratio**unit if self.log else self.low + unit * self.span
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(value)

    def number(self, value: Any) -> float:
        if not self.span:
            return 0.5
        return (math.log(value) - self.log_low) / self.log_span if self.log else float((value - self.low) / self.span)

    def values(self, units: Any) -> list[Scalar]:
        return self._all(units).tolist()  # type: ignore[no-any-return]

    def numbers(self, units: Any) -> Any:
        if not self.span:
            return np.full(len(units), 0.5)
        values = self._all(units)
        return (np.log(values) - self.log_low) / self.log_span if self.log else (values - self.low) / self.span

    def _all(self, units: Any) -> Any:
        values = self.low * self.ratio**units if self.log else self.low + units * self.span
        if self.step is not None:
            values = self.low + np.round((values - self.low) / self.step) * self.step
        values = np.clip(values, self.low, self.high)
        return np.round(values) if self.whole else values


def is_ordered(spec: Choices | Range) -> bool:
    """Whether its values are numbers in their order, of which neighbours are alike."""
    if isinstance(spec, Range):
        return True
    if isinstance(spec, Names):
        return False
    numbers = [c for c in spec.choices if isinstance(c, int | float) and not isinstance(c, bool)]
    return len(numbers) == len(spec.choices) > 2 and numbers == sorted(numbers)


def choices_of(spec: Choices | Range) -> int:
    """How many choices a categorical parameter has; 0 of an ordered one."""
    return 0 if is_ordered(spec) or isinstance(spec, Range) else len(spec.choices)


def is_steep(spec: Choices | Range) -> bool:
    """Whether it spans at least two orders of magnitude."""
    if isinstance(spec, Range):
        return spec.log and spec.high >= 100 * spec.low
    return is_ordered(spec) and float(spec.choices[0]) > 0 and float(spec.choices[-1]) >= 30 * float(spec.choices[0])  # type: ignore[arg-type]
