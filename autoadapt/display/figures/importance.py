"""How much each parameter moved each objective within a method."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import escaped, lay_out
from autoadapt.display.method_style import COLOURS

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study", method: str | None = None) -> go.Figure | None:
    """One group of bars per parameter.

    Args:
        study: loaded.
        method: by default all of them.
    """
    importances = [i for i in study.importances() if method is None or i.method == method]
    if not importances:
        return None
    several = len({i.method for i in importances}) > 1
    figure = go.Figure()
    for n, goal in enumerate(study.goals):
        bars = [i for i in importances if i.objective == goal.name]
        figure.add_bar(
            x=[i.share for i in bars],
            y=[escaped(f"{i.method}: {i.parameter}" if several else i.parameter) for i in bars],
            orientation="h",
            name=goal.name,
            marker_color=COLOURS[n],
        )
    lay_out(figure, "share of explained variance (fANOVA)", "")
    return figure.update_layout(barmode="group", yaxis={"automargin": True, "autorange": "reversed"})
