"""Values of single parameters of a search space: the middle, the nearest allowed one."""

import math
from collections.abc import Mapping

from autoadapt.domain.space import Choices, Range, Scalar


def middle(spec: Choices | Range) -> Scalar:
    """The first choice, or the middle of a range."""
    if isinstance(spec, Choices):
        return spec.choices[0]
    middle = math.sqrt(spec.low * spec.high) if spec.log else (spec.low + spec.high) / 2
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        step = int(spec.step) if spec.step is not None else 1
        return spec.low + round((middle - spec.low) / step) * step
    return spec.low + round((middle - spec.low) / spec.step) * spec.step if spec.step else middle


def nearest(spec: Choices | Range, value: Scalar) -> Scalar:
    """A number moved to the nearer end of its range where it lies outside."""
    if isinstance(spec, Choices) or not isinstance(value, int | float):
        return value
    return min(max(value, spec.low), spec.high)


def within(specs: Mapping[str, Choices | Range], one: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Parameters as far as a space has them, numbers moved into their ranges."""
    moved = {name: nearest(specs[name], value) for name, value in one.items() if name in specs}
    return {name: value for name, value in moved.items() if allowed(specs[name], value)}


def allowed(spec: Choices | Range, value: Scalar) -> bool:
    """Whether a parameter may have a value."""
    if isinstance(spec, Choices):
        return value in spec.choices
    return isinstance(value, int | float) and spec.low <= value <= spec.high
