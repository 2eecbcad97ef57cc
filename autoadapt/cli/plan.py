"""autoadapt plan: what a search will probably take, before anything is spent."""

from pathlib import Path
from typing import Annotated

import typer

from autoadapt.cli.search import Overrides, TaskFile
from autoadapt.shown_text import inert_json


def plan(
    task: TaskFile,
    overrides: Overrides = None,
    runs: Annotated[Path, typer.Option(help="Folder of all studies.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> None:
    """Estimate hours, dollars and memory of a search before it runs."""
    from autoadapt.api.plan import plan_with_warnings

    estimate, warnings = plan_with_warnings(task, overrides or (), runs)
    if as_json:
        print(inert_json(estimate.model_dump_json(indent=1)))
        return
    from autoadapt.display.terminal.plans import print_plan

    print_plan(estimate, warnings)
