"""Dominated candidates are timed by few single requests in a search, and shown options to the end."""

import json
from pathlib import Path

from conftest import EVALUATION, MakeTask
from searches import search

from autoadapt.api.study import Study

GOOD, BAD = "scripted:row_seconds=0.001", "scripted:row_seconds=0.006,quality=-0.3"
"""The second is worse in everything."""


def requests(root: Path) -> dict[int, int]:
    """Single requests by which the fit of each trial was timed."""
    files = root.glob("trials/*/rung*/outcome.json")
    return {int(file.parts[-3]): len(json.loads(file.read_text())["result"]["latency_ms"]) for file in files}


def test_dominated_candidates_are_timed_by_ten_requests_and_shown_options_to_the_end(
    make_task: MakeTask, tmp_path: Path
) -> None:
    task = make_task(
        methods=["prompt"],
        models=[GOOD, BAD],
        evaluation=EVALUATION,
        search={"sampler": "random", "rungs": False},
        budget={"trials": 10},
        compute={"on_cpu": True, "slots": 1},
    )
    assert search(task).returncode == 0
    study, timed = Study.load(tmp_path / "runs" / "fruits"), requests(tmp_path / "runs" / "fruits")
    model = {row.trial: row.model for row in study.rows}
    known = min(trial for trial, name in model.items() if name == GOOD)
    later = [trial for trial, name in model.items() if name == BAD and trial > known]
    assert later
    assert {timed[trial] for trial in later} == {10}
    frontier = [option for option in study.options if option.on_frontier]
    assert {timed[option.trial] for option in frontier} == {60}
    assert all(option.latency_p95_ms is not None for option in study.options), "the untuned prompt too"
