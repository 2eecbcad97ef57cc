"""Hypervolumes of runs in tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import dollars
from autoadapt.domain.objective import SHARE, Goal

if TYPE_CHECKING:
    from autoadapt.runs.frontiers import TaskRuns

SHOWN = 5
"""Corners of an attainment surface that are printed."""


def print_frontiers(tasks: "Sequence[TaskRuns]", other: str | None = None) -> None:
    """Prints a table of runs and one of methods per task; with several runs, the attained values too.

    Args:
        tasks: runs by task.
        other: the objective compared with quality; see `TaskRuns.against`.
    """
    console = terminal()
    for task in tasks:
        console.print()
        console.print(plain(f"{task.name}: {task.reference.description}."))
        console.print(_runs_table(task))
        console.print(_methods_table(task))
        if len(task.studies) > 1:
            for line in _attainment_lines(task, other):
                console.print(plain(line))


def _runs_table(task: "TaskRuns") -> Table:
    volumes = task.volumes()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run")
    shares = [share for share in (volumes[0].at if volumes else ()) if share < 1]
    for name in ("trials", "in full", "front", "trials $", "hypervolume", *(f"at {s:.0%}" for s in shares)):
        table.add_column(name, justify="right")
    for v in volumes:
        reached = [f"{v.at[s]:.3f}" for s in shares]
        numbers = [str(v.trials), str(v.full), str(v.on_frontier), dollars(v.usd), f"{v.hypervolume:.3f}", *reached]
        table.add_row(plain(v.run), *numbers)
    return table


def _methods_table(task: "TaskRuns") -> Table:
    volumes = task.volumes()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("hypervolume of")
    for v in volumes:
        table.add_column(plain(v.run), justify="right")
    for m in sorted({m for v in volumes for m in v.methods}):
        table.add_row(m, *(f"{v.methods[m]:.3f}" if m in v.methods else "-" for v in volumes))
    return table


def _attainment_lines(task: "TaskRuns", other: str | None) -> list[str]:
    corners, lines = task.attainment(other), []
    main, against = task.main, task.against(other)
    for level in sorted({c["share"] for c in corners}):
        surface = sorted(
            (c for c in corners if c["share"] == level), key=lambda c: c[main.name], reverse=main.maximized
        )
        texts = [f"{_text(c[main.name], main)} at {_text(c[against.name], against)}" for c in surface[:SHOWN]]
        rest = f" and {len(surface) - SHOWN} more" if len(surface) > SHOWN else ""
        lines.append(f"attained by {level:.0%} of the {len(task.studies)} runs: {'; '.join(texts)}{rest}")
    return lines


def _text(value: float, goal: Goal) -> str:
    if goal.unit == SHARE:
        return f"{value:.3f}"
    return f"${dollars(value)}" if goal.unit == "USD" else f"{value:.3g} {goal.unit}".rstrip()
