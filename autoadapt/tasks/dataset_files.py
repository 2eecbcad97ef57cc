"""Rows of parquet files, by pyarrow, and of hub data sets, by the datasets package (no remote code).

A parquet file is read in small batches, texts as references to the different ones among them: a file of a few MB may
hold gigabytes when it is unpacked.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from autoadapt.errors import Exit, UserError
from autoadapt.tasks.delimited import Located, Records, Unreadable, named_columns

ROWS_PER_BATCH = 8192
NOT_READABLE = (OSError, ValueError, OverflowError, NotImplementedError, pyarrow.ArrowException)
"""What pyarrow raises for files and cells that are damaged."""


def parquet_records(path: Path, wanted: Collection[str] | None = None) -> Records:
    """Rows of a parquet file, each with where it stands.

    Args:
        path: the file.
        wanted: columns that are read where the file has all of them; None: every column.

    Raises:
        UserError: it is not parquet, or damaged; while rows are read, too.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            total, schema = file.metadata.num_rows, file.schema_arrow
    except NOT_READABLE as error:
        raise _damaged(path, error) from error
    named_columns(str(path), schema.names)  # refuses a name that is given twice
    columns = sorted(wanted) if wanted is not None and set(wanted) <= set(schema.names) else schema.names
    texts = [name for name in columns if _is_text(schema.field(name).type)]
    return Records(
        _parquet_rows(path, columns, texts),
        total=total,
        pick=lambda places: _parquet_rows(path, columns, texts, places),
    )


def _is_text(kind: Any) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (
            pyarrow.types.is_string,
            pyarrow.types.is_large_string,
            pyarrow.types.is_binary,
            pyarrow.types.is_large_binary,
        )
    )


def _parquet_rows(
    path: Path, columns: list[str], texts: list[str], places: Sequence[int] | None = None
) -> Iterator[Located]:
    """Rows of some columns, of which `texts` hold texts: those at `places`, which rise, or all."""
    begun = 0
    try:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH, columns=columns):
                size = batch.num_rows
                here = range(size) if places is None else _within(places, begun, size)
                arrays = [(name, batch.column(name)) for name in batch.schema.names]
                for i in here:
                    yield f"{path}, row {begun + i + 1}", {name: _cell(array[i]) for name, array in arrays}
                begun += size
    except NOT_READABLE as error:
        raise _damaged(path, error, begun) from error


def _within(places: Sequence[int], begun: int, size: int) -> list[int]:
    """Of rising places those in a batch, counted from its beginning."""
    first, last = bisect_left(places, begun), bisect_left(places, begun + size)
    return [place - begun for place in places[first:last]]


def _cell(cell: Any) -> Any:
    """The value of a cell in Python."""
    try:
        value = cell.as_py()
        return value.decode() if isinstance(value, bytes) else value
    except NOT_READABLE as error:  # such as a date that no calendar has
        return Unreadable(_first_line(error))


def _damaged(path: Path, error: BaseException, read: int = 0) -> UserError:
    after = f", after row {read:,}" if read else ""
    return UserError(
        f"{path}{after}: not a readable parquet file ({_first_line(error)}); write it again, or copy it again from "
        "where it is whole",
        Exit.DATA,
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def hub_records(name: str, split: str) -> Records:
    """Rows of one split of a data set on the Hugging Face hub, or in its cache when offline.

    Raises:
        UserError: it cannot be had.
    """
    import datasets
    import datasets.exceptions

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

    def rows(places: Sequence[int]) -> Iterator[Located]:
        for place, record in zip(places, table.select(places), strict=True):
            yield f"{name} ({split}), row {place + 1}", dict(record)

    return Records(rows(range(len(table))), total=len(table), pick=rows)
