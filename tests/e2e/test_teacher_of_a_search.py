"""Searches in which rows are labelled by the best prompt: once, paid for, and learned from afterwards."""

import hashlib
import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, SPACE, MakeTask, call, labelled_rows, task_writer
from remote_server import PRICE, chat_server
from searches import alive, search, start, wait_for, workers_of

from autoadapt import Study
from autoadapt.domain.teacher import TeacherLabels
from autoadapt.economics.usage_costs import usage_usd
from autoadapt.runs.results import read_results
from autoadapt.runs.teacher import read_labels

BRIEF: dict[str, Any] = {
    "budget": {"trials": 7},
    "evaluation": {**EVALUATION, "latency_requests": 5},
    "compute": {"on_cpu": True, "executor": "inline"},
    "methods": ["prompt", "lora"],
}
COLUMNS = {"input": "text", "output": "label"}
DATA = {"path": "data.jsonl", "unlabelled": "more.jsonl", "columns": COLUMNS}
HOSTED_SPACE = SPACE.replace("    label_score:", "    label_way: [logprobs]\n    label_score:").replace(
    "shots: [0, 2, 4]", "shots: [0]"
)


def taught(make_task: MakeTask, more: int = 120, **changes: Any) -> Path:
    """A task with unlabelled rows, of which a scripted model labels 20 or 60."""
    teacher = {"model": "scripted", "rows": [0, 20, 60], "least_confidence": 0.4, **changes.pop("teacher", {})}
    task = make_task(**{**BRIEF, "data": DATA, "teacher": teacher, **changes})
    rows = labelled_rows(180 + more)[150:]  # the first ones are labelled rows, too
    (task.parent / "more.jsonl").write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
    return task


def hosted(make_task: MakeTask, url: str, **changes: Any) -> Path:
    """The same with a hosted teacher beside a scripted model that is trained."""
    model = f"server:m@{url}"
    return taught(
        make_task,
        **{
            "models": [model, "scripted"],
            "remote": {model: {"price": PRICE, "concurrency": 4}},
            "space": HOSTED_SPACE,
            "teacher": {"model": None, "least_confidence": 0.7},
            **changes,
        },
    )


def root_of(task: Path) -> Path:
    return task.parent / "runs" / "fruits"


def jobs(task: Path, kind: str, name: str = "job.json") -> list[dict[str, Any]]:
    """Files of all jobs of a kind, in the order of trials."""
    return [json.loads(f.read_text()) for f in sorted(root_of(task).glob(f"trials/*/{kind}*/{name}"))]


def labels_of(task: Path) -> TeacherLabels:
    labels = read_labels(root_of(task))
    assert labels is not None
    return labels


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def finished_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a finished search with labels."""
    task = taught(task_writer(tmp_path_factory.mktemp("taught"), "scripted"))
    done = search(task)
    assert done.returncode == 0, done.stderr
    return task


def test_the_best_prompt_labels_once_and_options_learn_from_it(finished_task: Path) -> None:
    labels, (job,) = labels_of(finished_task), jobs(finished_task, "label")
    rows = lines(root_of(finished_task) / "teacher/labels.jsonl")
    assert (labels.trial, labels.kept, labels.labelling.answered) == (
        job["trial"],
        len(rows),
        labels.labelling.answered,
    )
    assert labels.kept >= 20
    fits = jobs(finished_task, "rung")
    learning = [fit for fit in fits if fit["candidate"]["params"].get("teacher_rows")]
    assert learning
    assert {fit["candidate"]["method"] for fit in learning} == {"lora"}
    assert all(fit["candidate"]["params"]["teacher_rows"] <= labels.kept for fit in learning)
    first = next(fit for fit in fits if fit["trial"] > labels.trial and fit["candidate"]["method"] == "lora")
    assert "teacher_rows" in first["candidate"]["params"]


def test_no_row_is_labelled_on_which_anything_is_measured(finished_task: Path) -> None:
    data = root_of(finished_task) / "data"
    given = {row["input"]: row["outputs"] for row in lines(root_of(finished_task) / "teacher/labels.jsonl")}
    unlabelled = [row["input"] for row in lines(data / "unlabelled.jsonl")]
    assert {*given} <= {*unlabelled}
    for split in ("train", "dev", "validation", "test"):
        assert not {*unlabelled} & {row["input"] for row in lines(data / f"{split}.jsonl")}
    labels = {row["outputs"][0] for row in lines(data / "train.jsonl")}
    assert {answer for outputs in given.values() for answer in outputs} <= labels


def test_an_option_bears_what_its_labels_took(finished_task: Path) -> None:
    labels, task = labels_of(finished_task), Study.load(root_of(finished_task)).task
    (outcome,) = jobs(finished_task, "label", "outcome.json")
    assert labels.usage.total_device_seconds == pytest.approx(sum(outcome["usage"]["device_seconds"].values()))
    measured = {raw.trial: raw for raw in read_results(root_of(finished_task)).measured}
    for fit in jobs(finished_task, "rung"):
        count = fit["candidate"]["params"].get("teacher_rows") or 0
        part = labels.labelling.answered_before[count - 1] / labels.labelling.answered if count else 0.0
        expected = part * labels.usage.total_device_seconds
        assert sum(fit["labels_usage"]["device_seconds"].values()) == pytest.approx(expected)
        if fit["trial"] in measured and count:
            assert measured[fit["trial"]].training.total_device_seconds >= expected
    results = read_results(root_of(finished_task))
    every = [json.loads(f.read_text()) for f in root_of(finished_task).glob("trials/*/*/outcome.json")]
    assert results.spent.device_seconds == pytest.approx(
        sum(sum(one["usage"]["device_seconds"].values()) for one in every)
    )
    assert results.labels == labels
    assert results.verdict is not None
    bought = results.verdict.bought_labels
    assert bought is not None
    assert bought.usd == pytest.approx(float(usage_usd(labels.usage, task.economics)))


def test_the_verdict_says_what_the_labels_have_bought(finished_task: Path) -> None:
    results = read_results(root_of(finished_task))
    assert results.verdict is not None
    bought = results.verdict.bought_labels
    assert bought is not None
    assert bought.trial is not None
    assert bought.quality is not None
    params = {raw.trial: raw.params for raw in results.measured}
    assert params[bought.trial]["teacher_rows"] == bought.rows > 0
    assert bought.other is not None
    assert params[bought.other]["teacher_rows"] == 0
    scores = {raw.trial: raw.test_quality for raw in results.measured}
    right, wrong = scores[bought.trial], scores[bought.other]
    assert right is not None
    assert wrong is not None
    assert bought.quality.difference == pytest.approx(right - wrong)
    shown = " ".join(call("report", root_of(finished_task)).stdout.split())
    assert "Labels by scripted" in shown
    assert "Labels by scripted" in (root_of(finished_task) / "report.html").read_text()


def test_labels_that_are_damaged_come_from_the_job_again(finished_task: Path) -> None:
    root, before = root_of(finished_task), labels_of(finished_task)
    file = root / "teacher" / "labels.jsonl"
    whole = file.read_text()
    file.write_text(whole[:100])
    assert search(finished_task).returncode == 0
    assert file.read_text() == whole
    assert hashlib.sha256(whole.encode()).hexdigest() == labels_of(finished_task).sha256 == before.sha256
    assert len(jobs(finished_task, "label")) == 1
    for lost in (root / "teacher").iterdir():  # as after a kill before they were written
        lost.unlink()
    assert search(finished_task).returncode == 0
    assert labels_of(finished_task) == before


def test_other_settings_of_the_teacher_are_another_question(finished_task: Path) -> None:
    changed = search(finished_task, "--set", "teacher.least_confidence=0.5")
    assert changed.returncode == 2
    assert "teacher.least_confidence" in changed.stderr


@pytest.mark.parametrize(
    "sampler",
    ["cost_aware", pytest.param("random", marks=pytest.mark.slow), pytest.param("tpe", marks=pytest.mark.slow)],
)
def test_a_teacher_that_is_never_sure_labels_nothing(sampler: str, make_task: MakeTask) -> None:
    task = taught(make_task, teacher={"least_confidence": 1.0}, search={"sampler": sampler}, budget={"trials": 5})
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert jobs(task, "label") == []
    assert read_labels(root_of(task)) is None
    assert {fit["candidate"]["params"].get("teacher_rows", 0) for fit in jobs(task, "rung")} == {0}
    assert "is sure of 0% of its answers" in done.stdout
    with sqlite3.connect(root_of(task) / "study.db") as database:
        refused = database.execute("select count(*) from trial_user_attributes where key = 'refused'").fetchone()
    assert refused == (0,)
    verdict = read_results(root_of(task)).verdict
    assert verdict is not None
    assert verdict.bought_labels is None


@pytest.mark.slow
def test_same_seed_gives_same_trials_with_labels(make_task: MakeTask) -> None:
    task = taught(make_task, search={"deterministic": True}, budget={"trials": 9})
    assert search(task, "--set", "name=one").returncode == 0
    for trials in (3, 6, 9):
        assert search(task, "--set", "name=two", "--set", f"budget.trials={trials}").returncode == 0
    one, two = (
        [json.loads(f.read_text()) for f in sorted((task.parent / "runs" / name).glob("trials/*/rung*/job.json"))]
        for name in ("one", "two")
    )
    assert [job["candidate"] for job in one] == [job["candidate"] for job in two]
    assert any(job["candidate"]["params"].get("teacher_rows") for job in one)


def test_a_hosted_teacher_is_paid_once_also_where_it_is_killed(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        # so many trials that some learn from the labels, whichever is tried first by the times that were measured
        task = hosted(make_task, url, compute={"on_cpu": True, "slots": 1}, budget={"trials": 14})
        chat.behaviour.seconds = 0.02
        process = start(task)
        wait_for(lambda: [*root_of(task).glob("trials/*/label/heartbeat")] or process.poll() is not None)
        sent = chat.ledger.requests
        wait_for(lambda: chat.ledger.requests > sent + 10 or process.poll() is not None)
        children = workers_of(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_for(lambda: not alive(children), 10)
        assert read_labels(root_of(task)) is None
        chat.behaviour.seconds = 0.0
        done = search(task)
        assert done.returncode == 0, done.stderr
        kinds = [outcome["result"].get("failure_class", "done") for outcome in jobs(task, "label", "outcome.json")]
        assert sorted(kinds) == ["done", "interrupted"]
        labels, bill, sent = labels_of(task), chat.ledger.usd, chat.ledger.requests
        assert labels.kept == 60
        assert 0 < labels.usage.usd <= bill
        shown = [str(body) for body in chat.ledger.bodies]
        rows = lines(root_of(task) / "data/unlabelled.jsonl")[: labels.labelling.answered]
        # a request that was under way when its process was killed may be sent again
        again = sum(sum(json.dumps(row["input"])[1:-1] in body for body in shown) - 1 for row in rows)
        assert again <= 4
        assert search(task).returncode == 0
        assert (chat.ledger.usd, chat.ledger.requests) == (bill, sent), "a finished run sends nothing"
        assert labels_of(task) == labels
        learning = [f for f in jobs(task, "rung") if f["candidate"]["params"].get("teacher_rows")]
        assert learning
        counts = {f["candidate"]["params"]["teacher_rows"]: f["labels_usage"]["usd"] for f in learning}
        assert all(
            usd == pytest.approx(labels.usage.usd * labels.labelling.answered_before[n - 1] / labels.labelling.answered)
            for n, usd in counts.items()
        )


@pytest.mark.slow
def test_a_server_without_confidences_labels_nothing(make_task: MakeTask) -> None:
    with chat_server(gives_logprobs=False, typed=()) as (url, _):
        task = hosted(make_task, url, space=HOSTED_SPACE.replace("[logprobs]", "[schema]"))
        done = search(task, "--json")
        assert done.returncode == 0, done.stderr
        assert "before a prompt states a confidence in its answers" in done.stdout
        assert jobs(task, "label") == []


@pytest.mark.slow
def test_a_budget_that_pays_for_too_little_labels_nothing(make_task: MakeTask) -> None:
    task = taught(make_task, models=["scripted:row_seconds=0.03"], budget={"usd": 0.006}, more=2000,
                  teacher={"model": "scripted:row_seconds=0.03", "rows": [0, 1000]})  # fmt: skip
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert jobs(task, "label") == []
    assert "does not pay for 1,000 labels" in done.stdout


@pytest.mark.slow
def test_a_final_fit_and_a_learning_curve_keep_the_labels(make_task: MakeTask) -> None:
    evaluation = {**BRIEF["evaluation"], "final_fit": True, "learning_curve": True}
    task = taught(make_task, evaluation=evaluation, budget={"trials": 8}, teacher={"rows": [0, 60]})
    assert search(task).returncode == 0
    refits = jobs(task, "refit")
    assert refits
    curve = [job for job in refits if job["train_rows"] is not None and job["candidate"]["params"]["teacher_rows"]]
    for job in curve:
        assert job["candidate"]["params"]["teacher_rows"] == 60
