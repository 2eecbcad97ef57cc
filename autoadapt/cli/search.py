"""autoadapt search: run a study, or resume it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autoadapt.errors import Exit

TaskFile = Annotated[Path, typer.Argument(help="The task file (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: --set budget.trials=10 (repeatable).")
]


def search(
    task: TaskFile,
    overrides: Overrides = None,
    runs: Annotated[Path, typer.Option(help="Folder of all studies.")] = Path("runs"),
    warm_start: Annotated[
        list[Path] | None, typer.Option(help="Folder of an earlier run whose frontier is tried first (repeatable).")
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Report trials to a tracker too: mlflow (repeatable).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Events as NDJSON on stdout.")] = False,
) -> None:
    """Search, or resume what was interrupted, and recommend."""
    from autoadapt.api.search import run_search
    from autoadapt.display.terminal.watchers import watcher

    with watcher(as_json) as watch:
        code, root = run_search(task, overrides or (), runs, warm_start or (), watch, track or ())
    if code in (Exit.INTERRUPTED, Exit.TERMINATED):
        sys.stderr.write(f"autoadapt: stopped; finished trials are in {root}. Run the same command to resume.\n")
    elif as_json:
        from autoadapt.api.study import Study

        study = Study.load(root)
        if study.raws:
            study.report()
    else:
        from autoadapt.cli.report import show

        show(root)
    raise typer.Exit(code)
