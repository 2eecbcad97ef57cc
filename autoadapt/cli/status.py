"""autoadapt status: where a search stands, read from its run folder."""

import json
from pathlib import Path
from typing import Annotated

import typer

RunFolderArgument = Annotated[Path, typer.Argument(help="A run folder, such as runs/NAME.", show_default=False)]


def status(
    run: RunFolderArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the search has ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What the driver has told last, as JSON.")] = False,
) -> None:
    """Say where a search stands, from any machine that shares its folder."""
    from autoadapt.runs.driver_report import read_report

    if as_json:
        from autoadapt.cli.printing import print_json

        report = read_report(run)
        told = json.loads(report.model_dump_json())
        print_json({"runs": report.runs(), "seconds_ago": round(report.seconds_ago(), 1), **told})
        return
    from autoadapt.display.terminal.driver_reports import print_report, watch_report

    (watch_report if watch else print_report)(run)
