"""Searches whose options are scored under perturbations at the end: what they lose is what their models lose."""

import json
import os
import signal
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from conftest import EVALUATION, MakeTask, call, task_writer
from remote_server import PRICE, chat_server
from searches import read, search, start, wait_for

from autoadapt import Study
from autoadapt.domain.option import trials_of
from autoadapt.domain.robustness import WORDING_KINDS
from autoadapt.errors import Exit

MEASURED = {**EVALUATION, "rows": 40, "test_rows": 100, "latency_requests": 10, "robustness": True}
INLINE = {"on_cpu": True, "executor": "inline"}
TYPOS, WORDING = 0.2, 0.3


def write(folder: Path, model: str, **changes: Any) -> Path:
    fields = {"evaluation": MEASURED, "compute": INLINE, "budget": {"trials": 3}, **changes}
    return task_writer(folder, model)(**{"rows": 400, **fields})


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search on a model that loses up to 30 points by wording and 20 by spelling."""
    file = write(tmp_path_factory.mktemp("robust"), f"scripted:wording={WORDING},typos={TYPOS}")
    run = search(file)
    assert run.returncode == 0, run.stderr + run.stdout
    return file


def options(task: Path) -> dict[str, Any]:
    """By method, the option as results.json has it."""
    return {option["method"]: option for option in read(task, "results.json")["options"]}


def jobs(task: Path) -> list[Path]:
    return sorted((task.parent / "runs" / "fruits" / "trials").glob("*/robustness*"))


def test_losses_by_spelling_are_those_of_the_model_and_trained_options_lose_by_nothing_else(task: Path) -> None:
    found = options(task)
    for method in ("prompt", "full"):
        losses = {kind["kind"]: kind for kind in found[method]["robustness"]["kinds"]}
        assert losses["typos"]["mean"] == pytest.approx(TYPOS, abs=0.06), "as far as 80 rows can be that share"
        assert losses["case"]["mean"] == pytest.approx(TYPOS, abs=0.06)
    assert [kind["kind"] for kind in found["full"]["robustness"]["kinds"]] == ["typos", "case"]
    assert found["full"]["robustness"]["spread"] is None


def test_wordings_of_a_prompt_spread_as_the_model_makes_them(task: Path) -> None:
    robust = options(task)["prompt"]["robustness"]
    wordings = [kind for kind in robust["kinds"] if kind["kind"] in WORDING_KINDS]
    assert {kind["kind"] for kind in wordings} == {"instruction", "label_order", "separators"}
    assert 0 < fmean(kind["mean"] for kind in wordings) < WORDING
    # the loss of a wording is a uniform number from 0 to 0.3, whose standard deviation is 0.087
    assert robust["spread"]["low"] <= WORDING / 12**0.5 <= robust["spread"]["high"]


def test_stored_answers_give_the_same_losses(task: Path) -> None:
    option = options(task)["prompt"]
    folder = task.parent / "runs" / "fruits" / "trials" / f"{option['trial']:04d}"
    scores: dict[str, list[float]] = defaultdict(list)
    for line in map(json.loads, (folder / "predictions-perturbed.jsonl").read_text().splitlines()):
        scores[line["variant"]].append(line["score"])
    own = [json.loads(line)["score"] for line in (folder / "predictions-test.jsonl").read_text().splitlines()]
    job = json.loads((folder / "robustness" / "job.json").read_text())
    assert len(scores) == len(job["variants"])
    by_kind: dict[str, list[float]] = defaultdict(list)
    for variant in job["variants"]:
        by_kind[variant["kind"]].append(fmean(own[: job["rows"]]) - fmean(scores[variant["name"]]))
    for kind in option["robustness"]["kinds"]:
        assert kind["mean"] == pytest.approx(fmean(by_kind[kind["kind"]]))
        assert kind["worst"] == pytest.approx(max(by_kind[kind["kind"]]))


def test_terminal_and_page_show_it_and_a_resumed_search_does_not_repeat_it(task: Path) -> None:
    folder, before = task.parent / "runs" / "fruits", jobs(task)
    brief, full = (" ".join(call("report", folder, *more).stdout.split()) for more in ((), ("--all",)))
    assert "typing errors cost" in brief
    assert "spread" in brief
    assert "perturbations cost on average: a reworded instruction" in full
    page = (folder / "report.html").read_text()
    assert "spread of wordings" in page
    assert "perturbations cost on average" in page
    assert search(task).returncode == 0
    assert jobs(task) == before


def test_an_export_and_its_model_card_state_it(task: Path, tmp_path: Path) -> None:
    exported = call("export", task.parent / "runs" / "fruits", tmp_path / "bundle")
    assert exported.returncode == 0, exported.stderr
    assert "Robustness: On 80 test rows perturbations cost on average" in (tmp_path / "bundle/README.md").read_text()
    figures = json.loads((tmp_path / "bundle/option.json").read_text())["figures"]
    assert figures["robustness"] == options(task)[figures["method"]]["robustness"]


def test_another_limit_is_weighed_without_running_anything(task: Path) -> None:
    folder = task.parent / "runs" / "fruits"
    wide = call("recommend", folder, "--robustness-points", "60", "--json")
    assert wide.returncode == 0, wide.stderr
    narrow = call("recommend", folder, "--robustness-points", "5")
    assert narrow.returncode == Exit.NOTHING_FITS
    assert "may cost it more than 5 points" in narrow.stdout
    column = Study.load(folder).compare({"strict": {"robustness_points": 5}})[0]
    assert column.recommended is None
    assert "robustness_points" in column.binding


def test_a_task_that_limits_losses_gets_an_option_that_loses_less(tmp_path: Path) -> None:
    # the robust one is cheaper, or it would be dominated and not be shown
    fragile, robust = "scripted:typos=0.4,row_seconds=0.001", "scripted:quality=-0.2"
    changes: dict[str, Any] = {"models": [fragile, robust], "methods": ["prompt"], "rows": 300}
    task = write(tmp_path, "", **changes, constraints={"robustness_points": 15})
    assert search(task).returncode == 0
    trial = read(task, "recommendations.json")[0]["trial"]
    models = {raw["trial"]: raw["model"] for raw in read(task, "results.json")["measured"]}
    assert models[trial] == robust
    without = Study.load(task.parent / "runs" / "fruits").recommend(robustness_points=100.0)[0]
    assert [models[t] for t in trials_of(without.trial or 0)] == [fragile]


def test_a_limit_without_the_measurement_is_refused(make_task: MakeTask) -> None:
    refused = call("check", make_task(constraints={"robustness_points": 5}))
    assert refused.returncode == Exit.CONFIG
    assert "constraints.robustness_points" in refused.stderr
    assert "evaluation.robustness: true" in refused.stderr


def test_a_search_that_is_killed_meanwhile_does_the_rest_alone(tmp_path: Path) -> None:
    task = write(tmp_path, "scripted:row_seconds=0.002", compute={"on_cpu": True, "slots": 1}, rows=300)
    process = start(task)
    wait_for(lambda: any((job / "outcome.json").exists() for job in jobs(task)) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    done = {job for job in jobs(task) if (job / "outcome.json").exists()}
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert search(task).returncode == 0
    measured = [
        job for job in jobs(task) if json.loads((job / "outcome.json").read_text())["result"]["kind"] != "failure"
    ]
    assert {*done} <= {*measured}
    assert len({job.parent for job in measured}) == len(measured), "none was done twice"
    shown = [o["trial"] for o in read(task, "results.json")["options"]]
    assert {int(job.parent.name) for job in measured} == {*shown}


def on_server(make_task: MakeTask, url: str, **changes: Any) -> Path:
    """A task of one candidate on a server that bills every answer."""
    name = f"server:m@{url}"
    fields: dict[str, Any] = {"models": [name], "remote": {name: {"price": PRICE}}, "methods": ["prompt"]}
    fields |= {"budget": {"trials": 1}, "evaluation": {**MEASURED, "rows": 20, "test_rows": 30}, "compute": INLINE}
    return make_task(**{**fields, **changes})


def test_a_server_bills_no_more_for_it_than_a_tenth_of_the_search(make_task: MakeTask) -> None:
    with chat_server() as (url, _):
        task = on_server(make_task, url)
        run = search(task)
    assert run.returncode == 0, run.stderr
    assert "does not pay for scoring trial 0 under perturbations" in run.stderr + run.stdout
    assert jobs(task) == []


def test_what_a_server_bills_for_it_is_spent_where_the_task_asks_for_it(make_task: MakeTask) -> None:
    with chat_server() as (url, chat):
        task = on_server(make_task, url, constraints={"robustness_points": 60})
        assert search(task).returncode in (Exit.OK, Exit.NOTHING_FITS)
        bill = chat.ledger.usd
    (option,) = read(task, "results.json")["options"]
    assert option["robustness"]["rows"] == 30
    (job,) = jobs(task)
    outcome = json.loads((job / "outcome.json").read_text())
    assert outcome["result"]["usage"]["usd"] > 0
    assert outcome["usage"]["usd"] == pytest.approx(outcome["result"]["usage"]["usd"])
    billed = sum(json.loads(f.read_text())["usage"]["usd"] for f in job.parents[1].glob("*/*/outcome.json"))
    assert billed == pytest.approx(bill, rel=0.1), "all but the few test requests stands in outcomes"
