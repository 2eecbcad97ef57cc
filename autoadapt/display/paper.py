"""Figures for a paper, as PNG, SVG or PDF: frontiers and attainment of several runs, hypervolume over spend.

Drawn with matplotlib, which needs no browser: pip install 'autoadapt[research]'.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoadapt.display.method_style import COLOURS, MethodStyle
from autoadapt.display.static_page import FORMATS, static_page
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import UserError
from autoadapt.pareto.frontier import frontier, measured_trials
from autoadapt.pareto.reference import hypervolume_over_spend

if TYPE_CHECKING:
    from autoadapt.runs.frontiers import TaskRuns

MARKERS = "osD^v*PX"
LINES = ("dotted", "solid", "dashed")


def draw(tasks: "Sequence[TaskRuns]", path: Path, other: str | None = None) -> None:
    """One row of panels per task: frontiers (and attainment of several runs), frontiers of methods, hypervolume.

    Args:
        tasks: runs by task.
        path: of the figure; its suffix gives its format.
        other: the objective drawn against quality, such as latency_ms; None: see `TaskRuns.against`.

    Raises:
        UserError: the format or the objective is unknown, matplotlib is not installed, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: unknown format of a figure; it must end in {', '.join(FORMATS)}")
    panels = [_Panels(task, other) for task in tasks]
    settings = {"font.size": 8, "axes.grid": True, "grid.alpha": 0.3}
    with static_page(path, (7.2, 2.4 * len(tasks)), settings) as page:
        grid: Any = page.subplots(len(tasks), 3, squeeze=False)
        for axes, panel in zip(grid, panels, strict=True):
            panel.runs(axes[0])
            panel.methods(axes[1])
            panel.spend(axes[2])


class _Panels:
    """The three panels of a task."""

    def __init__(self, task: "TaskRuns", other: str | None) -> None:
        self.task, self.goals = task, task.goals
        self.quality, self.other = task.main, task.against(other)
        if self.quality.name != "quality":
            raise UserError(f"{task.name}: figures need quality among the objectives of the task")

    def runs(self, axes: Any) -> None:
        several = len(self.task.studies) > 1
        for i, study in enumerate(self.task.studies):
            rows = measured_trials(study.rows, self.goals)
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            corners = self._corners(rows)
            axes.scatter([x for x, _ in corners], [q for _, q in corners], s=6, alpha=0.3, **style)
            if several:
                axes.scatter([], [], s=12, label=study.root.name, **style)
            else:
                axes.step(*staircase(corners), where="post", color=style["color"], label=study.root.name)
        if several:
            self._attainment(axes)
        self._finish(axes, self.task.name)

    def _attainment(self, axes: Any) -> None:
        corners = self.task.attainment(self.other.name)
        for share, line in zip(sorted({c["share"] for c in corners}), LINES, strict=False):
            x, y = staircase([(c[self.other.name], c["quality"]) for c in corners if c["share"] == share])
            style = {"color": "black", "linestyle": line, "linewidth": 1}
            axes.step(x, y, where="post", label=f"attained by {share:.0%}", **style)

    def methods(self, axes: Any) -> None:
        methods, all_rows = MethodStyle.of(*self.task.studies), [r for s in self.task.studies for r in s.rows]
        for i, method in enumerate(methods.methods):
            rows = frontier([r for r in all_rows if r.method == method], self.goals)
            if rows:
                style = {"marker": MARKERS[i % len(MARKERS)], "markersize": 3, "color": methods.colour(method)}
                axes.step(*staircase(self._corners(rows)), where="post", label=method, **style)
        self._finish(axes, "frontier of each method")

    def spend(self, axes: Any) -> None:
        for i, study in enumerate(self.task.studies):
            curve = hypervolume_over_spend(study.rows, self.task.reference)
            style = {"color": COLOURS[i % len(COLOURS)], "label": study.root.name}
            axes.step([usd for usd, _ in curve], [v for _, v in curve], where="post", **style)
        axes.locator_params(axis="x", nbins=4)
        _title(axes, "hypervolume", "USD spent on trials", "share of the box")

    def _corners(self, rows: Sequence[TrialRow]) -> list[tuple[float, float]]:
        return [(r.values[self.other.name], r.values[self.quality.name]) for r in rows]

    def _finish(self, axes: Any, title: str) -> None:
        if self.other.scale == "log":
            _logarithmic(axes)
        _title(axes, title, self.other.title, self.quality.title)


def staircase(corners: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The highest quality attained at a value of the other objective or less, as x and y of a step line."""
    best, x, y = float("-inf"), [], []
    for value, quality in sorted(corners, key=lambda c: (c[0], -c[1])):
        if quality > best:
            best = quality
            x.append(value)
            y.append(quality)
    return x, y


def _logarithmic(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.1g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _title(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(fontsize=6)
