"""How long answers take: half of them and 95 % of them, alone and at the task's rate under load."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import RED, axis, escaped, lay_out
from autoadapt.display.method_style import MethodStyle
from autoadapt.display.option_names import option_names
from autoadapt.domain.option import Option
from autoadapt.economics.rates import percentile

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

MOST_OPTIONS = 15


def draw(study: "Study") -> go.Figure | None:
    """One line per option, from the median to the 95th percentile of single requests; a diamond is that under load."""
    figure, style, names = go.Figure(), MethodStyle.of(study), option_names(study.options)
    drawn: list[float] = []
    for option in study.options[:MOST_OPTIONS]:
        name, colour = escaped(names[option.trial]), style.colour(option.method)
        ends = _single(option, study.latency_ms(option.trial))
        if ends:
            text = ["median"] if len(ends) == 1 else ["median", "95 %"]
            figure.add_scatter(
                x=ends,
                y=[name] * len(ends),
                mode="lines+markers",
                name=name,
                text=text,
                line={"color": colour, "width": 4},
                marker={"size": 10, "symbol": ["circle-open", "circle"][: len(ends)], "color": colour},
                hovertemplate=f"{name}, alone, %{{text}}: %{{x:.4g}} ms<extra></extra>",
            )
            drawn += ends
        raw = study.raw(option.trial)
        if raw is not None and raw.load is not None and raw.load.runs and option.latency_p95_ms is not None:
            figure.add_scatter(
                x=[option.latency_p95_ms],
                y=[name],
                mode="markers",
                marker={"size": 12, "symbol": "diamond-open", "color": colour, "line": {"width": 2}},
                hovertemplate=f"{name}, under load, 95 %: %{{x:.4g}} ms<extra></extra>",
            )
            drawn.append(option.latency_p95_ms)
    if not figure.data:
        return None
    target = study.task.constraints.latency_p95_ms
    lay_out(figure, "milliseconds until the answer", "")
    across = axis([*drawn, *([] if target is None else [target])])
    figure.update_layout(xaxis=across, yaxis={"automargin": True, "autorange": "reversed"})
    if target is not None:
        figure.add_vline(x=target, line_dash="dash", line_color=RED, annotation_text=f"limit {target:g} ms")
    return figure


def _single(option: Option, single: Sequence[float]) -> list[float]:
    """Median and, of enough samples, the 95th percentile of single requests."""
    if option.cascade is not None or not single:
        return []
    ends = [percentile(single, 50), percentile(single, 95)]
    return [ms for ms in ends if ms is not None and ms > 0]
