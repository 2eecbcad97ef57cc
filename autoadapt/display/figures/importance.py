"""How much each parameter moved each objective within a method."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import escaped, lay_out
from autoadapt.display.method_style import COLOURS

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study", method: str | None = None) -> go.Figure | None:
    """One part per objective with a bar per parameter, the objective's name above it.

    Args:
        study: loaded.
        method: by default all of them.
    """
    importances = [i for i in study.importances() if method is None or i.method == method]
    if not importances:
        return None
    several = len({i.method for i in importances}) > 1
    figure, width = go.Figure(), 1 / len(study.goals)
    for n, goal in enumerate(study.goals):
        bars = [i for i in importances if i.objective == goal.name]
        suffix = "" if n == 0 else str(n + 1)
        figure.add_bar(
            x=[100 * i.share for i in bars],
            y=[escaped(f"{i.method}: {i.parameter}" if several else i.parameter) for i in bars],
            orientation="h",
            name=goal.name,
            marker_color=COLOURS[n],
            hovertemplate="%{y}: %{x:.0f} %<extra></extra>",
            xaxis=f"x{suffix}",
            yaxis="y",
        )
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "domain": [n * width, (n + 1) * width - 0.04],
                    "range": [0, 100],
                    "ticksuffix": " %",
                    "nticks": 3,
                    "anchor": "y",
                }
            }
        )
        title = {"xref": "paper", "yref": "paper", "yanchor": "bottom", "xanchor": "left", "showarrow": False}
        figure.add_annotation(text=escaped(goal.label), x=n * width, y=1.01, font={"size": 13}, **title)
    lay_out(figure, "", "")
    height = 90 + 26 * len({(i.method, i.parameter) for i in importances})
    axes = {"automargin": True, "autorange": "reversed"}
    return figure.update_layout(yaxis=axes, height=height, margin={"t": 34, "b": 36}, bargap=0.35)
