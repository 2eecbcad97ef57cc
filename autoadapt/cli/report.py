"""autoadapt report: a study's result again, and its HTML report."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from autoadapt.errors import UserError


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, such as runs/NAME.", show_default=False)],
    show_it: Annotated[bool, typer.Option("--open", help="Open report.html in a browser.")] = False,
    output: Annotated[Path | None, typer.Option(help="Where to write it; by default in the run folder.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every option, parameter and measurement, not one screen.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON; writes no report.")] = False,
) -> None:
    """Write report.html, and print the recommendation again."""
    from autoadapt.api.study import Study

    if as_json:
        results = json.loads(Study.load(run).results.model_dump_json(exclude={"measured"}))
        from autoadapt.cli.printing import print_json

        print_json(results)
        return
    written = show(run, output, everything)
    if show_it and written is not None:
        webbrowser.open(written.resolve().as_uri())


def show(run: Path, output: Path | None = None, everything: bool = False) -> Path | None:
    """Prints a run folder's result and writes its report; returns where that is (None: nothing was measured).

    Args:
        run: run folder.
        output: of the report; None: in the run folder.
        everything: whether all of the result is printed, not one screen.
    """
    from autoadapt.api.study import Study
    from autoadapt.display.terminal.result import print_result
    from autoadapt.display.terminal.summary import print_summary

    study, written, failed = Study.load(run), None, None
    try:
        written = study.report(output) if study.raws else None
    except UserError as error:  # the disk is full: the result is printed all the same
        failed = error
    (print_result if everything else print_summary)(study, written)
    if failed is not None:
        raise failed
    return written
