"""Dollars a month of each option against queries a month, with the volumes at which another one becomes cheaper."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from autoadapt.display.figures._style import axis, end_labels, escaped, group_name, lay_out, margin_for, merged
from autoadapt.display.method_style import GOLD, GREY, MethodStyle
from autoadapt.display.option_names import option_names
from autoadapt.domain.comparison import BreakEven, Column
from autoadapt.domain.option import RawOption
from autoadapt.economics.cascade_pricer import monthly_costs
from autoadapt.economics.costs import SECONDS_A_MONTH

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

POINTS = 61
"""Volumes at which costs are computed."""
NEAR = 30.0
"""Multiple of the task's volume up to which a break-even is drawn on linear axes."""
MOST_LINES = 8


def draw(study: "Study", hosting: str = "per_use") -> go.Figure | None:
    """One line per option that is shown; those that cost the same are drawn as one.

    Args:
        study: loaded.
        hosting: as in scenarios.
    """
    if not study.raws:
        return None
    column = study.hosted(hosting)
    raws = _drawn(study, column)
    crossings = [float(pair.volumes[0]) for pair in column.break_even if pair.volumes]
    task_volume = float(column.terms.volumes[1])
    far = [v for v in crossings if not task_volume / NEAR <= v <= task_volume * NEAR]
    linear = not far
    most = max([3 * task_volume, *(1.3 * v for v in crossings), _readable(raws, column, hosting) if linear else 0.0])
    least = min([task_volume / 10, *(v / 2 for v in crossings)])
    volumes = np.linspace(max(1.0, most / 500), most, POINTS) if linear else np.geomspace(max(least, 1), most, POINTS)
    curves = monthly_costs(raws, column.terms, [float(v) for v in volumes])
    up = axis([usd for curve in curves.values() for _, usd in curve], money=True, linear=linear)
    figure, names = go.Figure(), option_names(raws)
    style = MethodStyle.of(study)
    lines = [(names[r.trial], [usd for _, usd in curves[r.trial]], style.colour(r.method)) for r in raws]
    groups = merged(lines, up)
    for group, usd, colour in groups:
        name = escaped(group_name(group))
        figure.add_scatter(
            x=[float(v) for v in volumes],
            y=list(usd),
            mode="lines",
            name=name,
            line={"color": colour, "width": 2.5, "shape": "hv" if hosting == "always_on" else "linear"},
            hovertemplate=f"{name}<br>%{{x:,.0f}} queries: $%{{y:.4g}} a month<extra></extra>",
        )
    lay_out(figure, "queries a month", "dollars a month")
    across = axis([float(v) for v in volumes], linear=linear) | {"range": _ends(volumes, linear)}
    figure.update_layout(
        xaxis=across,
        yaxis=up,
        margin=margin_for([group_name(group) for group, _, _ in groups]),
        annotations=end_labels([(usd[-1], group_name(group), colour) for group, usd, colour in groups], up),
    )
    figure.add_vline(x=task_volume, line_dash="dash", line_color=GREY, annotation_text=f"the task: {task_volume:,.0f}")
    for pair in column.break_even:
        _mark(figure, pair, {r.trial: names[r.trial] for r in raws})
    return figure


def _drawn(study: "Study", column: Column) -> list[RawOption]:
    """The options on the page that are deployable, and those of break-evens, the recommended one first."""
    shown = {o.trial for o in study.options} | {t for b in column.break_even for t in (b.trial, b.other)}
    raws = [r for r in study.results.weighed if r.trial in shown]
    return sorted(raws, key=lambda r: (r.trial != study.recommendation.trial, -r.quality_expected))[:MOST_LINES]


def _readable(raws: Sequence[RawOption], column: Column, hosting: str) -> float:
    """The volume up to which there is something to see: the dearest option costs a dollar, or needs a third device."""
    drawn = {r.trial for r in raws}
    priced = [p for p in column.priced if p.trial in drawn]
    if hosting == "always_on":
        rates = [p.requests_per_s for p in priced if p.replicas and p.requests_per_s is not None]
        return 2.5 * min(rates) * float(SECONDS_A_MONTH) if rates else 0.0
    most = max((float(p.usd_per_1k) for p in priced), default=0.0)
    return 1000.0 / most if most else 0.0


def _ends(volumes: Sequence[float] | np.ndarray, linear: bool) -> list[float]:
    return [0.0, float(volumes[-1])] if linear else [float(np.log10(volumes[0])), float(np.log10(volumes[-1]))]


def _mark(figure: go.Figure, pair: BreakEven, names: dict[int, str]) -> None:
    if not pair.volumes or pair.trial not in names or pair.other not in names:
        return
    volume = float(pair.volumes[0])
    text = f"from {volume:,.0f} queries {names[pair.other]} is cheaper than {names[pair.trial]}"
    figure.add_vline(x=volume, line_color=GOLD, line_width=1.5)
    figure.add_annotation(
        x=volume if figure.layout.xaxis.type == "linear" else float(np.log10(volume)),
        y=0.97 - 0.06 * len([n for n in figure.layout.annotations if n.yref == "y domain"]),
        yref="y domain",
        text=escaped(text),
        xanchor="right" if volume > 0.5 * float(figure.layout.xaxis.range[1]) else "left",
        showarrow=False,
        font={"size": 11},
    )
