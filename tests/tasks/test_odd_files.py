"""Files as Excel and other programs write them, and broken ones."""

import codecs
import csv
import io
from pathlib import Path

import pytest

from autoadapt.domain.data import Columns, Data
from autoadapt.errors import Exit, UserError
from autoadapt.tasks.delimited import csv_records
from autoadapt.tasks.encodings import encoding_of
from autoadapt.tasks.spellings import merged, spellings
from autoadapt.tasks.tables import Reading, read_table

ROWS = [
    ("Ich möchte 5 € zurück; schnell, bitte", "Rückgabe"),
    ('Zeile eins\nZeile "zwei"\tmit | Strich', "Lieferung"),
    ("plain", "Rückgabe"),
]


def written(delimiter: str, end: str = "\r\n") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows([("text", "label"), *ROWS])
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", written(",").encode(), ""),
        ("a.csv", written(";").encode("cp1252"), "semicolons, Windows-1252"),
        ("a.csv", codecs.BOM_UTF8 + written(";").encode(), "semicolons"),
        ("a.txt", written("\t").encode("utf-16"), "tabs, UTF-16"),
        ("a.csv", codecs.BOM_UTF16_BE + written(";").encode("utf-16-be"), "semicolons, UTF-16"),
        ("a.csv", written(";").encode("utf-16-le"), "semicolons, UTF-16"),
        ("a.csv", ("sep=;\r\n" + written(";")).encode("cp1252"), "semicolons, Windows-1252"),
        ("a.tsv", written("\t").encode(), "tabs"),
        ("a.tsv", written(",").encode(), ""),
        ("a.csv", written("|").encode(), "bars"),
        ("a.csv", written(";", end="\n").encode(), "semicolons"),
    ],
)
def test_the_same_rows_from_every_form(tmp_path: Path, name: str, content: bytes, form: str) -> None:
    (tmp_path / name).write_bytes(content)
    records = csv_records(tmp_path / name)
    assert [(r["text"].replace("\r\n", "\n"), r["label"]) for _, r in records.rows] == ROWS
    assert records.form == form
    table = read_table(name, tmp_path, Columns(input="text", output="label"), "train")
    assert [row.outputs for row in table.rows] == [["Rückgabe"], ["Lieferung"], ["Rückgabe"]]
    assert any("read as Windows-1252" in note for note in table.notes) == ("Windows" in form)


def test_empty_columns_and_lines_that_excel_leaves(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n;text;label;;\n1;a;x;;\n\n2;b;y;;\n;;;;\n")
    rows = [record for _, record in csv_records(tmp_path / "a.csv").rows]
    assert rows[:2] == [{"column 1": "1", "text": "a", "label": "x"}, {"column 1": "2", "text": "b", "label": "y"}]
    table = read_table("a.csv", tmp_path, Columns(input="text", output="label"), "train")
    assert len(table.rows) == 2


def test_a_character_that_is_not_ascii_far_into_a_file_is_found(tmp_path: Path) -> None:
    lines = "".join(f"row {i},x\n" for i in range(200_000))
    (tmp_path / "a.csv").write_bytes(("text,label\n" + lines + "Päckchen,y\n").encode("cp1252"))
    found = encoding_of(tmp_path / "a.csv")
    assert found.name == "cp1252"
    assert found.note is not None
    assert "such as 'Päckchen'" in found.note


CYRILLIC = "текст;метка\n" + "".join(f"Где мой заказ {i}?;доставка\n" for i in range(5))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (written(";").encode() + "möchte ".encode() + b"\xff;x\n", "is not UTF-8, and the text around it is"),
        (codecs.BOM_UTF8 + written(";").encode("cp1252"), "not valid UTF-8 .* save it as UTF-8"),
        (written(";").encode("utf-16")[:-1], "not valid UTF-16"),
        (CYRILLIC.encode("cp1251"), "no western European text .* name its encoding: autoadapt init --encoding cp1251"),
        (b"text,label\n\x81\x8d,x\n", "neither UTF-8 .* nor Windows-1252"),
        (b"PK\x03\x04 and so on", "is no text but an Excel workbook or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old or protected Office file; save it as .xlsx"),
        (b"\x1f\x8b\x08", "is no text but compressed; unpack it"),
        (b"text;label\na;b;c\n", r"line 2: 3 cells, but the header names 2 columns; quote text that holds ';'"),
        (b'text;label\n"open;b\n', "is a quote left open"),
        (b"text;label;text\na;b;c\n", "line 1: column 'text' is named twice"),
    ],
)
def test_broken_files_end_in_one_message(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught:
        list(csv_records(tmp_path / "a.csv").rows)
    assert caught.value.code == Exit.DATA


def test_a_named_encoding_wins(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CYRILLIC.encode("cp1251"))
    columns = Columns(input="текст", output="метка")
    table = read_table("a.csv", tmp_path, columns, "train", reading=Reading(encoding="cp1251"))
    assert (table.rows[0].outputs, table.notes) == (["доставка"], [])
    with pytest.raises(UserError, match=r"not valid utf-32 .* save it as UTF-8"):
        read_table("a.csv", tmp_path, columns, "train", reading=Reading(encoding="utf-32"))


def test_jsonl_in_utf16_is_read_and_never_taken_for_windows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes('{"text": "Päckchen", "label": "y"}\n'.encode("utf-16"))
    columns = Columns(input="text", output="label")
    assert read_table("a.jsonl", tmp_path, columns, "train").rows[0].input == "Päckchen"
    (tmp_path / "a.jsonl").write_bytes('{"text": "Päckchen", "label": "y"}\n'.encode("cp1252"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_table("a.jsonl", tmp_path, columns, "train")


def test_spellings_of_a_label_and_what_they_are_merged_into() -> None:
    groups = spellings({"billing ": 5, "Billing": 5, "BILLING": 1, "refund": 9, "late  order": 4, "Late order": 1})
    assert groups == [{"Billing": 5, "billing ": 5, "BILLING": 1}, {"late  order": 4, "Late order": 1}]
    assert merged(groups) == {
        "billing ": "Billing",
        "BILLING": "Billing",
        "late  order": "late order",
        "Late order": "late order",
    }
    assert spellings({"a": 1, "b": 2}) == []


def test_merged_labels_are_read_as_one_in_sets_too(tmp_path: Path) -> None:
    reading = Reading.of(Data(path="a", merge_labels={"Billing": "billing", " x": "x"}))
    (tmp_path / "a.csv").write_text('text,label\na,Billing\nb,billing\nc, x\nd,"[""Billing"", ""x""]"\n')
    columns = Columns(input="text", output="label")
    (tmp_path / "b.jsonl").write_text('{"text": "a", "label": ["Billing", "x"]}\n')
    rows = read_table("b.jsonl", tmp_path, columns, "train", "labels", reading).rows
    assert rows[0].outputs == ["billing | x"]
    (tmp_path / "a.csv").write_text("text,label\na,Billing\nb,billing\nc, x\n")
    rows = read_table("a.csv", tmp_path, columns, "train", "label", reading).rows
    assert [row.outputs for row in rows] == [["billing"], ["billing"], ["x"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"merge_labels": {"a": "b", "b": "c"}}, "'b' is merged into another label itself"),
        ({"merge_labels": {"a": " "}}, "'a' is merged into an empty label"),
        ({"encoding": "klingon"}, "no encoding of text; use such as utf-8"),
        ({"encoding": "rot13"}, "no encoding of text"),
    ],
)
def test_what_a_task_may_not_say_of_its_data(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Data.model_validate({"path": "a", **changes})
