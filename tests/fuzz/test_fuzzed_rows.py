"""Data files with random mistakes, given to every command that reads rows."""

import csv
import io
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from conftest import labelled_rows
from exporting import words_bundle
from hypothesis import strategies as st
from mutations import damaged, mutated, yaml_lines
from promise import run_limited, try_cases

ROWS: list[dict[str, Any]] = [{**row, "number": i} for i, row in enumerate(labelled_rows(100))]
TASK = {
    "name": "rows",
    "data": {"path": "", "columns": {"input": "text", "output": "label"}},
    "metric": "accuracy",
    "models": ["scripted"],
    "methods": ["prompt"],
    "budget": {"trials": 2},
    "economics": {"usd_per_hour": 1},
    "evaluation": {"rows": 10, "test_rows": 10},
    "compute": {"on_cpu": True},
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "task.yaml"),
    "shown": ("check", "--show", "task.yaml"),
    "init": ("init", "new", "--data", "FILE"),
    "columns": ("init", "new", "--data", "FILE", "--input", "text", "--output", "label", "--merge-labels"),
    "predict": ("predict", "bundle", "FILE", "--quiet"),
    "answers": ("predict", "bundle", "FILE", "--quiet", "--output", "answers.csv"),
    "lines": ("predict", "bundle", "-", "--quiet"),
    "evaluate": ("evaluate", "bundle", "FILE"),
    "scores": ("evaluate", "bundle", "FILE", "--against", "bundle", "--json"),
    # nothing listens there, so that a file that can be read ends in exit code 7
    "latency": ("latency", "http://127.0.0.1:9/v1", "--model", "m", "--prompts", "FILE", "--requests", "1", "--fixed"),
}


@dataclass(frozen=True)
class Case:
    """A command on a file of rows."""

    command: str
    file: str
    content: bytes


def as_jsonl(rows: list[Any]) -> bytes:
    """Lines of JSON."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows: list[Any]) -> bytes:
    """Comma-separated values; what is no row becomes a line of its own."""
    records = [row for row in rows if isinstance(row, dict)]
    out = io.StringIO()
    columns = list(dict.fromkeys(str(key) for row in records for key in row))
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        named = {str(key): value for key, value in row.items()} if isinstance(row, dict) else {}
        writer.writerow([named.get(column, "") for column in columns] if named else [row])
    return out.getvalue().encode(errors="surrogatepass")


def as_parquet(rows: list[Any]) -> bytes:
    """Parquet; columns of mixed types become texts."""
    records = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(str(key) for row in records for key in row))
    columns = {}
    for name in names:
        cells = [next((value for key, value in row.items() if str(key) == name), None) for row in records]
        try:
            columns[name] = pyarrow.array(cells)
        except (pyarrow.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
            columns[name] = pyarrow.array([ascii(cell) for cell in cells])
    out = io.BytesIO()
    try:
        pyarrow.parquet.write_table(pyarrow.table(columns), out)
    except (pyarrow.ArrowException, UnicodeError):
        return b"PAR1"
    return out.getvalue()


WRITERS = {"jsonl": as_jsonl, "csv": as_csv, "parquet": as_parquet}
NAMES = (
    "data.json",
    "data.ndjson",
    "data.tsv",
    "data.txt",
    "data.csv",
    "data.jsonl",
    "data.parquet",
    "data.xlsx",
    "data.bin",
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows with mistakes in what they say or in their bytes, mostly in a file of the right name."""
    kind = draw(st.sampled_from(list(WRITERS)))
    rows = draw(mutated(ROWS, ("text", "label", "prompt", "id")) | st.just(ROWS))
    content = WRITERS[kind](rows if isinstance(rows, list) else [rows])
    if rows is ROWS or draw(st.integers(0, 3)) == 0:
        content = draw(damaged(content))
    name = draw(st.just(f"data.{kind}") | st.sampled_from(NAMES)) if draw(st.booleans()) else f"data.{kind}"
    return Case(draw(st.sampled_from(list(COMMANDS))), name, content)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counts of words, which answer without torch."""
    return words_bundle(tmp_path_factory.mktemp("bundles"))


def hold(bundle: Path, case: Case) -> int:
    """Runs the command of the case; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="case") as made:
        folder = Path(made)
        shutil.copytree(bundle, folder / "bundle")
        (folder / case.file).write_bytes(case.content)
        (folder / "task.yaml").write_text(yaml_lines({**TASK, "data": {**TASK["data"], "path": case.file}}))  # type: ignore[dict-item]
        arguments = [case.file if argument == "FILE" else argument for argument in COMMANDS[case.command]]
        return run_limited(folder, *arguments, given_input=case.content).returncode


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("lines", "latency")])
def test_rows_that_mistakes_are_made_of_are_right(bundle: Path, kind: str, command: str) -> None:
    assert hold(bundle, Case(command, f"data.{kind}", WRITERS[kind](ROWS))) == 0


@pytest.mark.parametrize("count", [60, pytest.param(1300, marks=pytest.mark.slow)])
def test_files_of_rows(bundle: Path, count: int) -> None:
    not_text = Case("lines", "data.jsonl", b'"a text"\n\xff\n')
    try_cases(count, cases(), lambda case: hold(bundle, case), (not_text,))
