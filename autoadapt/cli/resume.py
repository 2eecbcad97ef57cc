"""autoadapt resume: go on with a search, as it was begun, from its run folder alone."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from autoadapt.cli.search import search
from autoadapt.cli.status import RunFolderArgument
from autoadapt.errors import Exit, UserError


def resume(
    run: RunFolderArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Events as NDJSON on stdout.")] = False,
) -> None:
    """Go on with a search that was stopped or killed, as it was begun."""
    from autoadapt.runs.driver_report import read_report

    report = read_report(run)
    if report.runs():
        raise UserError(
            f"{run}: its search is running on {report.host} (process {report.pid}); see `autoadapt status {run}`",
            Exit.STORAGE,
        )
    begun = report.begun
    if begun is None:
        raise UserError(f"{run}: was begun from Python; call autoadapt.search again with the same task", Exit.CONFIG)
    if not Path(begun.task).exists():
        sets = " ".join(f"--set {shlex.quote(one)}" for one in begun.overrides)
        again = f"autoadapt search TASK --runs {run.parent} {sets}".strip()
        raise UserError(f"{run}: its task file {begun.task} is gone; put it back, or run `{again}`", Exit.CONFIG)
    search(
        Path(begun.task),
        begun.overrides,
        Path(begun.runs),
        [Path(folder) for folder in begun.warm_start],
        begun.trackers,
        as_json,
    )
