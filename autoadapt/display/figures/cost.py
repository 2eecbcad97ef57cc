"""USD a month of each option of the frontier against queries a month, with break-even points."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import DASHES, GOLD, error_bars, escaped, lay_out
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.domain.comparison import BreakEven
from autoadapt.domain.option import number_text, trial_name
from autoadapt.economics.cascade_pricer import monthly_costs

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

Curve = Sequence[tuple[float, float]]
"""(Queries a month, USD a month), rising."""


def draw(study: "Study", hosting: str = "per_use") -> go.Figure | None:
    """One line per option of the frontier and of the break-evens.

    Args:
        study: loaded.
        hosting: as in scenarios.
    """
    if not study.raws:
        return None
    column = study.hosted(hosting)
    compared = {t for b in column.break_even for t in (b.trial, b.other)} | {study.recommendation.baseline}
    raws = [r for r in study.results.weighed if r.on_frontier or r.trial in compared]
    style, figure = MethodStyle.of(study), go.Figure()
    curves = monthly_costs(raws, column.terms)
    for i, raw in enumerate(raws):
        volumes, usd = zip(*curves[raw.trial], strict=True)
        name = f"{escaped(number_text(raw.trial))} {escaped(raw.method)}"
        figure.add_scatter(
            x=volumes,
            y=usd,
            mode="lines",
            name=name,
            line={"color": style.colour(raw.method), "dash": DASHES[i % len(DASHES)], "width": 2},
            hovertemplate=f"%{{x:,.0f}} queries: $%{{y:.4g}} a month<extra>{name}</extra>",
        )
    for pair in column.break_even:
        if pair.volumes and pair.trial in curves and pair.other in curves:
            _add_break_even(figure, pair, curves)
    figure.add_vline(x=float(column.terms.volumes[1]), line_dash="dash", line_color=GREY, annotation_text="task")
    lay_out(figure, "queries a month", "USD a month")
    logarithmic = {"type": "log", "exponentformat": "power"}
    return figure.update_layout(xaxis=logarithmic, yaxis=logarithmic)


def _add_break_even(figure: go.Figure, pair: BreakEven, curves: Mapping[int, Curve]) -> None:
    volume = float(pair.volumes[0])
    around, bars = "", None
    if pair.low is not None and pair.high is not None:
        around = f" [{float(pair.low):,.0f} - {float(pair.high):,.0f}]"
        bars = error_bars([volume], [float(pair.low)], [float(pair.high)])
    figure.add_scatter(
        x=[volume],
        y=[usd_at(curves[pair.other], volume)],
        error_x=bars,
        mode="markers",
        name=escaped(f"break-even {number_text(pair.trial)} / {number_text(pair.other)}"),
        marker={"symbol": "x-thin", "size": 14, "line": {"width": 3, "color": GOLD}},
        hovertemplate=f"from {volume:,.0f}{around} queries a month {escaped(trial_name(pair.other))} is cheaper than "
        f"{escaped(trial_name(pair.trial))}<extra></extra>",
    )


def usd_at(curve: Curve, volume: float) -> float:
    """USD a month at a volume, interpolated between logarithms."""
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 <= volume <= x1:
            part = math.log(volume / x0) / math.log(x1 / x0)
            return math.exp(math.log(max(y0, 1e-12)) * (1 - part) + math.log(max(y1, 1e-12)) * part)
    return curve[-1][1]
