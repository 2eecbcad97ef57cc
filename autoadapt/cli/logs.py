"""autoadapt logs: what the jobs of a trial have printed."""

from typing import Annotated

import typer

from autoadapt.cli.status import RunFolderArgument


def logs(
    run: RunFolderArgument,
    trial: Annotated[int, typer.Argument(min=0, help="Number of the trial.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the search has ended.")] = False,
) -> None:
    """Print what the jobs of a trial have printed."""
    from autoadapt.display.terminal.driver_reports import LogPrinter
    from autoadapt.runs.job_logs import follow_logs

    printer = LogPrinter()
    for part in follow_logs(run, trial, follow):
        printer.show(part)
    printer.end(trial)
