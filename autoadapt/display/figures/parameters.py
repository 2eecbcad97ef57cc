"""Parallel coordinates: one line per trial through its parameters to its objectives."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from autoadapt.display.figures._style import escaped, lay_out
from autoadapt.display.method_style import MethodStyle
from autoadapt.domain.trial_row import TrialRow

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

QUALITY_BANDS = ("#8a63b5", "#4f7fc4", "#2a9d8f", "#6aaf3d", "#d9a400")
"""From low to high, readable on a light and on a dark background."""
FEWEST_LINES = 8
"""Trials below which lines through parameters show nothing that the table does not."""
MOST_LINES = 400
"""The best trials are drawn; more lines could not be distinguished."""


def draw(study: "Study", method: str | None = None) -> go.Figure | None:
    """One line per trial, coloured by quality.

    Args:
        study: loaded.
        method: by default the one with the most measured trials.
    """
    if method is None:
        methods = MethodStyle.of(study).methods
        method = max(
            methods, key=lambda m: sum(r.method == m and r.quality is not None for r in study.rows), default=None
        )
    rows = [r for r in study.rows if r.method == method and r.quality is not None]
    rows = sorted(rows, key=lambda r: r.quality or 0)[-MOST_LINES:]
    if len(rows) < FEWEST_LINES:
        return None
    names = list(dict.fromkeys(n for r in rows for n in r.params))
    axes = [Axis(n, [r.params.get(n) for r in rows]) for n in names]
    axes = [a for a in axes if a.varies]
    axes += [Axis(goal.title, [r.values.get(goal.name) for r in rows]) for goal in study.goals]
    figure = go.Figure()
    size = math.ceil(len(rows) / len(QUALITY_BANDS))
    for band, colour in enumerate(QUALITY_BANDS):
        part = range(band * size, min(len(rows), (band + 1) * size))
        if part:
            _add_lines(figure, rows, part, axes, colour)
    _label(figure, axes)
    bands = {"orientation": "h", "y": -0.12, "x": 0}
    return figure.update_layout(showlegend=True, legend=bands)


def _add_lines(figure: go.Figure, rows: Sequence[TrialRow], part: range, axes: "Sequence[Axis]", colour: str) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for i in part:
        x += [*range(len(axes)), None]
        y += [*(None if (p := a.places[i]) is None else round(p, 4) for a in axes), None]
        text += [f"trial {rows[i].trial}"] * len(axes) + [None]
    low, high = rows[part[0]].quality or 0, rows[part[-1]].quality or 0
    line = {"color": colour, "width": 1.5}
    name = f"quality {low:.3f} to {high:.3f}"
    figure.add_scatter(x=x, y=y, text=text, mode="lines", line=line, opacity=0.7, name=name, hoverinfo="text")


def _label(figure: go.Figure, axes: "Sequence[Axis]") -> go.Figure:
    beside = {"showarrow": False, "xanchor": "left", "font": {"size": 11}}
    labels = [
        {**beside, "x": i, "y": place, "text": escaped(label)}
        for i, axis in enumerate(axes)
        for place, label in axis.ticks
    ]
    figure.update_layout(annotations=labels)  # all at once: each call copies those that are there
    lay_out(figure, "", "")
    across = {
        "tickvals": list(range(len(axes))),
        "ticktext": [escaped(a.name) for a in axes],
        "range": [-0.2, len(axes) - 0.3],
        "showgrid": True,
        "zeroline": False,
    }
    return figure.update_layout(xaxis=across, yaxis={"visible": False, "range": [-0.05, 1.08]})


class Axis:
    """One axis of parallel coordinates: the place of every value from 0 to 1, and the labels beside the axis.

    Numbers that span more than a factor of ten are placed by their logarithm.

    Args:
        name: of the parameter or objective.
        values: one per trial; None: it has no such parameter.
    """

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        given = [v for v in values if v is not None]
        self.varies = len(set(map(str, values))) > 1
        if given and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
            self.places, self.ticks = _numbers(values, min(given), max(given))
            return
        choices = sorted({str(v) for v in given})
        at = {k: i / max(1, len(choices) - 1) for i, k in enumerate(choices)}
        self.places = [None if v is None else at[str(v)] for v in values]
        self.ticks = [(place, k[:24]) for k, place in at.items()]


def _numbers(
    values: Sequence[float | None], low: float, high: float
) -> tuple[list[float | None], list[tuple[float, str]]]:
    logarithmic = low > 0 and high / low > 10

    def scale(value: float) -> float:
        return math.log(value) if logarithmic else float(value)

    span = scale(high) - scale(low) or 1.0
    places = [None if v is None else (scale(v) - scale(low)) / span for v in values]
    return places, [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")] if high > low else [(0.0, f"{low:.3g}")]
