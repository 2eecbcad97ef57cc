"""Rows of the first sheet of an Excel workbook, by openpyxl, an extra."""

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from autoadapt.errors import Exit, UserError
from autoadapt.tasks.delimited import Located, Records, Unreadable, named_columns

MOST_BYTES = 1_000_000_000
"""Of a workbook that is unpacked; one that is packed tightly to fill the memory is refused before it is read."""
DAMAGED = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, NotImplementedError,
    zipfile.BadZipFile, zlib.error, ParseError,
)  # fmt: skip
"""What openpyxl raises for a workbook that is not whole."""
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")
"""What stands in a cell that Excel could not compute, and what openpyxl gives for a date that no calendar has."""


def xlsx_records(path: Path) -> Records:
    """The rows of the first visible sheet that has any; formulas by the values that Excel has stored.

    Raises:
        UserError: openpyxl is not installed (exit code 4); it is no workbook, or damaged (exit code 3).
    """
    try:
        import openpyxl
    except ImportError:
        raise UserError(
            f"{path}: Excel workbooks are read by openpyxl, which is not installed; "
            "run: pip install 'autoadapt[xlsx]', or save the sheet as csv",
            Exit.ENVIRONMENT,
        ) from None
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())
        if size > MOST_BYTES:
            raise UserError(f"{path}: {size / 1e9:.1f} GB when unpacked; save the sheet as csv", Exit.DATA)
        # openpyxl leaves the file open; a handle of our own is closed for certain once the rows are in memory
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of parts of a workbook that no row needs
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            for sheet in sheets:
                sheet.reset_dimensions()  # some programs state a wrong size
            filled = [sheet for sheet in sheets if any(_filled(cells) for cells in sheet.iter_rows(values_only=True))]
            rows = list(filled[0].iter_rows(values_only=True)) if filled else []
    except DAMAGED as error:
        raise _damaged(path, error) from error
    if not filled:
        return Records(iter(()))
    title = filled[0].title
    others = ", ".join(f"'{sheet.title}'" for sheet in filled[1:])
    notes = [f"{path.name}: sheet '{title}' is read, {others} not"] if others else []
    return Records(_rows(f"{path}, sheet '{title}'", rows), notes, f"sheet '{title}'")


def _rows(sheet: str, rows: list[tuple[Any, ...]]) -> Iterator[Located]:
    header: list[str] | None = None
    for number, cells in enumerate(rows, 1):
        if not _filled(cells):
            continue
        where = f"{sheet}, row {number}"
        if header is None:
            header = named_columns(where, ["" if cell is None else str(cell) for cell in cells])
            continue
        if any(cell is not None for cell in cells[len(header) :]):
            raise UserError(f"{where}: more cells than the header names columns ({len(header)})", Exit.DATA)
        padded = [*cells, *[None] * (len(header) - len(cells))]
        yield where, {name: _read(cell) for name, cell in zip(header, padded, strict=False)}


def _read(cell: Any) -> Any:
    if isinstance(cell, str) and cell in ERRORS:
        return Unreadable(f"Excel shows {cell}, as for a formula that failed or a date that no calendar has")
    return cell


def _filled(cells: tuple[Any, ...]) -> bool:
    return any(cell is not None and str(cell).strip() for cell in cells)


def _damaged(path: Path, error: Exception) -> UserError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return UserError(
        f"{path}: not a readable workbook ({first}); open it in Excel and save it again as xlsx", Exit.DATA
    )
