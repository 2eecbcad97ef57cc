"""What a search says of itself while it runs: phases, time left, and short lines where there is no terminal."""

import itertools
from pathlib import Path

import pytest
from conftest import EVALUATION
from scripted_task import write_scripted_task

from autoadapt.api.search import run_search
from autoadapt.display.terminal.watchers import LineWatcher
from autoadapt.domain.events import Event

HOURS = 0.05
SEARCH_AND_END = {
    "models": ["scripted:step_seconds=0.02"],
    "floor": True,
    "budget": {"trials": 6, "hours": HOURS},
    "evaluation": {**EVALUATION, "load_requests": 60, "load_seconds": 1, "learning_curve": True, "final_fit": True},
}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Of a whole search."""
    folder, seen = tmp_path_factory.mktemp("progress"), list[Event]()
    run_search(write_scripted_task(folder, **SEARCH_AND_END), runs=folder / "runs", on_event=seen.append)
    return seen


def test_phases_of_the_end_are_named_and_counted(events: list[Event]) -> None:
    phases = [event.status.phase for event in events if event.kind == "phase"]
    names = [phase.name for phase in phases if phase is not None]
    assert names[:2] == ["scores on test rows", "load test of the recommended option"]
    assert names[-1] == "verdict"
    assert len(names) == len(set(names))
    numbers = [(phase.number, phase.of) for phase in phases if phase is not None]
    assert numbers[0][0] == 1
    assert numbers[-1][0] == numbers[-1][1] >= 4
    assert sorted(numbers) == numbers


def test_the_end_is_a_part_of_the_time_left(events: list[Event]) -> None:
    searching = [event.status for event in events if event.status.phase is None]
    assert searching[0].seconds_left == pytest.approx(HOURS * 3600, abs=10), "nothing is known but the budget"
    assert all(s.seconds_left is not None and s.end_seconds is not None for s in searching)
    assert all((s.seconds_left or 0) >= (s.end_seconds or 0) > 0 for s in searching)
    assert (searching[-1].end_seconds or 0) > 1
    ending = [
        event.status for event in events if event.status.phase is not None and event.status.phase.name != "verdict"
    ]
    assert all((s.seconds_left or 0) > 0 for s in ending), "never 0 while phases are left"


def test_the_estimate_does_not_collapse_with_the_first_cheap_trials(events: list[Event]) -> None:
    left = [e.status.seconds_left or 0 for e in events if e.kind == "trial_finished" and e.status.phase is None]
    first = HOURS * 3600
    assert left[0] > first / 2
    assert all(after > 0.4 * before - 5 for before, after in itertools.pairwise([first, *left]))


def test_running_jobs_have_a_method_and_a_stage(events: list[Event]) -> None:
    running = [job for event in events for job in event.status.running]
    assert {"prompt", "lora", "full"} <= {job.method for job in running}
    stages = {job.stage for job in running}
    assert "in full" in stages
    assert any(stage.endswith("test rows") for stage in stages)
    assert "load test" in stages


def test_lines_are_short_and_without_parameters(events: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    with LineWatcher() as watch:
        for event in events:
            watch(event)
    lines = capsys.readouterr().err.splitlines()
    ended = [line for line in lines if line.startswith("trial")]
    assert len(ended) == sum(event.kind.startswith("trial_") and event.kind.split("_")[1] in
                             ("finished", "stopped", "failed", "cached") for event in events)  # fmt: skip
    assert max(map(len, ended)) <= 140
    assert not any("learning_rate" in line or "batch_size" in line for line in lines)
    assert any("done: lora on scripted:step_seconds=0.02, quality 0." in line for line in ended)
    assert all(", floor 1.000  [" in line for line in ended[4:])
    assert any(line.startswith("end 1 of ") and " left" in line for line in lines)
    assert lines[-1].startswith("finished after ")


def test_without_a_limit_of_time_the_first_trial_has_to_end_before_anything_is_known(tmp_path: Path) -> None:
    seen: list[Event] = []
    task = write_scripted_task(tmp_path, methods=["prompt"], budget={"trials": 2})
    run_search(task, runs=tmp_path / "runs", on_event=seen.append)
    assert seen[0].status.seconds_left is None
    known = [event.status.seconds_left is not None for event in seen if event.kind == "trial_finished"]
    assert all(known)
