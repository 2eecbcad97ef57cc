"""How good the best options were after every dollar: hypervolume of all trials, and of each method alone."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from autoadapt.display.figures._style import axis, end_labels, escaped, group_name, lay_out, margin_for, merged
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.display.option_names import method_name
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.pareto.frontier import measured_trials
from autoadapt.pareto.reference import hypervolume_over_spend

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


def draw(study: "Study") -> go.Figure | None:
    """One stepped line for all methods together, and one per method; those that coincide are drawn as one."""
    if not measured_trials(study.rows, study.goals):
        return None
    reference, style = study.reference(), MethodStyle.of(study)
    asked = [("all methods", study.rows, GREY)]
    asked += [(f"{method_name(m)} alone", _measured_of(m, study.rows), style.colour(m)) for m in style.methods]
    curves = {name: hypervolume_over_spend(rows, reference) for name, rows, _ in asked}
    places = sorted({usd for curve in curves.values() for usd, _ in curve})
    lines = [(name, _at(curves[name], places), colour) for name, _, colour in asked]
    up = axis([v for _, values, _ in lines for v in values], linear=True)
    figure, groups = go.Figure(), merged(lines, up)
    for names, values, colour in groups:
        line = {"shape": "hv", "color": colour, "width": 3.5 if "all methods" in names else 2}
        figure.add_scatter(x=places, y=list(values), mode="lines", name=escaped(group_name(names)), line=line)
    lay_out(figure, "dollars spent on trials", "hypervolume reached (0 to 1)")
    ends = [(values[-1], group_name(names), colour) for names, values, colour in groups]
    across = axis(places, money=True, linear=True) | {"range": [0, places[-1] if places else 1]}
    return figure.update_layout(
        xaxis=across, yaxis=up, margin=margin_for([end[1] for end in ends]), annotations=end_labels(ends, up)
    )


def _at(curve: list[tuple[float, float]], places: list[float]) -> list[float]:
    """The values of a stepped curve at common places."""
    values, i, value = [], 0, 0.0
    for place in places:
        while i < len(curve) and curve[i][0] <= place:
            value = curve[i][1]
            i += 1
        values.append(value)
    return values


def _measured_of(method: str, rows: list[TrialRow]) -> list[TrialRow]:
    """All trials, with those of other methods counting as spend alone."""
    return [r if r.method == method else r.model_copy(update={"state": TrialState.CACHED}) for r in rows]
