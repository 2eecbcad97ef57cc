"""Figures for a paper, as PNG, SVG or PDF: frontiers and attainment of several runs, hypervolume over spend.

Drawn with matplotlib, which needs no browser: pip install 'autoadapt[research]'.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoadapt.display.figures import AXES, COLOURS, Looks
from autoadapt.errors import Exit, UserError
from autoadapt.pareto.frontier import frontier, measured_trials
from autoadapt.pareto.reference import hypervolume_over_spend
from autoadapt.study.frontiers import TaskRuns

FORMATS = (".png", ".svg", ".pdf")
MARKERS = "osD^v*PX"
LINES = ("dotted", "solid", "dashed")


def draw(tasks: Sequence[TaskRuns], path: Path, other: str = "cost_usd_per_1k") -> None:
    """One row of panels per task: frontiers (and attainment of several runs), frontiers of methods, hypervolume.

    Args:
        tasks: runs by task.
        path: of the figure; its ending says its kind.
        other: the objective beside quality, cost_usd_per_1k or latency_ms.

    Raises:
        UserError: the ending is unknown, matplotlib is not installed, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: unknown kind of figure; let it end in {', '.join(FORMATS)}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("figures need a package: pip install 'autoadapt[research]'", Exit.ENVIRONMENT) from error
    from matplotlib import rc_context

    with rc_context({"font.size": 8, "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3}):
        page = Figure(figsize=(7.2, 2.4 * len(tasks)), layout="constrained")
        FigureCanvasAgg(page)
        grid: Any = page.subplots(len(tasks), 3, squeeze=False)
        for line, task in zip(grid, tasks, strict=True):
            _runs(line[0], task, other)
            _methods(line[1], task, other)
            _spend(line[2], task)
        try:
            # no date inside, so that the same runs give the same file
            metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
            page.savefig(path, dpi=300, metadata=metadata)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error


def _steps(corners: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """A staircase through (other, quality): what is attained at this cost or latency, or less."""
    best, x, y = float("-inf"), [], []
    for value, quality in sorted(corners, key=lambda c: (c[0], -c[1])):
        if quality > best:
            best = quality
            x.append(value)
            y.append(quality)
    return x, y


def _runs(axes: Any, task: TaskRuns, other: str) -> None:
    for i, study in enumerate(task.studies):
        colour, rows = COLOURS[i % len(COLOURS)], measured_trials(study.rows, task.goals)
        marker = MARKERS[i % len(MARKERS)]
        axes.scatter(
            [getattr(r, other) for r in rows], [r.quality for r in rows], s=6, color=colour, alpha=0.3, marker=marker
        )
        if len(task.studies) == 1:
            x, y = _steps([(getattr(r, other), r.quality or 0.0) for r in rows])
            axes.step(x, y, where="post", color=colour, label=study.root.name)
        else:
            axes.scatter([], [], s=12, color=colour, marker=marker, label=study.root.name)
    if len(task.studies) > 1:
        corners = task.attainment(other)
        for share, style in zip(sorted({c["share"] for c in corners}), LINES, strict=False):
            x, y = _steps([(c[other], c["quality"]) for c in corners if c["share"] == share])
            axes.step(x, y, where="post", color="black", linestyle=style, linewidth=1, label=f"attained by {share:.0%}")
    _dress(axes, task.name, AXES[other], AXES["quality"], log=True)


def _methods(axes: Any, task: TaskRuns, other: str) -> None:
    looks = Looks([r for s in task.studies for r in s.rows])
    for i, method in enumerate(looks.methods):
        rows = frontier([r for s in task.studies for r in s.rows if r.method == method], task.goals)
        if rows:
            x, y = _steps([(getattr(r, other), r.quality or 0.0) for r in rows])
            style = {"marker": MARKERS[i % len(MARKERS)], "markersize": 3, "color": looks.colour(method)}
            axes.step(x, y, where="post", label=method, **style)
    _dress(axes, "frontier of each method", AXES[other], AXES["quality"], log=True)


def _spend(axes: Any, task: TaskRuns) -> None:
    for i, study in enumerate(task.studies):
        curve = hypervolume_over_spend(study.rows, task.reference)
        style = {"color": COLOURS[i % len(COLOURS)], "label": study.root.name}
        axes.step([usd for usd, _ in curve], [v for _, v in curve], where="post", **style)
    _dress(axes, "hypervolume", "USD spent on trials", "share of the box", log=False)


def _dress(axes: Any, title: str, x: str, y: str, log: bool) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if log:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.1g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.legend(fontsize=6)
