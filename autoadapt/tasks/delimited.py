"""Rows of csv files as programs write them: parted by commas, semicolons, tabs or bars, in any known encoding."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoadapt.errors import Exit, UserError
from autoadapt.tasks.encodings import NAMES, UTF8, encoding_of, not_decoded

LONGEST_CELL = 1_000_000
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What parts the columns, and what it is called."""
LOOKED_AT_LINES, LOOKED_AT_CHARACTERS = 50, 1 << 20
EXCEL_SAYS = re.compile(r"sep=(.)\r?\n?")
"""A first line by which Excel is told what parts the columns; it is no row."""

Located = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Unreadable:
    """In place of a cell that cannot be read; it is an error where the cell is needed."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass
class Records:
    """The raw rows of a file, each with where it stands, and how the file is read."""

    rows: Iterator[Located]
    notes: list[str] = field(default_factory=list)
    form: str = ""
    """Such as ``semicolons, Windows-1252``; empty where nothing is unusual."""
    total: int | None = None
    """Number of rows, where it is known before they are read."""
    pick: Callable[[Sequence[int]], Iterator[Located]] | None = None
    """The rows at some places, counted from 0 and rising, without making the others; None: rows are read in turn."""


def csv_records(path: Path, encoding: str | None = None) -> Records:
    """The rows of a csv file.

    Args:
        path: the file.
        encoding: as the user has named it; None: by its bytes.

    Raises:
        UserError: exit code 3, with file and line; while rows are read, too.
    """
    csv.field_size_limit(LONGEST_CELL * 10)
    found = encoding_of(path, encoding)
    try:
        with path.open(encoding=found.name, newline="") as file:
            lines = list(io.StringIO(file.read(LOOKED_AT_CHARACTERS), newline=""))[:LOOKED_AT_LINES]
    except UnicodeError as error:
        raise not_decoded(path, found.name, error) from error
    said = EXCEL_SAYS.fullmatch(lines[0]) if lines else None
    delimiter = said[1] if said else delimiter_of(lines, "\t" if path.suffix.lower() == ".tsv" else ",")
    form = [] if delimiter == "," else [DELIMITERS.get(delimiter, repr(delimiter))]
    form += [] if found.name in UTF8 else [NAMES.get(found.name, found.name)]
    rows = _rows(path, found.name, delimiter, skipped=1 if said else 0)
    return Records(rows, [found.note] if found.note else [], ", ".join(form))


def delimiter_of(lines: list[str], usual: str) -> str:
    """What parts the columns: it parts the header, and most of the rows below it into as many cells.

    Args:
        lines: the first ones of the file.
        usual: taken where nothing parts the header.
    """
    best, best_fit = usual, (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:  # reported with its line when the file is read
            continue
        columns = len(rows[0]) if rows else 0
        below = rows[1:-1] or rows[1:]  # the last row may be cut
        fit = sum(len(row) == columns for row in below) / len(below) if below else 1.0
        if columns > 1 and (fit, columns) > best_fit:
            best, best_fit = delimiter, (fit, columns)
    return best


def _rows(path: Path, encoding: str, delimiter: str, skipped: int) -> Iterator[Located]:
    begun = 1  # the line in which the row that is read begins
    try:
        with path.open(encoding=encoding, newline="") as file:
            for _ in range(skipped):
                file.readline()
            begun += skipped
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            first = next((cells for cells in reader if cells), None)
            if first is None:
                return
            header = named_columns(f"{path}, line {reader.line_num + skipped}", first)
            begun = reader.line_num + skipped + 1
            for cells in reader:
                where = f"{path}, line {reader.line_num + skipped}"
                begun = reader.line_num + skipped + 1
                if not cells:
                    continue
                if len(cells) < len(header) or any(cells[len(header) :]):
                    raise UserError(
                        f"{where}: {len(cells)} cells, but the header names {len(header)} columns; "
                        f"quote text that holds {delimiter!r}",
                        Exit.DATA,
                    )
                yield where, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise UserError(
            f"{path}, line {begun}: {_in_words(error)} in the row that begins here; is a quote left open?", Exit.DATA
        ) from error
    except UnicodeError as error:
        raise not_decoded(path, encoding, error) from error


def _in_words(error: csv.Error) -> str:
    if "field larger than" in str(error):
        return f"a cell of more than {csv.field_size_limit():,} characters"
    return str(error)


def named_columns(where: str, cells: list[str]) -> list[str]:
    """Names of the columns: of one without a name its place, and none for empty cells at the end of the header.

    Raises:
        UserError: exit code 3: a name is given twice.
    """
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    names = [name or f"column {place}" for place, name in enumerate(names, 1)]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{where}: column '{repeated}' is named twice; give each column a name of its own", Exit.DATA)
    return names
