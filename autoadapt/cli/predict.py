"""autoadapt predict: answer a file of rows by a bundle."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle, or registry:NAME@ALIAS.", show_default=False)],
    rows: Annotated[str, typer.Argument(help="A csv, jsonl or parquet file; - is standard input.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="A jsonl, csv or parquet file. Default: lines of JSON to standard output.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Answer a file of rows by an exported option, or go on."""
    from autoadapt.api.predict import predict as answer

    def show(count: int, rate: float) -> None:
        if not quiet:
            sys.stderr.write(f"{count:,} rows answered, {rate:.4g} rows/s\n")

    done = answer(bundle, rows, output=output, progress=show)
    if output is not None:
        again = f", {done.resumed:,} of them by an earlier run" if done.resumed else ""
        print(f"{output}: {done.rows:,} rows answered{again}")
