"""Jobs that write instructions: real models on both sides, training rows alone, everything counted."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from job_runs import DEVICES, JobRun, causal_lm, scripted

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Propose
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.proposal import Proposal
from autoadapt.files import read_rows

LIBRARY = {"options": "One of: {{ labels | join(', ') }}.", "none": ""}
CAPO = {"generations": 1, "children": 2, "block_rows": 5, "blocks": 2, "population": 2, "max_new_tokens": 16}


def job(jobs: JobRun, writer: ModelReference, proposer: dict[str, Any], **changes: Any) -> Propose:
    """A job that fills slot 1."""
    shots = {"shots": 2, "selector": "nearest", **changes.pop("params", {})}
    (name,) = proposer
    base = {**jobs.base("prompt", 0, shots), "state_folder": "trials/0000/propose-1", **changes}
    choice = PluginChoice(name=name, settings={"model": writer.name, **proposer[name]})
    return Propose(**base, slot=1, proposer=choice, proposing_model=writer, starts=LIBRARY)


def written(outcome: Outcome) -> Proposal:
    """What came of a job that must succeed."""
    assert isinstance(outcome.result, Proposal), outcome.result
    return outcome.result


def test_a_real_model_writes_and_another_answers_and_both_are_counted(
    tiny_model: Path, chat_model: Path, tmp_path: Path
) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    outcome = jobs.run(job(jobs, causal_lm(chat_model), {"capo": CAPO}))
    proposal = written(outcome)
    assert [one.text for one in proposal.tried[:2]] == ["One of: animal, fruit, tool.", ""]
    assert all(one.rows in (5, 10) and one.tokens for one in proposal.tried)
    assert proposal.requests >= 3
    assert proposal.answers == sum(one.rows for one in proposal.tried)
    read = sum(one.rows * (one.tokens or 0) for one in proposal.tried)
    assert proposal.usage.tokens_in > read, "requests are counted too"
    assert 0 < proposal.usage.tokens_out <= 16 * proposal.requests + 8 * proposal.answers
    assert outcome.usage.device_seconds == {DEVICES.kind: outcome.seconds}
    assert not (jobs.root / "trials/0000/propose-1/artifact").exists(), "no option is left"
    again = written(
        JobRun(tmp_path / "again", causal_lm(tiny_model)).run(job(jobs, causal_lm(chat_model), {"capo": CAPO}))
    )
    assert again.tried == proposal.tried, "the same seed gives the same instructions"


def test_a_row_that_is_asked_is_no_example_of_its_own_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoadapt.worker import proposing

    pools: list[set[int]] = []
    choose = proposing.choose_examples

    def noted(described: Any, rows: Any, documents: Any) -> Any:
        pools.append({row.id for row in rows()})
        return choose(described, rows, documents)

    monkeypatch.setattr(proposing, "choose_examples", noted)
    jobs = JobRun(tmp_path / "run", scripted())
    asked: list[int] = []
    judge = proposing._Desk.judge

    def judged(self: Any, instruction: str, rows: Any) -> Any:
        asked.extend(row.id for row in rows)
        return judge(self, instruction, rows)

    monkeypatch.setattr(proposing._Desk, "judge", judged)
    written(jobs.run(job(jobs, scripted(), {"scripted": {}})))
    train = {row.id for row in read_rows(jobs.root / "data" / "train.jsonl")}
    (pool,) = pools
    assert asked
    assert {*asked} <= train
    assert pool <= train
    assert not pool & {*asked}


@pytest.mark.parametrize("limits", [{"most_seconds": 0.4}, {"settings": {"tokens": 1000}}])
def test_limits_of_time_and_tokens_end_the_work_and_keep_what_was_found(limits: dict[str, Any], tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    settings = {
        "steps": 100_000,
        "step_seconds": 0.05 if "most_seconds" in limits else 0.0,
        **limits.pop("settings", {}),
    }
    outcome = jobs.run(job(jobs, scripted(), {"scripted": settings}, **limits))
    proposal = written(outcome)
    assert proposal.instruction is not None
    assert outcome.seconds < 20
    assert proposal.requests < 1000


def test_a_failure_is_data_with_what_was_spent(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted())
    outcome = jobs.run(job(jobs, scripted(), {"scripted": {"fails": True}}))
    assert isinstance(outcome.result, Failure)
    assert (outcome.result.stage, outcome.result.failure_class) == ("fit", "crash")
    assert outcome.usage.total_device_seconds > 0


@pytest.mark.slow
@pytest.mark.shared
def test_a_small_instruct_model_writes_instructions(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    made = Path(os.environ.get("AUTOADAPT_SMOLLM2", tmp_path / "smollm2"))
    if not made.is_dir():
        subprocess.run([sys.executable, shared / "models" / "get_smollm2.py", made], check=True, capture_output=True)
    jobs = JobRun(tmp_path / "run", causal_lm(made))
    proposal = written(jobs.run(job(jobs, causal_lm(made), {"capo": {**CAPO, "max_new_tokens": 60}})))
    new = [one for one in proposal.tried if one.origin.startswith("generation")]
    assert new
    assert all(len(one.text.split()) > 2 for one in new)
