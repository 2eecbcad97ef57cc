"""autoadapt evaluate: a bundle on labelled rows, alone or beside a second one."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or registry:NAME@ALIAS.", show_default=False)],
    rows: Annotated[str, typer.Argument(help="A labelled csv, jsonl or parquet file.", show_default=False)],
    against: Annotated[Path | None, typer.Option(help="Folder of a second bundle, for a paired comparison.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Score an exported option on labelled rows, or two of them."""
    from autoadapt.api.evaluate import evaluate as score

    evaluation = score(bundle, rows, against=against)
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json(evaluation)
    else:
        from autoadapt.display.terminal.bundles import print_evaluation

        print_evaluation(evaluation)
