"""Searches in which instructions are written: slots are filled once, paid for, tried, and never filled twice."""

import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call
from remote_server import PRICE, chat_server
from searches import alive, search, start, wait_for, workers_of

from autoadapt import Study
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.proposal import FilledSlot
from autoadapt.runs.results import read_results
from autoadapt.runs.slots import read_slot

BRIEF: dict[str, Any] = {
    "budget": {"trials": 6},
    "evaluation": {"rows": 36, "test_rows": 30, "latency_requests": 5, "load_requests": 0, "onnx": False,
                   "learning_curve": False, "final_fit": False},
    "compute": {"on_cpu": True, "executor": "inline"},
}  # fmt: skip


def scripted(**settings: Any) -> dict[str, Any]:
    """A proposer that writes what is known to be better, on a scripted model."""
    return {"scripted": {"model": "scripted", "slots": 1, **settings}}


def root_of(task: Path) -> Path:
    return task.parent / "runs" / "fruits"


def read_slots(root: Path) -> list[FilledSlot]:
    """Every filled slot."""
    return [slot for number in range(1, 9) if (slot := read_slot(root, number)) is not None]


def fitted(task: Path) -> list[dict[str, Any]]:
    """Every job that fitted something, in the order of trials."""
    return [json.loads(f.read_text()) for f in sorted(root_of(task).glob("trials/*/rung*/job.json"))]


def proposals(task: Path) -> list[dict[str, Any]]:
    """Outcomes of the jobs that wrote instructions, by folder."""
    return [json.loads(f.read_text()) for f in sorted(root_of(task).glob("trials/*/propose-*/outcome.json"))]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a finished search with one filled slot."""
    from conftest import task_writer

    task = task_writer(tmp_path_factory.mktemp("filled"), "scripted")(
        **{**BRIEF, "budget": {"trials": 4}, "methods": ["prompt"], "proposer": scripted()}
    )
    done = search(task)
    assert done.returncode == 0, done.stderr
    return task


def test_an_instruction_is_written_from_the_best_prompt_and_tried_with_it_first(filled: Path) -> None:
    (slot,) = read_slots(root_of(filled))
    first, second = fitted(filled)[:2]
    assert (slot.slot, slot.trial, slot.candidate.params) == (1, 0, first["candidate"]["params"])
    assert second["candidate"]["params"]["slot"] == 1
    assert "instruction" not in second["candidate"]["params"]
    assert second["prompt"] == {**first["prompt"], "instruction": slot.instruction, "entry": ""}
    measured = {raw.trial: raw for raw in read_results(root_of(filled)).measured}
    assert measured[1].quality > measured[0].quality + 0.1, "the scripted model answers better behind it"


def test_an_option_bears_what_its_instruction_took_and_the_search_has_paid_it_once(filled: Path) -> None:
    (slot,), (outcome,) = read_slots(root_of(filled)), proposals(filled)
    results, task = read_results(root_of(filled)), Study.load(root_of(filled)).task
    held = sum(outcome["usage"]["device_seconds"].values())
    assert slot.usage.total_device_seconds == pytest.approx(held)
    assert slot.usage.tokens_in > 0
    measured = {raw.trial: raw for raw in results.measured}
    with_slot, without = measured[1], measured[0]
    assert with_slot.training == slot.usage
    assert without.training.total_device_seconds == 0
    usd_once = held / 3600 * float(task.economics.hour_usd)
    thousands = task.economics.queries_per_month * task.economics.horizon_months / 1000
    answering = with_slot.answering.total_device_seconds / 36 / 3600 * 1000
    assert with_slot.values["cost_usd_per_1k"] == pytest.approx(answering + usd_once / thousands, rel=1e-6)
    every = [json.loads(f.read_text()) for f in root_of(filled).glob("trials/*/*/outcome.json")]
    spent = sum(sum(one["usage"]["device_seconds"].values()) for one in every)
    assert results.spent.device_seconds == pytest.approx(spent)


def test_the_text_of_a_slot_is_shown_wherever_its_options_are(filled: Path, tmp_path: Path) -> None:
    (slot,) = read_slots(root_of(filled))
    assert read_results(root_of(filled)).slots == [slot]
    assert slot.instruction in call("report", root_of(filled), "--all").stdout
    assert slot.instruction in (root_of(filled) / "report.html").read_text()
    bundle = tmp_path / "bundle"
    exported = call("export", root_of(filled), bundle, "--option", "1")
    assert exported.returncode == 0, exported.stderr
    assert slot.instruction in (bundle / "prompt.yaml").read_text()


@pytest.mark.parametrize("damage", ["file", "file and outcome"])
def test_a_damaged_slot_is_found_again_in_the_jobs_and_nothing_is_run(filled: Path, damage: str) -> None:
    root = root_of(filled)
    file, jobs = root / "slots" / "slot-1.json", len(proposals(filled))
    slot = FilledSlot.model_validate_json(file.read_text())
    file.write_text(file.read_text()[:100])
    if damage != "file":
        for outcome in root.glob("trials/*/propose-1/*.json"):
            outcome.unlink()
        jobs = 0
    assert search(filled).returncode == 0
    (found,) = read_slots(root)
    assert (found.instruction, found.usage) == (slot.instruction, slot.usage)
    assert len(proposals(filled)) == jobs


def test_another_proposer_is_another_question(filled: Path) -> None:
    changed = search(filled, "--set", "proposer.scripted.gain=0.3")
    assert changed.returncode == 2
    assert "proposer.scripted.gain" in changed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["cost_aware", "random", "tpe"])
def test_a_slot_that_stays_empty_is_never_tried(sampler: str, make_task: MakeTask) -> None:
    proposer = scripted(writes=False, slots=8)
    task = make_task(**{**BRIEF, "budget": {"trials": 10}}, proposer=proposer, search={"sampler": sampler})
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert {job["candidate"]["params"]["slot"] for job in fitted(task)} == {0}
    assert len(proposals(task)) == 1, "it is asked once"
    assert "slot 1 stays empty: no instruction was better" in done.stdout
    with sqlite3.connect(root_of(task) / "study.db") as database:
        refused = database.execute("select count(*) from trial_user_attributes where key = 'refused'").fetchone()
    assert refused == (0,)


@pytest.mark.slow
def test_a_slot_without_gain_ends_the_writing(make_task: MakeTask) -> None:
    task = make_task(**BRIEF, proposer=scripted(gain=-0.2, slots=3))
    assert search(task).returncode == 0
    assert [slot.slot for slot in read_slots(root_of(task))] == [1]


def test_tuned_options_may_use_a_slot(make_task: MakeTask) -> None:
    task = make_task(
        **{**BRIEF, "budget": {"trials": 12}}, proposer=scripted(slots=2), search={"sampler": "random", "rungs": False}
    )
    assert search(task).returncode == 0
    slots = {slot.slot: slot for slot in read_slots(root_of(task))}
    hybrids = [j for j in fitted(task) if j["candidate"]["method"] != "prompt" and j["candidate"]["params"]["slot"]]
    assert hybrids
    for job in hybrids:
        assert job["prompt"]["instruction"] == slots[job["candidate"]["params"]["slot"]].instruction
    raws = {raw.trial: raw for raw in read_results(root_of(task)).measured}
    used = slots[hybrids[0]["candidate"]["params"]["slot"]].usage.total_device_seconds
    assert raws[hybrids[0]["trial"]].training.total_device_seconds > used, "its training and the writing"


@pytest.mark.slow
def test_a_failed_proposal_is_data_and_is_tried_twice_at_most(make_task: MakeTask) -> None:
    task = make_task(**BRIEF, proposer=scripted(fails=True))
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert len(proposals(task)) == 2
    assert "filling it has failed 2 times" in done.stdout
    assert read_results(root_of(task)).spent.trials == 6, "the search goes on"


@pytest.mark.slow
def test_same_seed_gives_same_trials_with_slots(make_task: MakeTask) -> None:
    task = make_task(**{**BRIEF, "budget": {"trials": 8}}, proposer=scripted(slots=2), search={"deterministic": True})
    assert search(task, "--set", "name=one").returncode == 0
    assert search(task, "--set", "name=two", "--set", "budget.trials=4").returncode == 0
    assert search(task, "--set", "name=two").returncode == 0
    one, two = (
        [json.loads(f.read_text()) for f in sorted((task.parent / "runs" / name).glob("trials/*/rung*/job.json"))]
        for name in ("one", "two")
    )
    assert [job["candidate"] for job in one] == [job["candidate"] for job in two]
    assert any(job["candidate"]["params"]["slot"] == 2 for job in one)


def test_a_search_killed_while_an_instruction_is_written_writes_it_once(make_task: MakeTask) -> None:
    task = make_task(
        **{**BRIEF, "compute": {"on_cpu": True, "slots": 1}}, proposer=scripted(steps=30, step_seconds=0.05)
    )
    process = start(task)
    job = root_of(task) / "trials" / "0000" / "propose-1"
    wait_for(lambda: (job / "heartbeat").exists() or process.poll() is not None)
    children = workers_of(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not alive(children), 10)
    assert not (job / "outcome.json").exists()
    assert read_slots(root_of(task)) == []
    done = search(task)
    assert done.returncode == 0, done.stderr
    kinds = [outcome["result"].get("failure_class", "written") for outcome in proposals(task)]
    assert sorted(kinds) == ["interrupted", "written"]
    (slot,) = read_slots(root_of(task))
    held = [sum(outcome["usage"]["device_seconds"].values()) for outcome in proposals(task)]
    assert slot.usage.total_device_seconds == pytest.approx(sum(held)), "the part that was lost is paid too"
    before, again = (root_of(task) / "slots/slot-1.json").read_text(), search(task)
    assert again.returncode == 0
    assert (root_of(task) / "slots/slot-1.json").read_text() == before
    assert len(proposals(task)) == 2


@pytest.mark.slow
def test_writing_takes_no_more_than_its_share_of_the_budget(make_task: MakeTask) -> None:
    proposer = scripted(steps=10_000, step_seconds=0.05, budget_share=0.5)
    task = make_task(**{**BRIEF, "budget": {"usd": 0.006}}, proposer=proposer)
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    (outcome,) = proposals(task)
    seconds, whole = sum(outcome["usage"]["device_seconds"].values()), 0.006 * 3600
    assert 0.3 * whole < seconds < 0.5 * whole + 6, "and the step that was under way"
    assert outcome["result"]["instruction"] is not None


@pytest.mark.slow
def test_a_budget_that_pays_for_too_little_leaves_slots_empty(make_task: MakeTask) -> None:
    # a trial takes more than a second, and a tenth of the budget is less than that of two
    task = make_task(**{**BRIEF, "budget": {"usd": 0.004}}, models=["scripted:row_seconds=0.025"], proposer=scripted())
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert proposals(task) == []
    assert "does not pay for writing an instruction" in done.stdout


@pytest.mark.parametrize("name", ["capo", pytest.param("gepa", marks=pytest.mark.slow)])
def test_a_model_behind_a_server_writes_instructions_and_is_paid(name: str, make_task: MakeTask) -> None:
    settings = {"capo": {"generations": 1, "block_rows": 10, "blocks": 3}, "gepa": {"rounds": 3, "rows": 30}}[name]
    with chat_server() as (url, chat):
        chat.behaviour.writes = ("Say what it is.", "Name the kind. (+0.3)", "Look at the noun. (-0.2)")
        model = f"server:m@{url}"
        proposer = {name: {"model": model, "slots": 1, **settings}}
        task = make_task(**{**BRIEF, "budget": {"trials": 5}}, proposer=proposer, remote={model: {"price": PRICE}})
        done = search(task)
        assert done.returncode == 0, done.stderr
        (slot,) = read_slots(root_of(task))
        (outcome,) = proposals(task)
        bill, sent = chat.ledger.usd, chat.ledger.requests
        assert slot.instruction == "Name the kind. (+0.3)"
        assert slot.usage.usd == pytest.approx(outcome["usage"]["usd"])
        assert 0 < slot.usage.usd <= bill
        assert outcome["result"]["requests"] >= 2
        assert read_results(root_of(task)).spent.usd > slot.usage.usd
        shown = [str(body) for body in chat.ledger.bodies]
        frozen = {split: (root_of(task) / "data" / f"{split}.jsonl").read_text() for split in ("validation", "test")}
        for text in frozen.values():
            inputs = [json.loads(line)["input"] for line in text.splitlines()]
            assert not any(row in body for row in inputs for body in shown), "rows that judge later are never shown"
        assert search(task).returncode == 0
        assert (chat.ledger.usd, chat.ledger.requests) == (bill, sent), "a finished run sends nothing"


def test_choice_of_a_proposer_is_written_short() -> None:
    choice = PluginChoice.model_validate({"capo": {"model": "smollm2"}})
    assert choice.model_dump() == {"capo": {"model": "smollm2"}}
