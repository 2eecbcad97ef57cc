"""Reading of data files, errors with file, line and column, and splits."""

import json
from collections import Counter
from pathlib import Path

import pytest

from autoadapt.domain.data import Columns
from autoadapt.domain.rows import Row, input_parts
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.tasks.splits import Splits, make_splits, stratified
from autoadapt.tasks.tables import read_table

COLUMNS = Columns(input="text", output="label", references="references")


def table(tmp_path: Path, name: str, content: str | bytes) -> list[Row]:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(name, tmp_path, COLUMNS, "train").rows


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.parquet"])
def test_equal_rows_from_csv_tsv_jsonl_and_parquet(tmp_path: Path, name: str) -> None:
    rows = [{"text": 'He said "x, y"\tand\nleft 🙂', "label": "1"}, {"text": "é combining e\u0301", "label": "0"}]
    if name.endswith("parquet"):
        import datasets

        datasets.Dataset.from_list(rows).to_parquet(tmp_path / name)
        found = read_table(name, tmp_path, COLUMNS, "train").rows
    elif name.endswith("jsonl"):
        found = table(tmp_path, name, "\ufeff" + "\n\n".join(json.dumps(r) for r in rows) + "\n")
    else:
        import csv
        import io

        out = io.StringIO()
        writer = csv.writer(out, delimiter="," if name.endswith("csv") else "\t")
        writer.writerows([["text", "label"], *([r["text"], r["label"]] for r in rows)])
        found = table(tmp_path, name, "\ufeff" + out.getvalue())
    assert [(r.input, r.outputs) for r in found] == [(r["text"], [r["label"]]) for r in rows]


def test_cell_values_become_text(tmp_path: Path) -> None:
    rows = table(
        tmp_path,
        "a.jsonl",
        '{"text": 1, "label": 1}\n{"text": "b\\u0000", "label": "1"}\n{"text": "c", "label": true}\n',
    )
    assert [r.outputs[0] for r in rows] == ["1", "1", "true"]
    assert rows[1].input == "b"


PAIR = Columns(input=["question", "passage"], output="label")


def test_several_input_columns_are_joined_as_lines_and_can_be_parted_again(tmp_path: Path) -> None:
    records = [
        {"question": "Is it raining?", "passage": "The sky is blue.\nIt is dry.", "label": "no"},
        {"question": "", "passage": "only this", "label": "yes"},
        {"question": " ", "passage": "", "label": "yes"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    found = read_table("a.jsonl", tmp_path, PAIR, "train")
    assert [r.input for r in found.rows] == [
        "question: Is it raining?\npassage: The sky is blue.\nIt is dry.",
        "question: \npassage: only this",
    ]
    assert input_parts(PAIR.joined, found.rows[0].input) == ["Is it raining?", "The sky is blue.\nIt is dry."]
    assert found.notes == ["a.jsonl: 1 rows without input or output are left out"]


def test_a_missing_input_column_names_the_nearest_and_all(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "a", "pasage": "b", "label": "c"}\n')
    with pytest.raises(UserError, match=r"line 1: no column 'passage': did you mean 'pasage'\? Known: label, pasage"):
        read_table("a.jsonl", tmp_path, PAIR, "train")


def test_a_list_of_input_columns_holds_different_ones() -> None:
    assert Columns(input=["text"]).input == "text"
    assert Columns(input=["text"]).joined == Columns(input="text").joined == []
    for wrong in ([], ["text", "text"]):
        with pytest.raises(ValueError, match="a list of different columns"):
            Columns(input=wrong)


def test_several_references(tmp_path: Path) -> None:
    rows = table(tmp_path, "a.jsonl", '{"text": "a", "references": ["x", "y"]}\n{"text": "b", "label": "z"}\n')
    assert [r.outputs for r in rows] == [["x", "y"], ["z"]]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', "line 2: not valid JSON"),
        ("a.jsonl", '[{"text": "a", "label": "b"}]\n', "line 1: a list, not an object"),
        ("a.jsonl", '[\n{"text": "a"}\n]', "Write one object per line"),
        ("a.jsonl", '{"txt": "a", "label": "b"}\n', "line 1: no column 'text': did you mean 'txt'? Known: label, txt"),
        ("a.jsonl", '{"text": ["a"], "label": "b"}\n', "line 1: column 'text' holds a list"),
        ("a.jsonl", '{"text": "' + "x" * 2_000_000 + '", "label": "b"}\n', "2,000,000 characters long"),
        ("a.jsonl", b'{"text": "\xff", "label": "b"}\n', "not UTF-8"),
        ("a.jsonl", "", "no usable row"),
        (
            "a.jsonl",
            '{"text": null, "label": "b"}\n{"text": " ", "label": "b"}\n{"text": "a", "label": ""}\n',
            "no usable row",
        ),
        ("a.csv", "text,label\na,b\nc\n", "line 3: 1 cells, but the header names 2 columns"),
        ("a.csv", 'text,label\n"open,b\nc,d\n', "is a quote left open?"),
        ("a.csv", "text,text\na,b\n", "column 'text' is named twice"),
        ("a.parquet", b"PAR1 this is not parquet", "not a readable parquet file"),
        ("a.doc", b"x", "unknown kind of file"),
        ("a.xls", b"x", "save it as .xlsx or csv"),
    ],
)
def test_unreadable_data_error_names_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        table(tmp_path, name, content)
    assert expected in str(caught.value)
    assert caught.value.code == Exit.DATA


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none.jsonl", "No such file"), ("none", "no hub id"), ("folder.jsonl", "not a regular file")],
)
def test_missing_data_file_error(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UserError, match=expected) as caught:
        read_table(name, tmp_path, COLUMNS, "train")
    assert caught.value.code == Exit.DATA


def test_hub_dataset_offline_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="cannot be loaded from the hub"):
        read_table("owner/name-that-is-nowhere", tmp_path, COLUMNS, "train")


def task(**data: object) -> Task:
    return Task.model_validate(
        {
            "name": "t",
            "data": {"columns": {"input": "text", "output": "label"}, **data},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
            "evaluation": {"rows": 30, "test_rows": 25},
        }
    )


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows))


ROWS = [(f"text {i}", "rare" if i % 10 == 0 else "common") for i in range(300)]


def splits(tmp_path: Path, rows: list[tuple[str, str]] = ROWS, **data: object) -> Splits:
    write(tmp_path / "d.jsonl", rows)
    return make_splits(task(path="d.jsonl", **data), tmp_path, "label")


def test_splits_of_one_file_are_disjoint(tmp_path: Path) -> None:
    parts = splits(tmp_path)
    ids = [{r.id for r in getattr(parts, n)} for n in ("train", "dev", "validation", "test")]
    assert all(not (a & b) for i, a in enumerate(ids) for b in ids[i + 1 :])
    assert (len(parts.validation), len(parts.test), len(parts.dev)) == (30, 25, 30)
    assert len(parts.train) == 180
    assert parts.labels == ["common", "rare"]


def test_splits_are_reproducible_and_hashed(tmp_path: Path) -> None:
    hashes = splits(tmp_path).hashes()
    assert splits(tmp_path).hashes() == hashes
    assert splits(tmp_path, [*ROWS[:-1], ("changed", "rare")]).hashes() != hashes


def test_stratified_prefixes() -> None:
    rows = [Row(id=i, input=str(i), outputs=["rare" if i % 10 == 0 else "common"]) for i in range(300)]
    order = stratified(rows, True, "seed")
    for n in range(20, 301, 20):
        rare = Counter(r.outputs[0] for r in order[:n])["rare"]
        assert abs(rare - n / 10) <= 1
    assert order != stratified(rows, True, "other")


def test_repeated_and_overlapping_rows_are_left_out_with_a_note(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [*ROWS, ("text 3", "common"), ("TEXT  7", "common"), ("text 9", "rare")])
    write(tmp_path / "val.jsonl", [(f" Text {i}", "common") for i in range(5)] + [(f"v{i}", "rare") for i in range(60)])
    write(tmp_path / "test.jsonl", [("v1", "rare"), *((f"t{i}", "common") for i in range(30))])
    parts = make_splits(task(train="train.jsonl", validation="val.jsonl", test="test.jsonl"), tmp_path, "label")
    notes = "\n".join(parts.notes)
    assert "2 repeated rows are left out" in notes
    assert "1 inputs come with different outputs" in notes
    assert "5 training rows whose input is also in validation or test" in notes
    assert "1 inputs are in validation and in test" in notes
    assert not {r.input for r in parts.train} & {f"text {i}" for i in range(5)}


@pytest.mark.parametrize(
    ("rows", "data", "expected"),
    [
        (ROWS[:1], {}, "only one label"),
        ([(f"t{i}", "same") for i in range(100)], {}, "only one label ('same')"),
        (ROWS, {"labels": ["common", "odd"]}, "row 1: label 'rare' is not among the labels (common, odd)"),
        ([(f"t{i}", f"label {i}") for i in range(200)], {}, "200 different labels in 200 rows"),
        (ROWS[:30], {}, "at least 10 are needed"),
    ],
)
def test_unusable_data_error(
    tmp_path: Path, rows: list[tuple[str, str]], data: dict[str, object], expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        splits(tmp_path, rows, **data)
    assert expected in str(caught.value)
    assert caught.value.code == Exit.DATA


def test_test_file_of_another_mix_of_labels_is_noticed(tmp_path: Path) -> None:
    def rows(part: str, spam: int) -> list[tuple[str, str]]:
        return [(f"{part} message {i}", "spam" if i < spam else "ham") for i in range(150)]

    write(tmp_path / "train.jsonl", rows("a", 6))
    write(tmp_path / "val.jsonl", rows("b", 5))
    write(tmp_path / "test.jsonl", rows("c", 100))
    parts = make_splits(task(train="train.jsonl", validation="val.jsonl", test="test.jsonl"), tmp_path, "label")
    [difference] = parts.differences
    assert "label 'ham' is 32.0% of the test rows and 96.7% of the validation rows" in difference
    assert f"test rows differ from validation rows: {difference}" in parts.notes
