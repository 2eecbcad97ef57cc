"""The floor: simple methods that take seconds. What does not beat them is not worth its cost."""

from collections.abc import Sequence

from autoadapt.domain.option import Option
from autoadapt.domain.verdict import Paired
from autoadapt.verdict.comparisons import LEVEL, difference_text, pairs_with, points


def best_floor(options: Sequence[Option]) -> Option | None:
    """The floor's option of highest expected quality; None: none was measured."""
    return max((o for o in options if o.floor), key=lambda o: o.quality_expected, default=None)


def floor_sentence(chosen: Option, options: Sequence[Option], pairs: Sequence[Paired]) -> str:
    """How the recommended option compares with the floor; empty where no simple method was measured.

    On test rows the comparison is the paired test of `autoadapt.verdict.comparisons.paired`, not corrected for others,
    because it is the only one that this sentence states.

    Args:
        chosen: the recommended option.
        options: all that are shown.
        pairs: options compared on test rows.
    """
    floor = best_floor(options)
    if floor is None:
        return ""
    if chosen.floor:
        return _nothing_better(chosen, options, pairs)
    name, simple = chosen.title, f"the floor, {floor.named(f'{floor.best_known_quality[0]:.3f}')},"
    pair = pairs_with(floor.trial, pairs).get(chosen.trial)
    if pair is None:
        gain = chosen.quality - floor.quality
        verb = "is above" if gain > 0 else "does not beat"
        return f"{name} {verb} {simple} by {points(gain)} points on validation rows; test rows were not scored."
    by = f"{difference_text(pair.difference, pair.low, pair.high)} on {pair.rows} test rows"
    if pair.difference > 0 and pair.p < LEVEL:
        return f"{name} beats {simple} by {by}."
    return f"{name} is not shown to beat {simple} which takes seconds: {by}, which may be chance."


def _nothing_better(chosen: Option, options: Sequence[Option], pairs: Sequence[Paired]) -> str:
    """Where a simple method is recommended: whether anything is better, and what the best of the others gives."""
    others = [o for o in options if not o.floor and o.on_frontier]
    name = chosen.name
    if not others:
        dominated = [o for o in options if not o.floor]
        if not dominated:
            return f"Nothing else was measured beside the floor, {name}."
        best = max(dominated, key=lambda o: o.quality_expected)
        by = points(best.quality - chosen.quality)
        return f"Nothing beats the floor, {name}: {best.name} gives {by} points on validation rows and is dominated."
    best = max(others, key=lambda o: o.quality_expected)
    pair = pairs_with(chosen.trial, pairs).get(best.trial)
    if pair is None:
        return f"Nothing beats the floor, {name}."
    by = f"{difference_text(pair.difference, pair.low, pair.high)} on {pair.rows} test rows"
    if pair.difference > 0 and pair.p < LEVEL:
        return f"The floor, {name}, is what the constraints leave: {best.name} is better by {by}."
    return f"Nothing beats the floor, {name}: the best of the others, {best.name}, gives {by}."
