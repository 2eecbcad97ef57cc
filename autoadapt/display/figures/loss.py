"""Training loss of the trained options of the frontier, by tenth of the steps."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import axis, end_labels, escaped, lay_out, margin_for
from autoadapt.display.method_style import MethodStyle
from autoadapt.display.option_names import option_names

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One line per option."""
    style, figure, names = MethodStyle.of(study), go.Figure(), option_names(study.options)
    trained = [r for r in study.rows if r.on_frontier and r.train_loss]
    if not trained:
        return None
    up = axis([loss for r in trained for loss in r.train_loss], linear=True)
    ends = []
    for row in trained:
        steps = [row.train_steps * (i + 1) / len(row.train_loss) for i in range(len(row.train_loss))]
        name, colour = names.get(row.trial, f"trial {row.trial}"), style.colour(row.method)
        line = {"color": colour, "width": 2}
        figure.add_scatter(x=steps, y=row.train_loss, mode="lines+markers", name=escaped(name), line=line)
        ends.append((row.train_loss[-1], name, colour))
    lay_out(figure, "training steps", "mean loss")
    return figure.update_layout(yaxis=up, margin=margin_for([end[1] for end in ends]), annotations=end_labels(ends, up))
