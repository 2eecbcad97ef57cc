"""What each option gives and takes, two objectives at a time: shown options by name, all other trials as dots."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from autoadapt.display.figures._style import axis, error_bars, escaped, lay_out, placed_labels
from autoadapt.display.goals import cost_unit, goal_named, pairs, shown_value
from autoadapt.display.method_style import GOLD, GREY, MethodStyle
from autoadapt.display.option_names import option_names
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option, number_text
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.verdict.option_values import option_value

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

MOST_NAMED = 12
"""Options with a label; more labels would cover the points."""


def draw(study: "Study", x: str | None = None, y: str | None = None) -> go.Figure | None:
    """One marker per trial measured in full; a line joins the options that nothing beats in these two objectives.

    Args:
        study: loaded.
        x, y: names of objectives; by default the first pair of the study's objectives.
    """
    rows = [r for r in study.rows if r.state == TrialState.COMPLETE and r.quality is not None]
    if not rows:
        return None
    across, up = pairs(study)[0]
    across, up = goal_named(study, x) if x else across, goal_named(study, y) if y else up
    plot = _Plot(study, across, up)
    plot.add_others([r for r in rows if r.trial not in plot.options])
    plot.add_frontier()
    plot.add_options()
    return plot.finished()


class _Plot:
    def __init__(self, study: "Study", x: Goal, y: Goal) -> None:
        self.figure, self.x, self.y, self.study = go.Figure(), x, y, study
        self.style, self.options = MethodStyle.of(study), {o.trial: o for o in study.options}
        self.names = option_names(study.options)
        self._drawn: tuple[list[float], list[float]] = ([], [])
        self._others: list[tuple[float, float]] = []

    def _scaled(self, value: float | None, goal: Goal) -> float | None:
        if value is None:
            return None
        return value * cost_unit(self.study)[0] if goal.name == "cost_usd_per_1k" else value

    def title(self, goal: Goal) -> str:
        """Title of an axis."""
        if goal.name == "quality":
            return self.study.task.metric.name
        return cost_unit(self.study)[1] if goal.name == "cost_usd_per_1k" else goal.title or goal.name

    def value(self, option: Option, goal: Goal) -> float:
        """Quality on test rows where scored, everything else as in the tables."""
        if goal.name == "quality":
            return option.best_known_quality[0]
        return self._scaled(option_value(option, goal.name), goal) or 0.0

    def _note(self, places: tuple[Sequence[float | None], Sequence[float | None]], others: bool = False) -> None:
        if others:
            self._others += [(a, b) for a, b in zip(*places, strict=True) if a is not None and b is not None]
        for kept, values in zip(self._drawn, places, strict=True):
            kept += [v for v in values if v is not None]

    def add_others(self, rows: Sequence[TrialRow]) -> None:
        """Trials that are no options, small and pale, in the colour of their method."""
        for method in self.style.methods:
            members = [r for r in rows if r.method == method]
            if not members:
                continue
            xs = [self._scaled(shown_value(r, None, self.x), self.x) for r in members]
            ys = [self._scaled(shown_value(r, None, self.y), self.y) for r in members]
            self._note((xs, ys), others=True)
            self.figure.add_scatter(
                x=xs,
                y=ys,
                mode="markers",
                name=escaped(method),
                text=[f"trial {r.trial}: {escaped(r.method)}" for r in members],
                hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
                marker={
                    "color": self.style.colour(method),
                    "symbol": self.style.symbol(method),
                    "size": 7,
                    "opacity": 0.45,
                },
            )

    def add_frontier(self) -> None:
        """A stepped line through the options that no other one beats in these two objectives."""
        signs = [-1 if goal.maximized else 1 for goal in (self.x, self.y)]
        points = sorted((self.value(o, self.x), self.value(o, self.y)) for o in self.options.values() if o.on_frontier)
        best: list[tuple[float, float]] = []
        for px, py in sorted(points, key=lambda p: (signs[0] * p[0], signs[1] * p[1])):
            if not best or signs[1] * py < signs[1] * best[-1][1]:
                best.append((px, py))
        if len(best) > 1:
            line = {"color": GREY, "width": 1.5, "shape": "hv", "dash": "dot"}
            xs, ys = [p[0] for p in best], [p[1] for p in best]
            self.figure.add_scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", name="frontier")

    def add_options(self) -> None:
        """The shown options with their intervals; the recommended one has a ring."""
        chosen = self.study.recommendation.trial
        for option in self.options.values():
            xs, ys = [self.value(option, self.x)], [self.value(option, self.y)]
            ends = option.best_known_quality[1]
            self._note((xs, [*ys, *(ends if self.y.name == "quality" else ())]))
            name = escaped(self.names[option.trial])
            self.figure.add_scatter(
                x=xs,
                y=ys,
                error_y=_bars(option) if self.y.name == "quality" else None,
                mode="markers",
                name=name,
                hovertemplate=f"{name}<br>{escaped(self.title(self.x))}: %{{x:.4g}}<br>"
                f"{escaped(self.title(self.y))}: %{{y:.4g}}<extra></extra>",
                marker={
                    "color": self.style.colour(option.method) if option.cascade is None else GREY,
                    "symbol": self.style.symbol(option.method) if option.cascade is None else "star-diamond",
                    "size": 12,
                },
            )

        recommended = self.options.get(chosen) if chosen is not None else None
        if recommended is not None:
            self.figure.add_scatter(
                x=[self.value(recommended, self.x)],
                y=[self.value(recommended, self.y)],
                mode="markers",
                marker={"size": 24, "symbol": "circle-open", "color": GOLD, "line": {"width": 3}},
                name="recommended",
                hoverinfo="skip",
            )

    def finished(self) -> go.Figure:
        """The figure with axes from its data and with names at its options."""
        across, up = (
            axis(values, money=goal.name == "cost_usd_per_1k")
            for values, goal in zip(self._drawn, (self.x, self.y), strict=True)
        )
        first = self.study.recommendation.trial
        named = sorted(self.options.values(), key=lambda o: (o.trial != first, not o.on_frontier))[:MOST_NAMED]
        points = [
            (self.value(o, self.x), self.value(o, self.y), self.names[o.trial], number_text(o.trial)) for o in named
        ]
        lay_out(self.figure, self.title(self.x), self.title(self.y))
        logs = [i for i, drawn_on in enumerate((across, up)) if drawn_on["type"] == "log"]
        # a value of 0 has no place on a logarithmic axis
        points = [p for p in points if all(p[i] > 0 for i in logs)]  # type: ignore[operator]
        others = [p for p in self._others if all(p[i] > 0 for i in logs)]
        annotations = placed_labels(points, others, across, up)
        self.figure.update_layout(xaxis=across, yaxis=up, annotations=annotations)
        return self.figure


def _bars(option: Option) -> dict[str, Any]:
    value, (low, high) = option.best_known_quality
    return {**error_bars([value], [low], [high]), "thickness": 1.2, "width": 3}
