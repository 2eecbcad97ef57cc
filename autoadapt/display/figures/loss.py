"""Training loss of the trained options of the frontier, by tenth of the steps."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import DASHES, escaped, lay_out
from autoadapt.display.method_style import MethodStyle

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One line per option."""
    style, figure = MethodStyle.of(study), go.Figure()
    for row in study.rows:
        if row.on_frontier and row.train_loss:
            steps = [row.train_steps * (i + 1) / len(row.train_loss) for i in range(len(row.train_loss))]
            name = f"{row.trial} {escaped(row.method)}"
            line = {"color": style.colour(row.method), "dash": DASHES[len(figure.data) % len(DASHES)]}
            figure.add_scatter(x=steps, y=row.train_loss, mode="lines+markers", name=name, line=line)
    return lay_out(figure, "training steps", "mean loss") if figure.data else None
