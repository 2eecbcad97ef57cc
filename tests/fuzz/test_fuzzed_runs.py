"""Run folders and bundles with random damage, given to every command that reads them."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import labelled_rows
from exporting import words_bundle
from hypothesis import strategies as st
from mutations import SCENARIOS, damaged, mutated, yaml_lines
from promise import run_limited, try_cases
from ruamel.yaml import YAML

from autoadapt.files import files_below

OF_RUNS: tuple[tuple[str, ...], ...] = (
    ("report", "run", "--all"),
    ("report", "run", "--json"),
    ("recommend", "run", "--quality", "0.2"),
    ("recommend", "run", "--weights", "quality=1,cost=2", "--json"),
    ("recommend", "run", "--knee"),
    ("compare", "run", "--scenario", "volume=10k,price=2.69,latency_p95_ms=400"),
    ("compare", "run", "--scenario", "hosting=scale_to_zero", "--csv"),
    ("compare", "run", "scenarios.yaml", "--json"),
    ("frontier", "run", "sound"),
    ("frontier", "run", "--json", "--export", "trials.csv"),
    ("export", "run", "made"),
)
OF_BUNDLES: tuple[tuple[str, ...], ...] = (
    ("predict", "bundle", "rows.jsonl", "--quiet"),
    ("evaluate", "bundle", "rows.jsonl"),
    ("registry", "add", "bundle"),
)


@dataclass(frozen=True)
class Case:
    """A command on a folder of which one file is replaced."""

    arguments: tuple[str, ...]
    file: str
    content: bytes | None
    """None: the file is lost."""


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, a bundle, rows and scenarios."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("run", "sound"):
        shutil.copytree(finished.parent / "runs" / "fruits", folder / name)
    shutil.copytree(words_bundle(tmp_path_factory.mktemp("bundles")), folder / "bundle")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled_rows(30)))
    (folder / "scenarios.yaml").write_text(yaml_lines(SCENARIOS))
    return folder


def said_by(file: Path) -> st.SearchStrategy[bytes] | None:
    """The file's document with mistakes; None: it holds no document."""
    if file.suffix == ".json":
        return mutated(json.loads(file.read_bytes())).map(lambda document: json.dumps(document).encode())
    if file.suffix == ".jsonl":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return mutated(lines).map(
            lambda rows: "".join(
                json.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows])
            ).encode()
        )
    if file.suffix == ".yaml":
        return mutated(YAML(typ="safe").load(file)).map(lambda document: yaml_lines(document).encode())
    return None


def cases(whole: Path) -> st.SearchStrategy[Case]:
    """Damage of a file that a command may read."""

    def of(file: Path) -> st.SearchStrategy[Case]:
        name = file.relative_to(whole).as_posix()
        if name == "scenarios.yaml":
            commands = tuple(command for command in OF_RUNS if "scenarios.yaml" in command)
        else:
            commands = OF_RUNS if name.startswith("run") else OF_BUNDLES
        content: st.SearchStrategy[bytes | None] = damaged(file.read_bytes())
        said = said_by(file)
        if said is not None:
            content = said | said | said | content
        return st.builds(Case, st.sampled_from(commands), st.just(name), content | st.none())

    files = [file for folder in ("run", "bundle") for file in files_below(whole / folder)]
    # what commands read most is damaged most
    most = [
        file
        for file in files
        if file.name in ("results.json", "task.lock.yaml", "study.db", "clock.json", "option.json")
    ]
    return st.sampled_from([*files, *most, *most, *[whole / "scenarios.yaml"] * 8]).flatmap(of)


def hold(whole: Path, case: Case) -> None:
    """Runs the command of the case on a copy."""
    with tempfile.TemporaryDirectory(prefix="case") as made:
        folder = copied(whole, Path(made), case.arguments)
        if case.content is None:
            (folder / case.file).unlink()
        else:
            (folder / case.file).write_bytes(case.content)
        run_limited(folder, *case.arguments)


def copied(whole: Path, folder: Path, arguments: tuple[str, ...]) -> Path:
    """Puts copies of what a command is given into a folder."""
    for name in arguments:
        if (whole / name).is_dir():
            shutil.copytree(whole / name, folder / name)
        elif (whole / name).is_file():
            shutil.copy(whole / name, folder)
    return folder


@pytest.mark.parametrize("arguments", [command for command in OF_RUNS + OF_BUNDLES if command[0] != "export"])
def test_folders_that_damage_is_done_to_are_whole(whole: Path, arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert run_limited(copied(whole, tmp_path, arguments), *arguments).returncode == 0


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_folders(whole: Path, count: int) -> None:
    deep = b"[" * 100_000
    found = (
        Case(("report", "run", "--all"), "run/task.lock.yaml", deep),
        Case(("report", "run", "--all"), "run/trials/0002/predictions-test.jsonl", deep),
    )
    try_cases(count, cases(whole), lambda case: hold(whole, case), found)


def endless(path: Path) -> None:
    """A link to a device that never ends."""
    path.symlink_to("/dev/zero")


def looped(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


READ = (
    ("run/results.json", OF_RUNS[0]),
    ("run/task.lock.yaml", OF_RUNS[0]),
    ("run/study.db", OF_RUNS[0]),
    ("run/data/test.jsonl", OF_RUNS[0]),
    ("run/trials/0002/predictions-test.jsonl", OF_RUNS[0]),
    ("run/trials/0002/score/outcome.json", OF_RUNS[0]),
    ("run/trials/0002/refit-final-0/artifact/option.json", ("export", "run", "made")),
    ("run/trials/0002/refit-final-0/predictions-test.jsonl", ("export", "run", "made")),
    ("bundle/option.json", OF_BUNDLES[0]),
    ("bundle/model/words.json", OF_BUNDLES[0]),
)
"""Files of other people's folders that a command reads, with the command."""


@pytest.mark.parametrize("made", [os.mkfifo, endless, looped, Path.mkdir])
@pytest.mark.parametrize(("name", "arguments"), READ)
def test_what_is_no_file_is_not_read(
    whole: Path, name: str, arguments: tuple[str, ...], made: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = copied(whole, tmp_path, arguments)
    (folder / name).unlink()
    made(folder / name)
    run_limited(folder, *arguments)


@st.composite
def altered_studies(draw: st.DrawFn, whole: Path) -> tuple[tuple[str, ...], str]:
    """A command, and a statement that alters the database of a study as another program could."""
    with sqlite3.connect(whole / "run" / "study.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = draw(st.sampled_from(sorted(tables)))
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    column = draw(st.sampled_from(columns))
    value = draw(
        st.sampled_from(
            ["NULL", "''", "-1", "1e999", "'x'", "x'ff00'", "9223372036854775807", "'{'", "'[1]'", "'null'"]
        )
    )
    one = f" WHERE rowid = {draw(st.integers(1, 5))}" if draw(st.booleans()) else ""
    statement = draw(
        st.sampled_from(
            [f"UPDATE {table} SET {column} = {value}{one}", f"DELETE FROM {table}{one}", f"DROP TABLE {table}"]
        )
    )
    return draw(st.sampled_from(OF_RUNS)), statement


def hold_altered(whole: Path, case: tuple[tuple[str, ...], str]) -> None:
    """Runs a command on a run whose study was altered."""
    arguments, statement = case
    with tempfile.TemporaryDirectory(prefix="case") as made:
        folder = copied(whole, Path(made), arguments)
        database = sqlite3.connect(folder / "run" / "study.db")
        try:
            database.execute(statement)
            database.commit()
        except sqlite3.IntegrityError:
            pass  # the database refuses it itself
        finally:
            database.close()
        run_limited(folder, *arguments)


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_altered_studies(whole: Path, count: int) -> None:
    changes = (
        "UPDATE trial_params SET param_value = NULL",
        "UPDATE alembic_version SET version_num = ''",
        "UPDATE trial_user_attributes SET value_json = -1",
    )
    found = tuple((("frontier", "run", "--json"), change) for change in changes)
    try_cases(count, altered_studies(whole), lambda case: hold_altered(whole, case), found)
