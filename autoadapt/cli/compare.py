"""autoadapt compare: a finished study under other volumes, prices and latency targets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from autoadapt.cli.frontier import SHORT_NAMES
from autoadapt.errors import UserError

RunFolder = Annotated[Path, typer.Argument(help="A run folder, such as runs/NAME.", show_default=False)]
EXAMPLE = "volume=10k,price=2.69,latency_p95_ms=400"


def compare(
    run: RunFolder,
    scenarios: Annotated[Path | None, typer.Argument(help="A scenarios file (YAML).", show_default=False)] = None,
    written: Annotated[list[str] | None, typer.Option("--scenario", help=f"{EXAMPLE},... (repeatable).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
    figure: Annotated[
        Path | None, typer.Option(help="A figure of the options: .html, .svg, .png or .pdf.", show_default=False)
    ] = None,
    across: Annotated[
        str, typer.Option("--x", help="Axis of the figure: cost, latency, quality or an objective.")
    ] = "cost",
    up: Annotated[str, typer.Option("--y", help="The other axis.")] = "quality",
    as_csv: Annotated[bool, typer.Option("--csv", help="One row per scenario and option.")] = False,
) -> None:
    """Price a finished study under other scenarios; run nothing."""
    from autoadapt.api.study import Study
    from autoadapt.runs.scenarios import scenario_of

    study = Study.load(run)
    columns = [] if scenarios is None else study.compare(scenarios)
    if written:
        columns += study.compare(dict(scenario_of(text) for text in written))
    if not columns:
        raise UserError(f"give a scenarios file or --scenario {EXAMPLE}")
    if figure is not None:
        study.draw_comparison(columns, figure, *(SHORT_NAMES.get(axis, axis) for axis in (across, up)))
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json([json.loads(c.model_dump_json()) for c in columns])
        return
    from autoadapt.display.comparison_csv import comparison_csv
    from autoadapt.display.terminal.scenarios import print_comparison

    if as_csv:
        print(comparison_csv(columns, study.goals), end="")
    else:
        print_comparison(columns, study.goals)
        if figure is not None:
            print(f"wrote {figure}")
