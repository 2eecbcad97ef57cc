"""results.json: one moment of a study, also for readers while a search writes it."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoadapt import Study
from autoadapt.cli.report import show
from autoadapt.display.terminal.result import print_result
from autoadapt.domain.option import Option, Recommendation, Spent
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.runs.lock import LOCK_FILE
from autoadapt.runs.results import RESULTS_FILE, Results, read_results, write_results

WRITES = 24
"""How often results are rewritten while they are read."""


def option(trial: int) -> Option:
    return Option(
        trial=trial,
        method="lora",
        model="m",
        params={"r": 8},
        quality=0.8,
        quality_ci=(0.7, 0.9),
        quality_expected=0.8,
        train_seconds=1.0,
        artifact_bytes=1000,
        peak_memory_bytes=1000,
        values={"quality": 0.8, "cost_usd_per_1k": 0.02, "latency_ms": 50.0},
        latency_p50_ms=40.0,
        latency_p95_ms=50.0,
        cost_usd_per_1k=0.02,
        inference_usd_per_1k=0.01,
        training_usd=1.0,
    )


def results(*trials: int, recommended: int) -> Results:
    """Results whose recommendation names one of its options throughout."""
    return Results(
        options=[option(trial) for trial in trials],
        measured=[],
        recommendation=Recommendation(
            scenario="task",
            trial=recommended,
            reason=f"trial {recommended}",
            meets_constraints=True,
            best_quality=recommended,
            cheapest=recommended,
            fastest=recommended,
            baseline=recommended,
        ),
        spent=Spent(trials=len(trials)),
    )


MOMENTS = (results(*range(40), recommended=39), results(100, recommended=100))
"""Two moments without an option in common, and of very different length."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run folder with a lock file and the first moment."""
    task = Task.model_validate(
        {
            "name": "t",
            "data": {"path": "d"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
        }
    )
    root = tmp_path / "runs" / "t"
    root.mkdir(parents=True)
    (root / LOCK_FILE).write_text(json.dumps({"task": task.model_dump(mode="json"), "price_source": "the task"}))
    write_results(root, MOMENTS[0])
    return root


@pytest.fixture
def writer(root: Path) -> Iterator[Callable[[], bool]]:
    """Rewrites the results with both moments in turn; tells whether it should still be read."""
    ended, written = threading.Event(), [0]

    def write() -> None:
        while not ended.is_set():
            write_results(root, MOMENTS[written[0] % 2])
            written[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    yield lambda: written[0] < WRITES
    ended.set()
    thread.join()


def check(read: Results) -> None:
    assert read in MOMENTS
    assert read.recommendation.trial in {option.trial for option in read.options}


def test_written_results_are_read_again(root: Path) -> None:
    assert read_results(root) == MOMENTS[0]


def test_readers_see_one_moment_while_results_are_rewritten(root: Path, writer: Callable[[], bool]) -> None:
    seen = set()
    while writer():
        read = read_results(root)
        check(read)
        seen.add(read.recommendation.trial)
    assert seen == {39, 100}


def test_loaded_study_is_one_moment_while_results_are_rewritten(root: Path, writer: Callable[[], bool]) -> None:
    while writer():
        study = Study.load(root)
        check(study.results)
        assert study.option(study.recommendation.trial) in study.options


def test_printed_report_while_results_are_rewritten(
    root: Path, writer: Callable[[], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = 0
    while writer():
        print_result(Study.load(root), None)
        text = capsys.readouterr().out
        recommended = 39 if "trial 39" in text else 100
        assert f"Recommended: trial {recommended}" in text
        assert f"best quality: trial {recommended} (lora)" in text
        printed += 1
    assert printed > 3


def test_report_command_while_results_are_rewritten(
    root: Path, writer: Callable[[], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    while writer():
        assert show(root) is None
        assert "Recommended: " in capsys.readouterr().out


def test_parts_of_the_results(root: Path) -> None:
    frontier = json.loads((root / "frontier.json").read_text())
    assert [o["trial"] for o in frontier] == list(range(40))
    assert len((root / "frontier.csv").read_text().splitlines()) == 41
    assert json.loads((root / "recommendations.json").read_text())[0]["trial"] == 39
    assert not (root / "verdict.json").exists()


def test_readers_need_no_part_of_the_results(root: Path) -> None:
    for name in ("frontier.json", "frontier.csv", "recommendations.json"):
        (root / name).unlink()
    assert Study.load(root).recommendation.trial == 39


def test_stale_temporary_file_of_a_killed_writer_is_ignored(root: Path) -> None:
    (root / f".{RESULTS_FILE}.1.tmp").write_text("{")
    assert read_results(root) == MOMENTS[0]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '"text"', "\x00" * 100])
def test_damaged_results_error(root: Path, damage: str) -> None:
    (root / RESULTS_FILE).write_text(damage)
    check_refused(root)


def test_truncated_results_error(root: Path) -> None:
    (root / RESULTS_FILE).write_bytes((root / RESULTS_FILE).read_bytes()[:-200])
    check_refused(root)


@pytest.mark.parametrize("change", [{"version": 2}, {"version": 0}, {"spent": None}, {"unknown": 1}])
def test_results_of_another_version_error(root: Path, change: dict[str, Any]) -> None:
    content = json.loads((root / RESULTS_FILE).read_text())
    (root / RESULTS_FILE).write_text(json.dumps({**content, **change}))
    check_refused(root)


def check_refused(root: Path) -> None:
    with pytest.raises(UserError) as caught:
        Study.load(root)
    assert str(caught.value) == (
        f"{root / RESULTS_FILE}: written by another version of AutoAdapt, or damaged; "
        "run `autoadapt search` on its task again: it repeats no trial and writes the file again"
    )
    assert caught.value.code == Exit.STORAGE


def test_missing_results_error_names_studies_beside_them(root: Path) -> None:
    with pytest.raises(UserError) as caught:
        Study.load(root.with_name("other"))
    assert (
        str(caught.value)
        == f"{root.with_name('other')}: there is no study ({RESULTS_FILE} is missing); studies here: t"
    )
    assert caught.value.code == Exit.CONFIG


def test_study_without_a_measured_trial_error(root: Path) -> None:
    (root / RESULTS_FILE).unlink()
    (root / "study.db").touch()
    with pytest.raises(UserError, match="no trial was measured in full yet") as caught:
        Study.load(root)
    assert caught.value.code == Exit.PARTIAL


@pytest.mark.parametrize("content", ["{", "[]", "null", "{}", '{"task": 5}', '{"task": {"name": "t"}}', '"task"'])
def test_damaged_lock_file_error(root: Path, content: str) -> None:
    (root / LOCK_FILE).write_text(content)
    with pytest.raises(UserError) as caught:
        Study.load(root)
    assert str(root / LOCK_FILE) in str(caught.value)
    assert caught.value.code == Exit.STORAGE


def test_missing_lock_file_error(root: Path) -> None:
    (root / LOCK_FILE).unlink()
    with pytest.raises(UserError) as caught:
        Study.load(root)
    assert caught.value.code == Exit.STORAGE
