"""All trials measured in full in two objectives; the frontier with its test scores and 95 % intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from autoadapt.display.figures._style import GOLD, error_bars, escaped, lay_out
from autoadapt.display.goals import goal_named, pairs, shown_value
from autoadapt.display.method_style import GREY, MethodStyle
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.shelves import OBJECTIVES

if TYPE_CHECKING:
    from autoadapt.runs.study import Study


@dataclass(frozen=True)
class Group:
    """Trials that are drawn alike."""

    name: str
    includes: Callable[[TrialRow], bool]
    size: int
    opacity: float
    marker: str = ""
    """Appended to the method's symbol."""
    detailed: bool = True
    """Whether the pointer shows parameters; of hundreds of other trials the report's table shows them better."""


GROUPS = (
    Group("other trials (validation)", lambda r: not r.on_frontier and not r.within_noise, 7, 0.35, detailed=False),
    Group("dominated within measurement error (validation)", lambda r: r.within_noise, 9, 0.8, "-open"),
    Group("frontier (test where scored)", lambda r: r.on_frontier, 13, 1.0),
)


def draw(study: "Study", x: str | None = None, y: str | None = None) -> go.Figure | None:
    """One marker per trial.

    Args:
        study: loaded.
        x, y: names of objectives; by default the first pair of the study's objectives.
    """
    rows = [r for r in study.rows if r.state == TrialState.COMPLETE and r.quality is not None]
    if not rows:
        return None
    across, up = pairs(study)[0]
    across, up = goal_named(study, x) if x else across, goal_named(study, y) if y else up
    plot = _Plot(study, across, up)
    for method in plot.style.methods:
        for group in GROUPS:
            members = [r for r in rows if r.method == method and group.includes(r)]
            if members:
                plot.add_group(members, group)
    plot.add_cascades()
    plot.mark_recommended()
    lay_out(plot.figure, across.title, up.title)
    for axis, goal in (("xaxis", across), ("yaxis", up)):
        if goal.scale == "log":
            plot.figure.update_layout({axis: {"type": "log", "exponentformat": "power", "nticks": 8}})
    return plot.figure


class _Plot:
    def __init__(self, study: "Study", x: Goal, y: Goal) -> None:
        self.figure, self.x, self.y = go.Figure(), x, y
        self.style, self.options = MethodStyle.of(study), {o.trial: o for o in study.options}
        self.recommended = study.recommendation.trial

    def _values(self, rows: Sequence[TrialRow], goal: Goal) -> list[float | None]:
        return [shown_value(r, self.options.get(r.trial), goal) for r in rows]

    def add_group(self, rows: Sequence[TrialRow], group: Group) -> None:
        method = rows[0].method
        hover = f"%{{text}}<br>{self.x.title}: %{{x:.4g}}<br>{self.y.title}: %{{y:.4g}}<extra></extra>"
        self.figure.add_scatter(
            x=self._values(rows, self.x),
            y=self._values(rows, self.y),
            error_y=_quality_bars(rows) if self.y.name == "quality" and rows[0].on_frontier else None,
            mode="markers",
            name=f"{escaped(method)}: {group.name}",
            text=[_details(r) if group.detailed else f"trial {r.trial}" for r in rows],
            hovertemplate=hover,
            marker={
                "color": self.style.colour(method),
                "symbol": self.style.symbol(method) + group.marker,
                "size": group.size,
                "opacity": group.opacity,
            },
        )

    def add_cascades(self) -> None:
        """Options that are made of two others and are no trials."""
        cascades = [o for o in self.options.values() if o.cascade is not None]
        if not cascades:
            return
        self.figure.add_scatter(
            x=[_option_value(o, self.x) for o in cascades],
            y=[_option_value(o, self.y) for o in cascades],
            error_y=_option_bars(cascades) if self.y.name == "quality" else None,
            mode="markers",
            name="cascades (test)",
            text=[escaped(o.name) for o in cascades],
            hovertemplate=f"%{{text}}<br>{self.x.title}: %{{x:.4g}}<br>{self.y.title}: %{{y:.4g}}<extra></extra>",
            marker={"color": GREY, "symbol": "star-diamond", "size": 14},
        )

    def mark_recommended(self) -> None:
        chosen = self.options.get(self.recommended) if self.recommended is not None else None
        if chosen is None:
            return
        ring = {"size": 24, "color": "rgba(0,0,0,0)", "line": {"width": 3, "color": GOLD}}
        self.figure.add_scatter(
            x=[_option_value(chosen, self.x)],
            y=[_option_value(chosen, self.y)],
            mode="markers",
            marker=ring,
            name="recommended",
            hoverinfo="skip",
        )


def _option_value(option: Option, goal: Goal) -> float:
    """Quality on test rows where scored, everything else as in the tables."""
    if goal.name == "quality":
        return option.best_known_quality[0]
    return OBJECTIVES.get(goal.name).of_option(option, goal.name)


def _option_bars(options: Sequence[Option]) -> dict[str, Any]:
    known = [o.best_known_quality for o in options]
    return error_bars([q for q, _ in known], [ci[0] for _, ci in known], [ci[1] for _, ci in known])


def _quality_bars(rows: Sequence[TrialRow]) -> dict[str, Any]:
    ends = [
        (r.test_quality, r.test_low, r.test_high)
        if r.test_quality is not None
        else (r.quality, r.quality_low, r.quality_high)
        for r in rows
    ]
    values, lows, highs = ([value or 0.0 for value in column] for column in zip(*ends, strict=True))
    return {**error_bars(values, lows, highs), "thickness": 1.2}


def _details(row: TrialRow) -> str:
    lines = [f"trial {row.trial}: {escaped(row.method)} on {escaped(row.model)}"]
    lines += [
        f"{escaped(k)} = {v:.3g}" if isinstance(v, float) else f"{escaped(k)} = {escaped(v)}"
        for k, v in row.params.items()
    ]
    if row.test_quality is not None:
        lines.append(f"test quality {row.test_quality:.3f}")
    if row.quality is not None:
        lines.append(f"validation quality {row.quality:.3f}")
    return "<br>".join(lines)
