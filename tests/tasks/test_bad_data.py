"""Every line of bad data that a user may give: `autoadapt check` ends with the code, the place and what to do, or goes on
with a note. The ids of the cases are the lines of the list of bad input; what stands there of rows in reports, of special
tokens and of files that change during a run is tested in `test_html_report.py`, `test_answering.py` and `test_resume.py`.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from conftest import MakeTask, call, labelled_rows

from autoadapt.domain.data import Columns
from autoadapt.tasks import tables
from autoadapt.tasks.tables import Reading, read_table

ROWS = labelled_rows(120)
COLUMNS = {"input": "text", "output": "label"}
OK, USAGE, DATA = 0, 2, 3


def lines(rows: list[dict[str, Any]] = ROWS) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def changed(place: int, **cells: Any) -> str:
    """The rows in JSONL, of which the one at `place`, counted from 1, has other cells."""
    return lines([{**row, **cells} if i == place else row for i, row in enumerate(ROWS, 1)])


def commas(rows: list[dict[str, Any]] = ROWS, delimiter: str = ",") -> str:
    return f"text{delimiter}label\n" + "".join(f"{r['text']}{delimiter}{r['label']}\n" for r in rows)


def parquet(rows: list[dict[str, Any]] = ROWS, **columns: Any) -> bytes:
    written = io.BytesIO()
    cells = {name: [row[name] for row in rows] for name in rows[0]}
    pyarrow.parquet.write_table(pyarrow.table({**cells, **columns}), written)
    return written.getvalue()


def twice_the_text() -> bytes:
    written = io.BytesIO()
    texts, labels = ([row[name] for row in ROWS] for name in ("text", "label"))
    columns = [pyarrow.array(column) for column in (texts, texts, labels)]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=["text", "text", "label"]), written)
    return written.getvalue()


def times_beyond_any_calendar() -> Any:
    return pyarrow.array([2**62] * len(ROWS), pyarrow.int64()).cast(pyarrow.timestamp("us"))


def workbook_with_a_bad_date() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book, plain, bad = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["text", "label"])
    for i, row in enumerate(ROWS):
        book.active.append([datetime(2020, 1, 1) if i == 3 else row["text"], row["label"]])
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"<v>43831</v>", b"<v>9e99</v>"))
    return bad.getvalue()


def numbered(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows with labels of two kinds, written as given."""
    return [{"text": r["text"], "label": values["tool" if r["label"] == "tool" else "other"]} for r in ROWS]


def three_files(train: str, validation: str, test: str) -> dict[str, str]:
    return {"train.jsonl": train, "validation.jsonl": validation, "test.jsonl": test}


def three(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    return rows[:60], rows[60:90], rows[90:]


def checked(make_task: MakeTask, files: Mapping[str, str | bytes], *sets: str, **data: Any) -> Any:
    """Runs `autoadapt check` on a task with these files; `data` are keys of its `data`."""
    task = make_task()
    for name, content in files.items():
        (task.parent / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if not {"path", "train"} & data.keys():
        data = {**data, "path": next(iter(files), "data.jsonl")}
    given = json.dumps({"columns": COLUMNS, **data})
    text = task.read_text().splitlines()
    task.write_text("\n".join(f"data: {given}" if line.startswith("data:") else line for line in text) + "\n")
    return call("check", task, *(part for s in sets for part in ("--set", s)))


SPLITS = {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl"}
UNCLOSED = commas().replace(f"{ROWS[17]['text']},", f'"{ROWS[17]["text"]},')
REFUSED: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str, str]] = {
    "0 rows": ({"a.jsonl": ""}, {}, "a.jsonl", "needs text in its input and its output"),
    "0 rows, csv": ({"a.csv": "text,label\n"}, {}, "a.csv", "needs text in its input and its output"),
    "1 row": ({"a.jsonl": lines(ROWS[:1])}, {}, "training rows", "only one label"),
    "1 label": ({"a.jsonl": lines([{**r, "label": "x"} for r in ROWS])}, {}, "only one label ('x')", "add rows of other labels"),
    "few rows": ({"a.jsonl": lines(ROWS[:20])}, {}, "validation has", "give more data"),
    "no such file": ({}, {"path": "dat.jsonl"}, "dat.jsonl", "No such file"),
    "missing column": ({"a.jsonl": changed(3, txt="a")}, {"columns": {"input": "tex", "output": "label"}},
                       "a.jsonl, line 1: no column 'tex'", "did you mean 'text'? Known: label, text"),
    "missing column, parquet": ({"a.parquet": parquet()}, {"columns": {"input": "text", "output": "labels"}},
                                "a.parquet, row 1: no column 'labels'", "did you mean 'label'? Known: label, text"),
    "malformed JSONL at line k": ({"a.jsonl": lines() + '{"text": \n'}, {}, "a.jsonl, line 121", "not valid JSON"),
    "malformed JSONL, deep": ({"a.jsonl": "[" * 90_000 + "\n"}, {}, "a.jsonl, line 1", "one object per line"),
    "malformed JSONL, digits": ({"a.jsonl": '{"text": ' + "1" * 5000 + "}\n"}, {}, "a.jsonl, line 1", "not valid JSON"),
    "unclosed CSV quote": ({"a.csv": UNCLOSED}, {}, "a.csv, line 19", "is a quote left open?"),
    "stray CSV quote": ({"a.csv": UNCLOSED.replace(' no. 17,', '" no. 17,')}, {}, "a.csv, line 19", "quote left open?"),
    "ragged rows": ({"a.csv": commas().replace(" no. 17,", ", no. 17,")}, {}, "a.csv, line 19: 3 cells", "quote text"),
    "label outside the list": ({"a.jsonl": lines()}, {"labels": ["fruit", "tool"]}, "train, row 3: label 'animal'",
                               "correct it, or add it to data.labels"),
    "a 10 MB row": ({"a.jsonl": changed(7, text="x" * 10_000_001)}, {}, "a.jsonl, line 7: column 'text'", "shorten it"),
    "a 10 MB row, csv": ({"a.csv": commas().replace(" no. 17,", "x" * 10_000_001 + ",")}, {}, "a.csv, line 19",
                         "more than 10,000,000 characters"),
    "half a character": ({"a.jsonl": changed(5, text="a \ud83d b")}, {}, "a.jsonl, line 5: column 'text'",
                         "\\ud83d), as when a text is cut in the middle of an emoji; write the whole character"),
    "half a character, label": ({"a.jsonl": changed(5, label="\udc00")}, {}, "a.jsonl, line 5: column 'label'",
                                "write the whole character"),
    "object in a column": ({"a.jsonl": changed(5, text={"a": 1})}, {}, "a.jsonl, line 5: column 'text'", "not a text"),
    "compressed": ({"a.jsonl": b"\x1f\x8b\x08abc"}, {}, "a.jsonl", "unpack it"),
    "compressed, by name": ({"a.jsonl.gz": b"\x1f\x8b\x08abc"}, {}, "a.jsonl.gz", "use .csv"),
    "wrong parquet magic": ({"a.parquet": b"PAR1 but no parquet"}, {}, "a.parquet", "write it again"),
    "empty parquet": ({"a.parquet": b""}, {}, "a.parquet", "write it again"),
    "cut parquet": ({"a.parquet": parquet()[:-300]}, {}, "a.parquet", "write it again"),
    "a column twice, parquet": ({"a.parquet": twice_the_text()}, {}, "a.parquet: column 'text' is named twice",
                                "give each column a name of its own"),
    "bad date, parquet": ({"a.parquet": parquet(when=times_beyond_any_calendar())},
                          {"columns": {"input": "when", "output": "label"}}, "a.parquet, row 1: column 'when'",
                          "correct the cell"),
    "bad bytes, parquet": ({"a.parquet": parquet([{**r, "text": b"\xff"} for r in ROWS])}, {},
                           "a.parquet, row 1: column 'text'", "correct the cell"),
    "not UTF-8": ({"a.jsonl": lines().encode("utf-8") + b'{"text": "\xff"}\n'}, {}, "a.jsonl", "save it as UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_bad_data_are_refused_with_place_and_fix(make_task: MakeTask, line: str) -> None:
    files, data, place, fix = REFUSED[line]
    run = checked(make_task, files, **data)
    assert run.returncode == DATA, run.stdout + run.stderr
    assert place in run.stderr
    assert fix in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.count("\n") == 1


BINARY = {name: three(numbered({"tool": one, "other": zero})) for name, one, zero in
          (("int", 1, 0), ("text", "1", "0"), ("float", 1.0, 0.0), ("bool", True, False))}  # fmt: skip
NOTED: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "nulls and empty strings": ({"a.jsonl": changed(3, text=None) + '{"text": " ", "label": "tool"}\n'}, {},
                                "a.jsonl: 2 rows without input or output are left out"),
    "numbers that are none": ({"a.jsonl": changed(3, label=float("nan"))}, {}, "a.jsonl: 1 rows without input"),
    "duplicates": ({"a.jsonl": lines(ROWS) + lines(ROWS[:5])}, {}, "a.jsonl: 5 repeated rows are left out"),
    "overlap": (three_files(lines(ROWS[:80]), lines(ROWS[80:100]),
                            lines([{**r, "text": f" {r['text'].upper()} "} for r in ROWS[70:80] + ROWS[100:]])), SPLITS,
                "10 training rows whose input is also in validation or test (apart from case and white space)"),
    "labels 0/1 vs \"0\"/\"1\"": (three_files(*map(lines, (BINARY["int"][0], BINARY["text"][1], BINARY["int"][2]))),
                                  SPLITS, "(train.jsonl: numbers; validation.jsonl: text; test.jsonl: numbers); 1 and \"1\" are one label"),
    "labels 0/1 vs 0.0/1.0": (three_files(*map(lines, (BINARY["int"][0], BINARY["int"][1], BINARY["float"][2]))),
                              SPLITS, "test: labels are read as the known ones of the same value: '0.0' as '0', '1.0' as '1'"),
    "mixed types in a column": ({"a.jsonl": lines([{**r, "label": i % 2 if i % 3 else str(i % 2)} for i, r in enumerate(ROWS)])},
                                {}, "labels are written in several forms (a.jsonl: numbers and text)"),
    "NFC vs NFD": ({"a.jsonl": lines([{**r, "label": ("caf\u00e9", "cafe\u0301", "tea")[i % 3]} for i, r in enumerate(ROWS)])},
                   {}, "a.jsonl: 40 labels have letters in two characters"),
    "spellings": ({"a.jsonl": changed(3, label="Tool ")}, {}, "labels that differ only by case or white space"),
}  # fmt: skip


@pytest.mark.parametrize("line", NOTED)
def test_odd_data_are_read_with_a_note(make_task: MakeTask, line: str) -> None:
    files, data, note = NOTED[line]
    run = checked(make_task, files, **data)
    assert run.returncode == OK, run.stderr
    assert note in run.stdout
    labels = {"NFC vs NFD": 2, "labels 0/1 vs 0.0/1.0": 2, "mixed types in a column": 2}
    assert line not in labels or f"{labels[line]} labels" in run.stdout


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"a.csv": commas(delimiter=";")}, {}),
        ({"a.parquet": parquet(when=times_beyond_any_calendar())}, {}),  # of a column that no row needs
        ({"a.jsonl": changed(4, text="a\0b 🙂 e\u0301 \u200b")}, {}),
        ({"a.jsonl": changed(4, text="{{ 7*7 }} {% for %}")}, {}),
        ({"a.jsonl": changed(4, other="\ud800")}, {}),
    ],
    ids=["semicolons", "bad date elsewhere", "emoji, combining marks, NUL", "template in a row", "half elsewhere"],
)
def test_unusual_data_are_read(make_task: MakeTask, files: dict[str, str | bytes], data: dict[str, Any]) -> None:
    run = checked(make_task, files, **data)
    assert run.returncode == OK, run.stderr


def test_a_date_that_no_calendar_has_is_named_in_a_workbook(make_task: MakeTask) -> None:
    run = checked(make_task, {"a.xlsx": workbook_with_a_bad_date()})
    assert run.returncode == DATA
    assert "a.xlsx, sheet 'Sheet', row 5: column 'text' cannot be read: Excel shows #VALUE!" in run.stderr
    assert "correct the cell" in run.stderr


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["fruit", "tool", "fruit", "animal"], "label 'fruit' is given twice; keep one"),
        (["fruit", "tool", "animal", "caf\u00e9", "cafe\u0301"], "is given twice; keep one"),
        (["fruit", "tool", "animal", " "], "an empty label"),
    ],
)
def test_a_list_of_labels_names_each_once(make_task: MakeTask, labels: list[str], expected: str) -> None:
    run = checked(make_task, {"a.jsonl": lines()}, labels=labels)
    assert run.returncode == USAGE
    assert "task.yaml, line 2, data.labels" in run.stderr
    assert expected in run.stderr


@pytest.mark.parametrize("given", ["[0, 1]", "['0', 1]"])
def test_labels_stay_text_on_the_command_line_as_they_do_in_a_file(make_task: MakeTask, given: str) -> None:
    files = {"a.jsonl": lines(numbered({"tool": 1, "other": 0}))}
    run = checked(make_task, files, f"data.labels={given}")
    assert run.returncode == OK, run.stderr
    assert "2 labels" in run.stdout


def test_a_file_named_like_a_device_gives_a_task_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "con.jsonl").write_text(lines())
    begun = call("init", tmp_path / "task", "--data", tmp_path / "con.jsonl")
    assert begun.returncode == OK, begun.stderr
    assert 'name: "task-con"' in (tmp_path / "task" / "task.yaml").read_text()


# -- more rows than are used


def many(count: int) -> list[dict[str, Any]]:
    """Rows that are sorted by label, as files often are."""
    return [{"text": f"row {i}", "label": f"{10 * i // count}"} for i in range(count)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_sample_is_drawn_from_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 400)
    rows = many(2000)
    content = {"a.jsonl": lines(rows), "a.csv": commas(rows), "a.parquet": parquet(rows)}[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(seed: int) -> tables.Table:
        return read_table(name, tmp_path, Columns(**COLUMNS), "train", reading=Reading(seed=seed))

    table = read(1)
    assert table.notes == [f"{name}: 400 of its 2,000 rows are used, drawn at random from all of them by the seed 1"]
    assert len({row.id for row in table.rows}) == len(table.rows) == 400
    assert [row.id for row in table.rows] == sorted(row.id for row in table.rows)
    assert all(row.input == f"row {row.id}" for row in table.rows)
    counts = [sum(row.outputs == [str(label)] for row in table.rows) for label in range(10)]
    assert all(20 <= count <= 60 for count in counts), counts
    assert read(1).rows == table.rows
    assert read(2).rows != table.rows


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_they_are_there(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_CHARACTERS", 1_000_000)
    run = checked(make_task, {"a.parquet": parquet([{"text": "x" * 100_000, "label": str(i % 2)} for i in range(100)])})
    assert run.returncode == DATA
    assert "a.parquet, row 10: the rows up to here hold more than 1,000,000 characters" in run.stderr
    assert "give shorter texts or fewer rows" in run.stderr
