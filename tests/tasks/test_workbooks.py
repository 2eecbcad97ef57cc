"""Excel workbooks, by the extra xlsx."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from autoadapt.domain.data import Columns
from autoadapt.errors import Exit, UserError
from autoadapt.tasks import workbooks
from autoadapt.tasks.tables import read_table, records_of

ROWS = [("Zeile eins\nZeile zwei", "Rückgabe"), (3, True), (None, "x"), ("late", 2.5)]


def book(path: Path, rows: list[Any], header: tuple[str, ...] = ("text", "label"), further: bool = False) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    made.active.title = "Tickets"
    made.active.append([])
    for row in [header, *rows]:
        made.active.append(row)
    if further:
        made.create_sheet("Notes").append(["a"])
    made.save(path)
    return path


def test_rows_of_the_first_sheet(tmp_path: Path) -> None:
    book(tmp_path / "a.xlsx", ROWS, further=True)
    table = read_table("a.xlsx", tmp_path, Columns(input="text", output="label"), "train")
    assert [(r.input, r.outputs) for r in table.rows] == [
        ("Zeile eins\nZeile zwei", ["Rückgabe"]),
        ("3", ["true"]),
        ("late", ["2.5"]),
    ]
    assert table.notes == [
        "a.xlsx: sheet 'Tickets' is read, 'Notes' not",
        "a.xlsx: 1 rows without input or output are left out",
    ]


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        (("text", "text"), ("a", "b"), "row 2: column 'text' is named twice"),
        (("text", "label"), ("a", "b", "c"), "row 3: more cells than the header names"),
    ],
)
def test_mistakes_name_sheet_and_row(tmp_path: Path, header: tuple[str, ...], row: Any, expected: str) -> None:
    book(tmp_path / "a.xlsx", [row], header)
    with pytest.raises(UserError, match=f"sheet 'Tickets', {expected}") as caught:
        list(records_of(tmp_path / "a.xlsx").rows)
    assert caught.value.code == Exit.DATA


def test_damaged_and_hostile_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = book(tmp_path / "a.xlsx", ROWS).read_bytes()
    for content in (b"", b"text,label\na,b\n", whole[: len(whole) // 2]):
        (tmp_path / "b.xlsx").write_bytes(content)
        with pytest.raises(UserError, match="not a readable workbook"):
            records_of(tmp_path / "b.xlsx")
    monkeypatch.setattr(workbooks, "MOST_BYTES", 10_000_000)
    with zipfile.ZipFile(tmp_path / "c.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 11_000_000)
    with pytest.raises(UserError, match=r"0\.0 GB when unpacked"):
        records_of(tmp_path / "c.xlsx")


def test_without_openpyxl_the_message_has_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match=r"pip install 'autoadapt\[xlsx\]', or save the sheet as csv") as caught:
        records_of(tmp_path / "a.xlsx")
    assert caught.value.code == Exit.ENVIRONMENT
