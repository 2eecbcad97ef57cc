"""autoadapt stop: end a search from any machine that shares its run folder, so that it can be resumed."""

from typing import Annotated

import typer

from autoadapt.cli.status import RunFolderArgument
from autoadapt.errors import Exit, UserError


def stop(
    run: RunFolderArgument,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")] = 60.0,
) -> None:
    """Stop a search; trainings save a checkpoint first, and it can be resumed."""
    from autoadapt.api.control import stop_search

    was_running, report = stop_search(run, wait)
    if not was_running:
        print(f"{run}: no search is running.")
    elif not report.runs():
        print(f"{run}: stopped. Resume it by: autoadapt resume {run}")
    elif wait:
        raise UserError(f"{run}: was asked to stop and still runs after {wait:g} s; ask again, or wait", Exit.STORAGE)
    else:
        print(f"{run}: was asked to stop.")
