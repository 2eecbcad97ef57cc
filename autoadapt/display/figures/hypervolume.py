"""Hypervolume of the frontier over the cost of trials, and of each method alone."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import escaped, lay_out
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.pareto.frontier import measured_trials
from autoadapt.pareto.reference import hypervolume_over_spend

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One step line for all methods together, and one per method."""
    if not measured_trials(study.rows, study.goals):
        return None
    reference, style = study.reference(), MethodStyle.of(study)
    figure = go.Figure()
    lines = [("all methods", study.rows, GREY, 3.0)]
    lines += [(f"{escaped(m)} alone", _measured_of(m, study.rows), style.colour(m), 1.5) for m in style.methods]
    for name, rows, colour, width in lines:
        curve = hypervolume_over_spend(rows, reference)
        line = {"shape": "hv", "color": colour, "width": width}
        figure.add_scatter(x=[usd for usd, _ in curve], y=[v for _, v in curve], mode="lines", name=name, line=line)
    return lay_out(figure, "USD spent on trials", "hypervolume (share of the box)")


def _measured_of(method: str, rows: list[TrialRow]) -> list[TrialRow]:
    """All trials, with those of other methods counting as spend alone."""
    return [r if r.method == method else r.model_copy(update={"state": TrialState.CACHED}) for r in rows]
