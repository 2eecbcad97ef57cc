"""Every option compared with the best one on the same test rows, with 95 % intervals."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import error_bars, escaped, lay_out
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.display.option_names import option_names
from autoadapt.domain.option import trial_name
from autoadapt.domain.verdict import Compared

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One marker per option; open ones are ties."""
    verdict = study.verdict
    if verdict is None or not verdict.compared:
        return None
    style, figure, names = MethodStyle.of(study), go.Figure(), option_names(study.options)
    for pair in sorted(verdict.compared, key=lambda c: -c.difference):
        option = study.option(pair.trial)
        method = option.method if option is not None else "?"
        figure.add_scatter(
            x=[100 * pair.difference],
            y=[escaped(names.get(pair.trial, trial_name(pair.trial)))],
            error_x=error_bars([100 * pair.difference], [100 * pair.low], [100 * pair.high]),
            mode="markers",
            marker={"size": 11, "color": style.colour(method), "symbol": "circle-open" if pair.tied else "circle"},
            showlegend=False,
            hovertemplate=f"%{{x:+.1f}} points [{100 * pair.low:+.1f}, {100 * pair.high:+.1f}], p {pair.p_holm:.3f} "
            f"after Holm's correction: {outcome(pair)}<extra></extra>",
        )
    figure.add_vline(x=0, line_color=GREY)
    rows = verdict.compared[0].rows
    lay_out(
        figure,
        f"points of quality from {escaped(names.get(verdict.best, trial_name(verdict.best)))}, on {rows} test rows",
        "",
    )
    figure.update_layout(height=110 + 34 * len(verdict.compared))
    return figure.update_layout(yaxis={"automargin": True, "autorange": "reversed"})


def outcome(pair: Compared) -> str:
    """Tied, worse or better than the best option."""
    return "tied" if pair.tied else "worse" if pair.difference < 0 else "better"
