"""A run folder that was moved, or any file of it damaged or lost: no command fails over it, and a search recovers."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import call, slow_after

from autoadapt import Study
from autoadapt.api.search import run_search
from autoadapt.errors import Exit, UserError
from autoadapt.files import files_below
from autoadapt.runs.lock import LOCK_FILE

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "half": lambda content: content[: len(content) // 2],
    "last": lambda content: content[:-3],
    "empty": lambda content: b"",
    "object": lambda content: b"{}",
    "null": lambda content: b"null",
    "random": lambda content: random.Random(0).randbytes(max(64, len(content))),
    "lost": lambda content: None,
}
"""What becomes of a file's content; None: the file is lost."""
OF_JOBS = ("job.json", "outcome.json", "artifact/", "driver.lock")
"""Files that hold what was measured; all others are made from them and from the task."""
TRIALS = 4


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run folder."""
    return Path(shutil.copytree(finished.parent / "runs" / "fruits", tmp_path / "runs" / "fruits"))


def damage(file: Path, kind: str) -> None:
    """Damages a file."""
    content = DAMAGES[kind](file.read_bytes())
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


def read(run: Path) -> None:
    """Reads all that commands read of a run folder; the only error that they may have is one for the user."""
    for reading in (
        lambda study: study.report(),
        lambda study: study.recommend(quality=0.1),
        lambda study: study.compare({"more": {"volume": "10k"}}),
        lambda study: study.trials(),
    ):
        with contextlib.suppress(UserError):
            reading(Study.load(run))


def recovers(task: Path, run: Path) -> None:
    """Searches again: nothing is lost, and all can be read."""
    code, _ = run_search(task, runs=run.parent)
    assert code == Exit.OK
    study = Study.load(run)
    assert len(study.raws) == TRIALS
    assert study.recommendation.trial is not None
    study.report()
    assert study.answers(study.recommendation.trial)


@pytest.mark.parametrize("kind", slow_after(3, ["half", "random", "lost", "last", "empty", "object", "null"]))
def test_all_that_is_made_from_outcomes_is_made_again(finished: Path, run: Path, kind: str) -> None:
    outcomes = {file: file.read_bytes() for file in run.glob("trials/*/*/outcome.json")}
    for file in files_below(run):
        if not any(part in file.as_posix() for part in OF_JOBS):
            damage(file, kind)
    read(run)
    recovers(finished, run)
    assert {file: file.read_bytes() for file in outcomes} == outcomes, "no finished job is run again"


@pytest.mark.parametrize(
    ("name", "kind"),
    slow_after(
        4,
        [
            ("rung0/outcome.json", "half"),
            ("score/job.json", "lost"),
            ("refit-final-0/outcome.json", "random"),
            ("artifact/scripted.json", "last"),
            ("rung0/job.json", "object"),
            ("score/outcome.json", "null"),
            ("load_test/outcome.json", "object"),
            ("refit-final-0/artifact/option.json", "object"),
        ],
    ),
)
def test_damaged_part_of_a_job(finished: Path, run: Path, name: str, kind: str) -> None:
    damage(max(run.glob(f"trials/*/{name}")), kind)
    read(run)
    recovers(finished, run)


def test_damaged_final_fit_is_made_again_once(finished: Path, run: Path, tmp_path: Path) -> None:
    (weights,) = run.glob("trials/*/refit-final-0/artifact/scripted.json")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-3])
    refused = call("export", run, tmp_path / "bundle")
    assert refused.returncode == Exit.DATA
    assert "scripted.json has" in refused.stderr
    notes: list[str] = []
    for _ in range(2):
        run_search(finished, runs=run.parent, on_event=lambda event: notes.append(event.message))
    assert sum("its final fit is made again" in note for note in notes) == 1
    # how many of its steps a training of no time takes within a limit of no time depends on the machine
    assert json.loads(weights.read_bytes())["table"] == json.loads(whole)["table"]
    assert [p.name for p in run.glob("trials/*/refit-final-0*")] == ["refit-final-0", "refit-final-0-retry1"]
    assert call("export", run, tmp_path / "bundle").returncode == 0


def test_lost_outcome_is_measured_again(finished: Path, run: Path) -> None:
    (run / "trials" / "0001" / "rung0" / "outcome.json").unlink()
    notes: list[str] = []
    for _ in range(2):
        run_search(finished, runs=run.parent, on_event=lambda event: notes.append(event.message))
    study = Study.load(run)
    assert sorted(raw.trial for raw in study.raws) == [0, 2, 3, TRIALS]
    assert len(study.rows) == TRIALS + 1, "it is measured again once"
    (lost, again) = (next(row for row in study.rows if row.trial == number) for number in (1, TRIALS))
    assert (lost.method, lost.params) == (again.method, again.params)


@pytest.mark.parametrize("lost", ["renamed", "deleted", "both"])
def test_renamed_folder_or_lost_study_repeats_no_trial(finished: Path, run: Path, lost: str) -> None:
    before = {file.relative_to(run): file.read_bytes() for file in run.glob("trials/*/*/outcome.json")}
    if lost != "renamed":
        (run / "study.db").unlink()
    name = "fruits" if lost == "deleted" else "pears"
    root = run.rename(run.with_name(name))
    code, searched = run_search(finished, [f"name={name}"], runs=run.parent)
    assert (code, searched) == (Exit.OK, root)
    study = Study.load(root)
    assert [row.trial for row in study.rows] == [*range(TRIALS)]
    assert {row.state for row in study.rows} == {"complete"}
    assert {file.relative_to(root): file.read_bytes() for file in root.glob("trials/*/*/outcome.json")} == before


def test_run_that_goes_on_elsewhere_says_so_and_compares_no_other_latencies(finished: Path, run: Path) -> None:
    lock = json.loads((run / LOCK_FILE).read_text())
    here = lock["hardware"]["kind"]
    lock["hardware"]["kind"], lock["versions"]["optuna"] = "another machine", "1.0"
    (run / LOCK_FILE).write_text(json.dumps(lock))
    for outcome in run.glob("trials/000[0-2]/rung0/outcome.json"):
        outcome.write_text(outcome.read_text().replace(here, "another machine"))
    notes: list[str] = []
    code, _ = run_search(finished, runs=run.parent, on_event=lambda event: notes.append(event.message))
    assert code == Exit.OK
    assert any("this study was begun on another machine" in note for note in notes)
    assert any("begun with other versions (optuna 1.0, now" in note for note in notes)
    assert {raw.hardware for raw in Study.load(run).raws} == {here}
    assert json.loads((run / LOCK_FILE).read_text())["hardware"]["kind"] == here


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", DAMAGES)
def test_every_file_damaged_in_every_way(finished: Path, run: Path, tmp_path: Path, kind: str) -> None:
    source = finished.parent / "runs" / "fruits"
    for file in files_below(source):
        shutil.rmtree(tmp_path, ignore_errors=True)
        shutil.copytree(source, run)
        name = file.relative_to(source)
        damage(run / name, kind)
        commands = (
            ("report", run),
            ("recommend", run),
            ("frontier", run, "--export", tmp_path / "trials.csv"),
            ("compare", run, "--scenario", "volume=10k"),
            ("export", run, tmp_path / "before"),
        )
        for command in commands:
            said = call(*command)
            assert said.returncode != Exit.BUG, (name, command, said.stderr)
            assert "Traceback" not in said.stderr
        searched = call("search", finished, "--runs", run.parent)
        assert searched.returncode == 0, (name, searched.stderr)
        for command in (*commands[:-1], ("export", run, tmp_path / "after")):
            said = call(*command)
            assert said.returncode == 0, (name, command, said.stderr)
