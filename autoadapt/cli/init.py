"""autoadapt init: a task file to start from."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if there is none.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="Your labelled rows: csv, jsonl, parquet.")] = None,
    source: Annotated[str | None, typer.Option("--input", help="Column with the text.")] = None,
    answer: Annotated[str | None, typer.Option("--output", help="Column with the answer.")] = None,
) -> None:
    """Write a task file to start from: for your data, or an example."""
    from autoadapt.api.init import init as write_files

    for path in write_files(folder, data, source, answer):
        print(f"wrote {path}")
    print(f"next: autoadapt search {folder / 'task.yaml'}")
