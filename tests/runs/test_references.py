"""References to environment variables: what they stand for is in no file of a run."""

import json
from pathlib import Path

import pytest
from scripted_task import write_scripted_task

from autoadapt.api.search import run_search
from autoadapt.errors import Exit
from autoadapt.runs.lock import LOCK_FILE

SECRET = "sk-live-0123456789abcdefghij"


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished search whose metric has a secret setting, and whose data path is a reference."""
    folder = tmp_path_factory.mktemp("references")
    task = write_scripted_task(
        folder,
        metric={"judged_accuracy": {"judge": "${AUTOADAPT_TEST_KEY}"}},
        data={"path": "${AUTOADAPT_TEST_DATA}", "columns": {"input": "text", "output": "label"}},
        budget={"trials": 4},
        compute={"on_cpu": True, "executor": "inline"},
    )
    (folder / "hidden-name.jsonl").write_text((folder / "data.jsonl").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOADAPT_TEST_KEY", SECRET)
        patch.setenv("AUTOADAPT_TEST_DATA", str(folder / "hidden-name.jsonl"))
        code, root = run_search(task, runs=folder / "runs")
    assert code == Exit.OK
    return root


def test_value_of_a_reference_is_in_no_file(finished_run: Path) -> None:
    files = [path for path in finished_run.rglob("*") if path.is_file()]
    assert {"study.db", LOCK_FILE, "results.json", "job.json", "outcome.json", "option.json"} <= {f.name for f in files}
    for value in (SECRET, "hidden-name"):
        assert [str(f) for f in files if value.encode() in f.read_bytes()] == []


def test_references_stay_as_written_in_the_lock_file(finished_run: Path) -> None:
    task = json.loads((finished_run / LOCK_FILE).read_text())["task"]
    assert task["metric"] == {"judged_accuracy": {"judge": "${AUTOADAPT_TEST_KEY}"}}
    assert task["data"]["path"] == "${AUTOADAPT_TEST_DATA}"


def test_references_stay_as_written_in_jobs(finished_run: Path) -> None:
    for path in finished_run.rglob("job.json"):
        assert json.loads(path.read_text())["metric"] == {"judged_accuracy": {"judge": "${AUTOADAPT_TEST_KEY}"}}


def test_dollars_of_the_judge_are_spent(finished_run: Path) -> None:
    outcomes = [json.loads(path.read_text()) for path in finished_run.rglob("outcome.json")]
    billed = sum(outcome["usage"]["usd"] for outcome in outcomes)
    assert billed > 0.05
    spent = json.loads((finished_run / "results.json").read_text())["spent"]
    assert spent["usd"] == pytest.approx(billed + spent["device_seconds"] / 3600)
