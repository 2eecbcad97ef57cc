"""Latency of requests: single ones, and under load at the highest rate the task expects."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import RED, escaped, lay_out
from autoadapt.display.method_style import MethodStyle

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One or two boxes per option."""
    figure, style = go.Figure(), MethodStyle.of(study)
    for option in study.options:
        raw = study.raw(option.trial)
        name, colour = f"{option.trial} {escaped(option.method)}", style.colour(option.method)
        single = study.latency_ms(option.trial)
        if single:
            figure.add_box(y=single, name=f"{name}<br>alone", marker_color=colour, boxpoints="outliers", line_width=1)
        if raw is not None and raw.load is not None and raw.load.runs:
            run = raw.load.runs[0]
            hollow = {"marker_color": colour, "boxpoints": "outliers", "fillcolor": "rgba(0,0,0,0)"}
            figure.add_box(y=run.e2el_ms, name=f"{name}<br>{run.rate:.3g}/s", **hollow)
    if not figure.data:
        return None
    target = study.task.constraints.latency_p95_ms
    if target is not None:
        figure.add_hline(y=target, line_dash="dash", line_color=RED, annotation_text=f"target {target:g} ms")
    lay_out(figure, "option, alone and under load", "ms per request")
    return figure.update_layout(showlegend=False, yaxis={"type": "log"})
