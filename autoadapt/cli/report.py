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
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON; writes no report.")] = False,
) -> None:
    """Make report.html, and print frontier and recommendation again."""
    from autoadapt.runs.study import read_file

    if as_json:
        names = ("frontier", "recommendations", "summary")
        payload = {name: read_file(run, f"{name}.json") for name in names}
        payload["verdict"] = read_file(run, "verdict.json") if (run / "verdict.json").is_file() else None
        print(json.dumps(payload, indent=1, ensure_ascii=False))
        return
    written = show(run, output)
    if show_it and written is not None:
        webbrowser.open(written.resolve().as_uri())


def show(run: Path, output: Path | None = None) -> Path | None:
    """Prints a run folder's result and writes its report; returns where that is (None: nothing was measured)."""
    from autoadapt.api.study import Study
    from autoadapt.display.terminal.result import print_result

    study, written, failed = Study.load(run), None, None
    try:
        written = study.report(output) if study.raws else None
    except UserError as error:  # such as a full disk: the result is printed all the same
        failed = error
    print_result(study, written)
    if failed is not None:
        raise failed
    return written
