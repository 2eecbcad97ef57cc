"""autoadapt init: from nothing, or from a file of rows, to a task that passes the check."""

import contextlib
import importlib.util
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import call, environment, labelled_rows

from autoadapt.api.init import init
from autoadapt.errors import UserError


def test_without_data_the_example_is_copied_and_nothing_is_overwritten(tmp_path: Path) -> None:
    run = call("init", tmp_path / "new")
    assert run.returncode == 0, run.stderr
    assert f"next: autoadapt search {tmp_path / 'new' / 'task.yaml'}" in run.stdout
    assert call("check", tmp_path / "new" / "task.yaml").returncode == 0
    (tmp_path / "new" / "task.yaml").write_text("mine")
    again = call("init", tmp_path / "new")
    assert again.returncode == 2
    assert "already exists and is left as it is" in again.stderr
    assert (tmp_path / "new" / "task.yaml").read_text() == "mine"


def write_csv(path: Path, header: str, rows: list[tuple[str, str]]) -> Path:
    path.write_text(header + "\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


def test_columns_and_metric_are_guessed_from_the_data(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "my rows.csv", "Message,Category", [(r["text"], r["label"]) for r in labelled_rows(90)])
    assert call("init", tmp_path, "--data", data).returncode == 0
    shown = call("check", tmp_path / "task.yaml", "--show").stdout
    assert "name: my-rows\n" in shown
    assert "input: Message" in shown
    assert "output: Category" in shown
    assert "metric: accuracy" in shown
    assert "- minilm" in shown or "- embedded" in shown, "models that are here"


@pytest.mark.parametrize(
    ("answers", "metric"),
    [
        (["yes"] * 80 + ["no"] * 20, "macro_f1"),
        ([["yes", "no"][: i % 3] for i in range(100)], "micro_f1"),
        ([f"code {i}" for i in range(100)], "exact_match"),
        ([f"a whole sentence that is number {i}" for i in range(100)], "rouge_l"),
    ],
)
def test_the_metric_follows_from_the_answers(tmp_path: Path, answers: list[object], metric: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"text {i}", "completion": a}) + "\n" for i, a in enumerate(answers)))
    assert call("init", tmp_path, "--data", data).returncode == 0
    assert f"metric: {metric} " in (tmp_path / "task.yaml").read_text()


def test_answers_that_are_json_objects_are_scored_by_field(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    kinds = [{"kind": "fruit", "count": 1}, {"kind": "tool"}]
    rows = [{"text": f"{i} apples", "answer": json.dumps(kinds[i % 2]) if i % 3 else kinds[i % 2]} for i in range(60)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert call("init", tmp_path, "--data", data).returncode == 0
    assert "metric: json_fields  # JSON objects; with a JSON schema" in (tmp_path / "task.yaml").read_text()
    assert call("check", tmp_path / "task.yaml").returncode == 0


def test_unclear_columns_are_asked_for(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "rows.csv", "first,second", [(f"t{i}", "ab"[i % 2]) for i in range(60)])
    run = call("init", tmp_path, "--data", data)
    assert run.returncode == 3
    assert "which columns hold the text and the answer? It has" in run.stderr
    assert "   1  first   t0 | t1 | t2\n   2  second  a | b | a\n" in run.stderr
    assert run.stderr.endswith("Say so, for example with: --input first --output second\n")
    run = call("init", tmp_path, "--data", data, "--input", "frist", "--output", "secnd")
    assert run.returncode == 3
    assert "did you mean 'first'" in run.stderr
    assert "did you mean 'second'" in run.stderr
    run = call("init", tmp_path, "--data", data, "--input", "first", "--output", "first")
    assert "column 'first' cannot hold both the text and the answer" in run.stderr
    assert not (tmp_path / "task.yaml").exists()
    assert call("init", tmp_path, "--data", data, "--input", "first", "--output", "second").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.csv", "text,label\na,b\n", "1 rows; give at least 50"),
        ("rows.csv", "text;label\n", "no rows; the first line should name columns"),
        ("rows.csv", "", "no rows"),
        ("rows.csv", "text\n" + "hello\n" * 60, "only one column ('text')"),
        ("rows.csv", "text,label\n" + "a,b\n" * 60, "column 'label' says 'b' in every row"),
        ("rows.csv", "text,label\n" + "a,\n" * 60, "column 'label' is empty; name another one with --output"),
        ("rows.csv", "text;label;text\n" + "a;b;c\n" * 60, "line 1: column 'text' is named twice"),
        ("rows.doc", "x", "unknown kind of file"),
        ("rows", "x", "unknown kind of file"),
        ("rows.jsonl", "{", "not valid JSON"),
        ("absent.csv", None, "No such file"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, name: str, content: str | None, expected: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    run = call("init", tmp_path, "--data", tmp_path / name)
    assert run.returncode == 3
    assert expected in run.stderr
    assert "Traceback" not in run.stderr


def test_example_is_without_minilm_where_that_is_not_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOADAPT_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert call("init", tmp_path / "new").returncode == 0
    assert "models: [embedded]" in (tmp_path / "new" / "task.yaml").read_text()
    monkeypatch.undo()
    assert call("check", tmp_path / "new" / "task.yaml").returncode == 0


def typed_rows(path: Path) -> Path:
    """Rows as Excel in Germany writes them, with a label that was typed in three ways."""
    rows = [(f"Wo ist mein Päckchen {i}? Es fehlt; seit gestern", ["Lieferung", "Rückgabe"][i % 2]) for i in range(60)]
    rows += [(f"Ich möchte {i} zurückgeben", label) for i, label in enumerate(["rückgabe", "Rückgabe ", "rückgabe"])]
    lines = ["Nachricht;Kategorie", *(f'"{text}";{label}' for text, label in rows)]
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return path


def test_labels_are_merged_on_request_and_the_search_reads_them_so(tmp_path: Path) -> None:
    data, named = typed_rows(tmp_path / "rows.csv"), ("--input", "Nachricht", "--output", "Kategorie")
    kept = call("init", tmp_path / "kept", "--data", data, *named)
    assert "'Rückgabe' (30 rows), 'rückgabe' (2 rows), 'Rückgabe ' (1 row)" in kept.stdout
    assert "--merge-labels makes them one" in kept.stdout
    assert "semicolons, Windows-1252" in kept.stdout
    check = call("check", tmp_path / "kept" / "task.yaml").stdout
    assert "4 labels" in check
    assert "labels that differ only by case or white space count as different ones: 'Rückgabe' (30 rows)" in check
    assert "such as 'Päckchen'" in check
    merged = call("init", tmp_path / "merged", "--data", data, *named, "--merge-labels")
    assert "(2 labels;" in merged.stdout
    text = (tmp_path / "merged" / "task.yaml").read_text()
    assert '    "rückgabe": "Rückgabe"\n    "Rückgabe ": "Rückgabe"\n' in text
    check = call("check", tmp_path / "merged" / "task.yaml").stdout
    assert "2 labels" in check
    assert "differ only" not in check


def test_the_proposal_is_printed_with_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-this-must-not-be-shown")
    data = write_csv(tmp_path / "rows.csv", "text,label", [(r["text"], r["label"]) for r in labelled_rows(90)])
    run = call("init", tmp_path, "--data", data)
    assert "task:    one label of each text (3 labels; the most frequent is right 33% of the time)" in run.stdout
    assert "whichever ends first: at most $" in run.stdout
    assert "could be named too: groq:MODEL (GROQ_API_KEY is set; requests are billed)" in run.stdout
    assert "must-not-be-shown" not in run.stdout + (tmp_path / "task.yaml").read_text()


@pytest.mark.parametrize("stem", ["nul", "COM1", "---", "große Daten", "a" * 90])
def test_names_that_a_study_may_not_have_are_changed(tmp_path: Path, stem: str) -> None:
    data = write_csv(tmp_path / f"{stem}.csv", "text,label", [(r["text"], r["label"]) for r in labelled_rows(90)])
    init(tmp_path / "new", data)
    run = call("check", tmp_path / "new" / "task.yaml")
    assert run.returncode == 0, run.stderr


def test_column_names_and_labels_that_mean_something_in_yaml(tmp_path: Path) -> None:
    text, label = 'the "text": {a} # \\ \U0001f600', "no: \x85\u2028"
    rows = [{text: f"row {i}", label: [" # x", "# X", "- y\t: 'z'"][i % 3]} for i in range(90)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    init(tmp_path / "new", tmp_path / "rows.jsonl", text, label, merge_labels=True)
    run = call("check", tmp_path / "new" / "task.yaml")
    assert run.returncode == 0, run.stderr
    assert "2 labels" in run.stdout


def test_an_encoding_is_named_where_bytes_do_not_say_it(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows = "".join(f"Где мой заказ {i}?;{['доставка', 'возврат'][i % 2]}\n" for i in range(60))
    data.write_bytes(("text;label\n" + rows).encode("cp1251"))
    refused = call("init", tmp_path, "--data", data)
    assert refused.returncode == 3
    assert "name its encoding: autoadapt init --encoding cp1251" in refused.stderr
    wrong = call("init", tmp_path, "--data", data, "--encoding", "cp12511")
    assert wrong.returncode == 2
    assert "--encoding cp12511: no encoding of text; use such as utf-8" in wrong.stderr
    assert call("init", tmp_path, "--data", data, "--encoding", "windows-1251").returncode == 0
    assert "2 labels" in call("check", tmp_path / "task.yaml").stdout
    with pytest.raises(UserError, match="already exists"):
        init(tmp_path, data)


ON_ITS_TERMINAL = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from autoadapt.cli.main import main; main()"
)
"""Makes the terminal the controlling one, so that Ctrl-C is a signal."""


def talk(arguments: list[str], said: list[tuple[str, str]]) -> tuple[int, str]:
    """Runs the command line on a terminal of its own; answers each of the texts when it has appeared."""
    terminal, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_ITS_TERMINAL, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env=environment(TERM="dumb"),
    )
    os.close(follower)
    seen, answered = "", 0
    try:
        for text, answer in said:
            while text not in seen[answered:]:
                seen += os.read(terminal, 65536).decode(errors="replace")
            answered = len(seen)
            os.write(terminal, answer.encode())
        while True:
            if select.select([terminal], [], [], 20)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
            elif answer == "\x03":
                # CPython sees a signal that comes between a question and the wait for its answer only after the answer
                os.write(terminal, answer.encode())
    except OSError:  # the terminal was closed
        pass
    finally:
        os.close(terminal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()  # else it would be found by tests of what processes leave behind
    return process.wait(), seen


def test_on_a_terminal_all_is_asked_in_one_round(tmp_path: Path) -> None:
    data = typed_rows(tmp_path / "rows.csv")
    said = [
        ("Column with the text [Nachricht]: ", "Nachrict\n"),
        ("did you mean 'Nachricht'? Known: Kategorie, Nachricht.", "\n"),
        ("Column with the answer [Kategorie]: ", "2\n"),
        ("Make them one label each? [Y/n]: ", "\n"),
    ]
    code, seen = talk(["init", str(tmp_path / "new"), "--data", str(data)], said)
    assert code == 0, seen
    assert "   1  Nachricht  Wo ist mein Päckchen 0? E..." in seen
    text = (tmp_path / "new" / "task.yaml").read_text()
    assert 'columns: {input: "Nachricht", output: "Kategorie"}' in text
    assert '"rückgabe": "Rückgabe"' in text


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 2)])
def test_a_dialogue_can_be_left(tmp_path: Path, key: str, code: int) -> None:
    data = typed_rows(tmp_path / "rows.csv")
    ended, seen = talk(["init", str(tmp_path / "new"), "--data", str(data)], [("[Nachricht]: ", key)])
    assert ended == code, seen
    assert "Traceback" not in seen
    assert not (tmp_path / "new").exists()
    if code == 2:
        assert "no answer; give --input Nachricht --output Kategorie" in seen
