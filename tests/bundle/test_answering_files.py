"""autoadapt predict and Bundle.predict: files of rows answered by a bundle."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
from conftest import autoadapt, call, slow_after
from exporting import ask_alone, words_bundle

import autoadapt as package
from autoadapt.bundle import answering
from autoadapt.bundle.answering import answer_rows
from autoadapt.bundle.loaded import Bundle
from autoadapt.errors import UserError

TEXTS = ["a ripe apple", "the long saw", "two young deer", "=cmd()", "dry \u2028 figs"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words_bundle(tmp_path_factory.mktemp("bundles"))


def rows_file(folder: Path, kind: str, texts: list[str] = TEXTS) -> Path:
    file = folder / f"rows.{kind}"
    table = pandas.DataFrame({"number": range(len(texts)), "text": texts})
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "parquet":
        table.to_parquet(file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_dict("records")))
    return file


def answered(file: Path) -> list[dict[str, object]]:
    if file.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(file.read_text())))
    if file.suffix == ".parquet":
        return list(pandas.read_parquet(file).to_dict("records"))
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


@pytest.mark.parametrize("kind", slow_after(1, ["csv", "jsonl", "parquet"]))
def test_answers_are_written_beside_the_columns_of_each_row(kind: str, bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / f"answers.{kind}"
    done = call("predict", bundle, rows_file(tmp_path, kind), "--output", output)
    assert done.returncode == 0, done.stderr
    assert "5 rows answered" in done.stdout
    lines = answered(output)
    assert [line["prediction"] for line in lines] == ask_alone(bundle, TEXTS)
    assert all(0 < float(str(line["confidence"])) <= 1 for line in lines)
    assert str(lines[3]["text"]) == ("'=cmd()" if kind == "csv" else "=cmd()")
    assert [int(str(line["number"])) for line in lines] == list(range(5))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f"rows.{kind}", f"answers.{kind}"])


def test_standard_input_takes_texts_and_objects(bundle: Path) -> None:
    lines = json.dumps(TEXTS[0]) + "\n\n" + json.dumps({"text": TEXTS[1]}) + "\n"
    done = autoadapt("predict", bundle, "-", "--quiet", input=lines)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["prediction"] for line in done.stdout.splitlines()] == ask_alone(bundle, TEXTS[:2])


def test_python_and_predict_py_answer_alike(bundle: Path) -> None:
    predictions = package.Bundle.load(bundle).predict([TEXTS[0], {"text": TEXTS[1], "other": 1}])
    assert [p.answer for p in predictions] == ask_alone(bundle, TEXTS[:2])
    assert package.Bundle.load(bundle).predict([]) == []


def test_interrupted_file_goes_on_where_it_was(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "ROWS_AT_ONCE", 2)
    rows, output = rows_file(tmp_path, "jsonl"), tmp_path / "answers.jsonl"

    def interrupt(count: int, rate: float) -> None:
        if count == 4:
            raise KeyboardInterrupt

    loaded = Bundle.load(bundle)
    with pytest.raises(KeyboardInterrupt):
        answer_rows(loaded, str(rows), output, interrupt)
    assert not output.exists()
    partial = tmp_path / ".answers.jsonl.partial"
    partial.write_bytes(partial.read_bytes() + b'{"number": 2, "te')  # cut off in the middle of a line
    done = answer_rows(loaded, str(rows), output)
    assert (done.rows, done.resumed) == (5, 2)
    assert [line["number"] for line in answered(output)] == [0, 1, 2, 3, 4]
    assert not partial.exists()


def test_killed_process_is_resumed(bundle: Path, tmp_path: Path) -> None:
    rows, output = rows_file(tmp_path, "jsonl", TEXTS * 20_000), tmp_path / "answers.jsonl"
    command = [sys.executable, "-m", "autoadapt", "predict", bundle, rows, "--output", output, "--quiet"]
    process = subprocess.Popen([str(part) for part in command])
    partial, deadline = tmp_path / ".answers.jsonl.partial", time.monotonic() + 60
    while not (partial.is_file() and partial.stat().st_size > 10_000):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    done = answer_rows(Bundle.load(bundle), str(rows), output)
    assert done.resumed > 0
    assert [line["number"] for line in answered(output)] == list(range(100_000))


def test_other_rows_are_answered_from_the_beginning(bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    (tmp_path / ".answers.jsonl.partial").write_text('{"bundle": "another", "rows": "another"}\n{"number": 9}\n')
    done = answer_rows(Bundle.load(bundle), str(rows_file(tmp_path, "jsonl")), output)
    assert (done.rows, done.resumed) == (5, 0)
    assert len(answered(output)) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"txt": "a"}, "no column 'text': did you mean 'txt'?"),
        ({"text": ["a"]}, "column 'text' holds a list"),
        ({"text": "a", "prediction": "b"}, "there is a column 'prediction' already"),
        ({"text": "a \ud83d"}, "column 'text' holds half of a character (\\ud83d)"),
        ({"text": "a", "other": ["\udc00"]}, "column 'other' holds half of a character (\\udc00)"),
    ],
)
def test_wrong_rows_are_named(line: dict[str, object], message: str, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(line) + "\n")
    done = call("predict", bundle, tmp_path / "rows.jsonl")
    assert done.returncode == 3
    assert "line 1: " in done.stderr
    assert message in done.stderr


def test_files_that_cannot_be_used_are_refused(bundle: Path, tmp_path: Path) -> None:
    rows = rows_file(tmp_path, "jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    assert "there are no rows" in call("predict", bundle, tmp_path / "empty.jsonl").stderr
    assert "no such file" in call("predict", bundle, tmp_path / "none.csv").stderr.lower()
    assert "there is no bundle" in call("predict", tmp_path, rows).stderr
    assert "these are the rows themselves" in call("predict", bundle, rows, "--output", rows).stderr
    with pytest.raises(UserError, match="write it as one of"):
        answer_rows(Bundle.load(bundle), str(rows), tmp_path / "answers.txt")
