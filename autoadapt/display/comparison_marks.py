"""What a figure of a comparison shows: the options of a scenario on two axes, with their errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoadapt.display.option_names import option_names
from autoadapt.domain.comparison import Column, Priced
from autoadapt.domain.objective import COST, LATENCY, Goal
from autoadapt.domain.option import Option
from autoadapt.errors import UserError, did_you_mean
from autoadapt.pareto.ties import SURE
from autoadapt.verdict.option_values import latency_ms, option_value
from autoadapt.verdict.scenarios import PRICED


@dataclass(frozen=True)
class Place:
    """Where an option stands on an axis, with the ends of its 95 % interval; the same where none is known."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Mark:
    """An option in a figure."""

    trial: int
    name: str
    method: str
    x: Place
    y: Place
    on_frontier: bool
    recommended: bool
    tested: bool
    """Whether its quality is that on test rows."""


@dataclass(frozen=True)
class Axis:
    """What an axis of a figure shows."""

    name: str
    title: str
    maximized: bool

    @property
    def money(self) -> bool:
        """Whether its values are USD."""
        return self.name == COST


@dataclass(frozen=True)
class Panel:
    """A scenario in a figure."""

    title: str
    x: Axis
    y: Axis
    marks: list[Mark]

    @property
    def frontier(self) -> list[tuple[float, float]]:
        """The marks of the frontier that none of the frontier beats in these two axes, by rising x."""
        signs = [-1 if axis.maximized else 1 for axis in (self.x, self.y)]
        places = [(mark.x.value, mark.y.value) for mark in self.marks if mark.on_frontier]
        best: list[tuple[float, float]] = []
        for x, y in sorted(places, key=lambda p: (signs[0] * p[0], signs[1] * p[1])):
            if not best or signs[1] * y < signs[1] * best[-1][1]:
                best.append((x, y))
        return sorted(best)


def panels(columns: Sequence[Column], goals: Sequence[Goal], x: str, y: str) -> list[Panel]:
    """A panel for each scenario.

    Args:
        columns: one per scenario.
        goals: the objectives of the task.
        x, y: quality, cost_usd_per_1k, latency_ms, or another objective of the task.

    Raises:
        UserError: there is no such axis, or both are the same.
    """
    # the first are axes of every comparison, also where they are no objectives of the task
    known = list(dict.fromkeys([*PRICED, *(goal.name for goal in goals)]))
    for name in (x, y):
        if name not in known:
            raise UserError(f"no axis '{name}': {did_you_mean(name, known)}")
    if x == y:
        raise UserError(f"both axes are {x}; choose two different ones of {', '.join(known)}")
    return [_panel(column, goals, x, y) for column in columns]


def _panel(column: Column, goals: Sequence[Goal], x: str, y: str) -> Panel:
    names, priced = option_names(column.options), {p.trial: p for p in column.priced}
    marks = [
        Mark(
            trial=option.trial,
            name=names[option.trial],
            method=option.method,
            x=_place(column, option, priced[option.trial], x),
            y=_place(column, option, priced[option.trial], y),
            on_frontier=option.on_frontier,
            recommended=option.trial == column.recommended,
            tested=option.test_quality is not None,
        )
        for option in column.options
    ]
    return Panel(column.terms.name, _axis(column, goals, x), _axis(column, goals, y), marks)


def _axis(column: Column, goals: Sequence[Goal], name: str) -> Axis:
    if name == COST:
        return Axis(name, f"dollars a month, for {float(column.terms.volumes[1]):,g} queries", maximized=False)
    if name == LATENCY:
        return Axis(name, "95 % of answers within, in ms", maximized=False)
    goal = next((g for g in goals if g.name == name), None)
    return Axis(name, name if goal is None else goal.label, maximized=goal is None or goal.maximized)


def _place(column: Column, option: Option, priced: Priced, name: str) -> Place:
    """The value of an option on an axis. A bill is as uncertain as the time of answers, where use alone is billed."""
    if name == "quality":
        value, (low, high) = option.best_known_quality
        return Place(value, low, high)
    if name == COST:
        bill, serving = float(priced.usd_per_month), float(priced.serving_usd_per_month)
        error = option.cost_error if column.terms.scenario.hosting == "per_use" else 0.0
        return Place(bill, *(bill + serving * (math.exp(sign * SURE * error) - 1) for sign in (-1, 1)))
    if name == LATENCY:
        value = latency_ms(option)
        return Place(value, *(value * math.exp(sign * SURE * option.latency_error) for sign in (-1, 1)))
    value = option_value(option, name)
    return Place(value, value, value)
