"""Hypervolumes of runs, as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from autoadapt.display.tables import dollars, plain
from autoadapt.study.frontiers import SPENDS, TaskRuns


def print_fronts(tasks: Sequence[TaskRuns], other: str) -> None:
    """A table of runs and one of methods per task; with several runs, what they attained.

    Args:
        tasks: runs by task.
        other: `cost_usd_per_1k` or `latency_ms`, for attainment against quality.
    """
    console = Console(highlight=False)
    for task in tasks:
        volumes = task.volumes()
        console.print()
        console.print(plain(f"{task.name}: {task.reference.description}."))
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("run")
        for name in ("trials", "in full", "front", "spent $", "hypervolume", *(f"at {s:.0%}" for s in SPENDS[:-1])):
            table.add_column(name, justify="right")
        for v in volumes:
            at = [f"{v.at[s]:.3f}" for s in SPENDS[:-1]]
            numbers = [str(v.trials), str(v.full), str(v.on_front), dollars(v.usd), f"{v.hypervolume:.3f}", *at]
            table.add_row(plain(v.run), *numbers)
        console.print(table)
        methods = sorted({m for v in volumes for m in v.methods})
        alone = Table(box=None, pad_edge=False, header_style="bold")
        alone.add_column("hypervolume of")
        for v in volumes:
            alone.add_column(plain(v.run), justify="right")
        for m in methods:
            alone.add_row(m, *(f"{v.methods[m]:.3f}" if m in v.methods else "-" for v in volumes))
        console.print(alone)
        if len(task.studies) > 1:
            _attained(console, task, other)


def _attained(console: Console, task: TaskRuns, other: str) -> None:
    corners = task.attainment(other)
    for level in sorted({c["share"] for c in corners}):
        found = sorted((c for c in corners if c["share"] == level), key=lambda c: -c["quality"])
        if other == "cost_usd_per_1k":
            told = "; ".join(f"{c['quality']:.3f} at ${dollars(c[other])}" for c in found[:5])
        else:
            told = "; ".join(f"{c['quality']:.3f} at {c[other]:.3g} ms" for c in found[:5])
        rest = f" and {len(found) - 5} more" if len(found) > 5 else ""
        console.print(plain(f"attained by {level:.0%} of the {len(task.studies)} runs: {told}{rest}"))
