"""A method that fails on a model in the same way from its first trial on is searched no further there, and the result
says why.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call
from job_runs import DEVICES, scripted

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Fidelity, Fit, PromptText, TrainingSettings
from autoadapt.domain.outcome import Failure, FailureClass, Measurement, Outcome, RowResult
from autoadapt.runs.run_folder import Record
from autoadapt.study.repeated_failures import repeated_failures

Result = tuple[FailureClass, str] | None
"""Class and reason of a failure; None: it was measured."""


def record(trial: int, result: Result, method: str = "lora", attempt: int = 0) -> Record:
    job = Fit(
        trial=trial,
        attempt=attempt,
        rung=0,
        candidate=Candidate(method=method, model="m", params={"trial": trial}),
        model=scripted(),
        metric=PluginChoice(name="accuracy"),
        labels=["a", "b"],
        prompt=PromptText(template="{{ input }}", instruction=""),
        max_new_tokens=1,
        fidelity=Fidelity(rows=1, steps=1.0, latency_requests=0),
        seed=0,
        training=TrainingSettings(),
        state_folder=f"trials/{trial:04d}",
    )
    measured = Measurement(
        rows=[RowResult(id=0, stats=[1.0], tokens_in=1, tokens_out=1)],
        inference_seconds=1.0,
        latency_ms=[1.0],
        peak_memory_bytes=1,
        parameters_total=1,
    )
    given = measured if result is None else Failure(stage="fit", failure_class=result[0], reason=result[1])
    return Record(Path(str(trial)), job, Outcome.of(job, given, DEVICES, seconds=1.0))


CRASH: Result = ("crash", "ValueError: size 3 of layer 7 does not match")
LIKE_IT: Result = ("crash", "ValueError: size 12 of layer 0.5 does not match")


@pytest.mark.parametrize(
    ("results", "stopped"),
    [
        ([CRASH, LIKE_IT, CRASH], True),
        ([CRASH, CRASH], False),
        ([CRASH, ("crash", "KeyError: 'b'"), CRASH], False),
        ([CRASH, ("config", CRASH[1]), CRASH], False),
        ([None, CRASH, CRASH, CRASH], False),
        ([CRASH, CRASH, CRASH, None], False),
        ([("oom", "no memory")] * 3, True),
        ([("data", "fewer than 2 training rows fit the model's context")] * 3, True),
        ([("nan", "the loss is nan")] * 5, False),
        ([("timeout", "no step for 60 s")] * 5, False),
        ([("provider", "HTTP 500")] * 5, False),
        ([("interrupted", "the run was killed")] * 5, False),
        ([CRASH, CRASH, CRASH, ("interrupted", "the run was killed")], True),
    ],
)
def test_first_trials_that_fail_alike_and_for_good_stop_a_method(results: list[Result], stopped: bool) -> None:
    found = repeated_failures([record(i, result) for i, result in enumerate(results)])
    assert set(found) == ({("lora", "m")} if stopped else set())


def test_further_attempts_at_a_trial_are_no_further_trials() -> None:
    records = [record(trial, CRASH, attempt=attempt) for trial in range(2) for attempt in range(3)]
    assert repeated_failures(records) == {}


def test_the_sentence_names_method_model_and_reason() -> None:
    records = [record(i, CRASH) for i in range(3)] + [record(9, None, method="prompt")]
    assert list(repeated_failures(records).values()) == [
        "lora on m is searched no further: its first 3 trials failed in the same way (crash in fit: ValueError: size 3 of "
        "layer 7 does not match)"
    ]


FAULTY = SPACE.replace("branches:\n", "branches:\n  faulty:\n    fault: [oom]\n").split("first:")[0]


def trials_of(root: Path, method: str) -> int:
    return json.loads((root / "results.json").read_text())["methods"].get(method, {"trials": 0})["trials"]


SENTENCE = "faulty on scripted is searched no further: its first 3 trials failed in the same way (oom in fit: "


def test_a_search_ends_where_nothing_else_is_left_and_a_resumed_one_too(make_task: MakeTask) -> None:
    task = make_task(space=FAULTY, methods=["faulty"], budget={"trials": 30}, compute={"on_cpu": True, "slots": 1})
    root = task.parent / "runs" / "fruits"
    for budget in (30, 40):
        run = call("search", task, "--runs", root.parent, "--set", f"budget.trials={budget}")
        assert run.returncode == 6, run.stderr
        assert trials_of(root, "faulty") == 3
        assert SENTENCE in run.stderr
        assert "no method is left that has not failed in each of its first trials" in run.stderr
        assert f"Given up: {SENTENCE}" in run.stdout.replace("\n", " ")
    assert json.loads((root / "results.json").read_text())["given_up"][0].startswith(SENTENCE)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "cost_aware"])
def test_a_search_goes_on_without_such_a_method(make_task: MakeTask, sampler: str) -> None:
    settings: dict[str, Any] = {"space": FAULTY, "methods": ["faulty", "prompt"], "search": {"sampler": sampler}}
    task = make_task(**settings, budget={"trials": 12}, compute={"on_cpu": True, "slots": 1})
    root = task.parent / "runs" / "fruits"
    run = call("search", task, "--runs", root.parent)
    assert run.returncode == 0, run.stderr
    assert (trials_of(root, "faulty"), trials_of(root, "prompt")) == (3, 9)
    assert f"Given up: {SENTENCE}" in run.stdout.replace("\n", " ")
    assert "given up: faulty on scripted" in call("report", root, "--all").stdout
