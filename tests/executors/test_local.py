"""The local executor against real faults in real processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import PLUGINS, SPACE, MakeTask

from autoadapt.domain.outcome import Outcome
from autoadapt.domain.plugins import Finished
from autoadapt.domain.task import Compute
from autoadapt.domain.trial import Candidate, Fidelity, Step
from autoadapt.executors.local import Local
from autoadapt.tasks.resolve import Resolved, resolve
from autoadapt.runs.run_folder import RunFolder

Run = Callable[..., Finished]


@pytest.fixture
def resolved(make_task: MakeTask) -> Resolved:
    return resolve(make_task(methods=["prompt", "lora", "full"], space=SPACE))


class Bench:
    """An executor on a run folder, and steps for it."""

    def __init__(self, root: Path, resolved: Resolved, **compute: Any) -> None:
        self.resolved, self.folder, self.executor = resolved, RunFolder(root), Local()
        self.folder.open()
        resolved.splits.write(root / "data")
        self.executor.start(root, Compute.model_validate({"on_cpu": True, "slots": 1, **compute}))
        self.count = 0

    def step(self, method: str, **changes: Any) -> Step:
        params: dict[str, Any] = {"template": "plain", "instruction": "none"}
        params |= {"prompt": {}, "faulty": {}}.get(
            method, {"learning_rate": 5e-3, "num_train_epochs": 2, "batch_size": 8}
        )
        params |= changes.pop("params", {})
        self.count += 1
        return Step(
            **{
                "trial": self.count,
                "rung": 0,
                "attempt": 0,
                "split": "validation",
                "candidate": Candidate(method=method, model="m", params=params),
                "model_path": str(next(iter(self.resolved.models.values()))),
                "metric": "accuracy",
                "labels": self.resolved.splits.labels,
                "template": self.resolved.space.space.templates["plain"],
                "instruction": "",
                "evaluation": self.resolved.task.evaluation,
                "fidelity": Fidelity(rows=20, steps=1.0, latency_requests=5),
                "seed": 7,
                "engine": "plain",
                "zero_stage": "auto",
                "precision": "fp32",
                "state_folder": f"trials/{self.count:04d}",
                **changes,
            }
        )

    def submit(self, step: Step) -> Path:
        folder = self.folder.prepare(step)
        self.executor.submit(step, folder)
        return folder

    def run(self, step: Step, timeout: float = 120) -> Outcome:
        self.submit(step)
        finished = self.executor.next_finished(timeout)
        assert finished is not None, "nothing came back"
        assert finished.step == step
        stored = Outcome.model_validate_json((finished.folder / "outcome.json").read_bytes())
        assert stored == finished.outcome
        return finished.outcome

    def pids(self) -> list[int]:
        return [p.pid for slot in self.executor._slots for p in slot.ranks]


@pytest.fixture
def bench(tmp_path: Path, resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    made: list[Bench] = []

    def make(**compute: Any) -> Bench:
        made.append(Bench(tmp_path / f"run{len(made)}", resolved, **compute))
        return made[-1]

    yield make
    for one in made:
        pids = one.pids()
        one.executor.close()
        one.folder.close()
        assert not any(psutil.pid_exists(p) for p in pids), "a worker outlived its executor"


def fault(bench: Bench, name: str, **changes: Any) -> Step:
    return bench.step("faulty", params={"fault": name}, **changes)


def failure(outcome: Outcome) -> tuple[str, str]:
    assert outcome.failure is not None
    assert outcome.measurement is None
    return outcome.failure.kind, outcome.failure.reason


def test_a_worker_stays_warm_and_survives_failures_that_raise(bench: Callable[..., Bench]) -> None:
    own = bench()
    first = own.run(own.step("prompt"))
    assert first.cold
    assert first.measurement is not None
    pids = own.pids()
    assert failure(own.run(fault(own, "nan")))[0] == "nan"
    assert failure(own.run(own.step("lora", params={"target_modules": "nothing"})))[0] == "config"
    again = own.run(own.step("prompt"))
    assert not again.cold
    assert again.measurement is not None
    assert [r.stats for r in again.measurement.rows] == [r.stats for r in first.measurement.rows]
    assert own.pids() == pids
    assert again.seconds < first.seconds


def test_a_killed_worker_is_a_crash_and_is_replaced(bench: Callable[..., Bench]) -> None:
    own = bench()
    kind, reason = failure(own.run(fault(own, "killed")))
    assert kind == "crash"
    assert "SIGKILL" in reason
    assert failure(own.run(fault(own, "exit"))) == ("crash", "the worker ended by exit code 3")
    assert own.run(own.step("prompt")).measurement is not None


def test_a_hanging_worker_is_killed_in_time(bench: Callable[..., Bench]) -> None:
    own = bench(hang_timeout_s=12)
    own.run(own.step("prompt"))
    started = time.monotonic()
    kind, reason = failure(own.run(fault(own, "hang")))
    assert kind == "timeout"
    assert "no progress" in reason
    assert 12 <= time.monotonic() - started < 17


def test_a_step_over_its_time_is_killed_although_it_moves(bench: Callable[..., Bench]) -> None:
    own = bench(trial_timeout_s=6)
    outcome = own.run(fault(own, "slow"))
    assert failure(outcome)[0] == "timeout"
    assert outcome.seconds == pytest.approx(6, abs=5)


def test_out_of_memory_retires_the_worker(bench: Callable[..., Bench]) -> None:
    own = bench()
    own.run(own.step("prompt"))
    pids = own.pids()
    assert failure(own.run(fault(own, "oom")))[0] == "oom"
    assert own.run(own.step("prompt")).measurement is not None
    assert own.pids() != pids


def test_a_full_disk_is_named(bench: Callable[..., Bench]) -> None:
    own = bench()
    assert failure(own.run(fault(own, "disk")))[0] == "disk"


def test_a_damaged_outcome_counts_as_a_crash(bench: Callable[..., Bench]) -> None:
    own = bench()
    step = own.step("prompt")
    folder = own.submit(step)
    deadline = time.monotonic() + 60
    while not (folder / "outcome.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (folder / "outcome.json").write_text('{"version": 1, "tri')
    finished = own.executor.next_finished(30)
    assert finished is not None
    assert failure(finished.outcome)[0] == "crash"
    assert (folder / "outcome.json.corrupt").exists()


def test_running_steps_can_be_ended(bench: Callable[..., Bench]) -> None:
    own = bench()
    own.submit(fault(own, "slow"))
    time.sleep(1)
    assert own.executor.free == 0
    assert own.executor.running_seconds()[1] >= 1
    own.executor.kill_running("enough")
    finished = own.executor.next_finished(0)
    assert finished is not None
    assert failure(finished.outcome) == ("interrupted", "enough")
    assert own.executor.free == 1


def losses(outcome: Outcome) -> list[float]:
    assert outcome.measurement is not None, outcome.failure
    return outcome.measurement.train_loss


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_deepspeed_trains_as_the_plain_loop_does(
    bench: Callable[..., Bench], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no C++ compiler to be found
    plain_bench = bench()
    plain = plain_bench.run(plain_bench.step(method))
    own = bench()
    for stage in (0, 2, 3):
        outcome = own.run(own.step(method, engine="deepspeed", zero_stage=stage))
        assert losses(outcome) == pytest.approx(losses(plain), abs=2e-4), f"stage {stage}"
        assert quality(outcome) == quality(plain)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_bf16_trains_about_as_fp32_does(bench: Callable[..., Bench], method: str) -> None:
    own = bench()
    exact = own.run(own.step(method))
    rough = own.run(own.step(method, precision="bf16"))
    assert losses(rough) == pytest.approx(losses(exact), rel=0.05)
    assert losses(rough) != losses(exact)


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.slow) for stage in (0, 2)), 3])
def test_two_gloo_ranks_train_as_the_plain_loop_does(
    bench: Callable[..., Bench], stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    plain_bench = bench()
    own = bench(devices_per_trial=2)
    for method in ("lora", "full"):
        plain = plain_bench.run(plain_bench.step(method))
        outcome = own.run(own.step(method, engine="deepspeed", zero_stage=stage))
        assert losses(outcome) == pytest.approx(losses(plain), abs=2e-4)
        assert quality(outcome) == quality(plain)
        assert outcome.devices.count == 2


def quality(outcome: Outcome) -> float:
    assert outcome.measurement is not None
    return sum(r.stats[0] for r in outcome.measurement.rows)


def test_a_prompt_needs_one_rank_of_a_group(bench: Callable[..., Bench]) -> None:
    own = bench(devices_per_trial=2)
    assert own.run(own.step("prompt")).measurement is not None


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_rank_ends_its_group(bench: Callable[..., Bench], victim: int) -> None:
    own = bench(devices_per_trial=2)
    own.run(own.step("lora", engine="deepspeed", zero_stage=2))
    pids = own.pids()
    params = {"learning_rate": 1e-3, "num_train_epochs": 400, "batch_size": 1}
    folder = own.submit(own.step("full", engine="deepspeed", zero_stage=2, params=params))
    deadline = time.monotonic() + 60
    beats: set[int] = set()
    while len(beats) < 3 and time.monotonic() < deadline:  # it trains
        if (folder / "heartbeat").exists():
            beats.add((folder / "heartbeat").stat().st_mtime_ns)
        time.sleep(0.05)
    psutil.Process(pids[victim]).kill()
    started = time.monotonic()
    finished = own.executor.next_finished(60)
    assert finished is not None
    assert failure(finished.outcome)[0] == "crash"
    assert time.monotonic() - started < 30
    assert not any(psutil.pid_exists(p) for p in pids)
    assert own.run(own.step("lora", engine="deepspeed", zero_stage=0)).measurement is not None
