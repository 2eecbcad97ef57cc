"""Rows of parquet files and of hub data sets, by the datasets package (no remote code)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import datasets.exceptions

from autoadapt.errors import Exit, UserError


def parquet_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a parquet file, each with where it stands.

    Raises:
        UserError: it is not parquet, or damaged.
    """
    datasets.disable_progress_bars()
    try:
        table = datasets.Dataset.from_parquet(str(path), cache_dir=None, keep_in_memory=True)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first = str(error.__cause__ or error).splitlines()[0]
        raise UserError(f"{path}: not a readable parquet file ({first})", Exit.DATA) from error
    for number, record in enumerate(table, 1):
        yield f"{path}, row {number}", record


def hub_records(name: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of one split of a data set on the Hugging Face hub, or in its cache when offline.

    Raises:
        UserError: it cannot be had.
    """
    datasets.disable_progress_bars()
    try:
        table = datasets.load_dataset(name, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise UserError(
            f"data '{name}', split '{split}': cannot be loaded from the hub ({first}); "
            "check the name, sign in with `hf auth login` if it is gated, or give a local file",
            Exit.DATA,
        ) from error
    for number, record in enumerate(table, 1):
        yield f"{name} ({split}), row {number}", dict(record)
