"""autoadapt frontier: several runs compared by hypervolume and attainment, for researchers."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

SHORT_NAMES = {"cost": "cost_usd_per_1k", "latency": "latency_ms"}


def frontier(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, such as runs/A runs/B.", show_default=False)],
    export: Annotated[Path | None, typer.Option(help="One row per trial: .csv, .parquet or .json.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Figures for a paper: .png, .svg or .pdf.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The objective against which quality is drawn: cost (where it is one), latency or any other's name."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Hypervolumes and attainment as JSON.")] = False,
) -> None:
    """Compute hypervolume and attainment of runs; export trials."""
    from autoadapt.api.frontiers import frontiers
    from autoadapt.runs.frontiers import export as write_rows

    tasks = frontiers(runs)
    other = None if against is None else SHORT_NAMES.get(against, against)
    for task in tasks:
        task.against(other)
    if export is not None:
        write_rows(tasks, export)
    if figure is not None:
        from autoadapt.display.paper import draw

        draw(tasks, figure, other)
    if as_json:
        payload = [
            {
                "task": task.name,
                "reference": task.reference.model_dump(),
                "runs": [dataclasses.asdict(v) for v in task.volumes()],
                "attainment": task.attainment(other, levels=()) if len(task.studies) > 1 else [],
            }
            for task in tasks
        ]
        print(json.dumps(payload, indent=1))
        return
    from autoadapt.display.terminal.frontiers import print_frontiers

    print_frontiers(tasks, other)
    for path in (export, figure):
        if path is not None:
            print(f"wrote {path}")
