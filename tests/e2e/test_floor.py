"""The floor is measured first and counts for nothing in the budget; every recommendation is compared with it."""

import json
from collections import Counter
from pathlib import Path

from conftest import SPACE, MakeTask
from searches import events, outcomes, read, search, states

from autoadapt.api.study import Study

FLOOR = {"floor": True, "methods": ["prompt", "lora"]}


def methods(task: Path) -> list[str]:
    """Of every trial, by number."""
    return [row.method for row in Study.load(task.parent / "runs" / "fruits").rows]


def test_floor_is_measured_first_and_does_not_count_as_trials(make_task: MakeTask) -> None:
    task = make_task(**FLOOR, budget={"trials": 5}, models=["scripted:row_seconds=0.001"])
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    tried = methods(task)
    assert set(tried[:3]) == {"majority", "tfidf"}
    counts = Counter(tried)
    assert counts["majority"] == 1
    assert counts["tfidf"] <= 6
    assert counts["prompt"] + counts["lora"] == 5
    assert events(run)[-1]["status"]["spent"]["trials"] == 5


def test_recommendation_begins_with_the_floor(make_task: MakeTask) -> None:
    """The scripted model is right less often than counts of words, which learn these rows in full."""
    task = make_task(**FLOOR, rows=400, models=["scripted:quality=-0.3"])
    assert search(task).returncode == 0
    advice, verdict = read(task, "recommendations.json")[0], read(task, "verdict.json")
    study = Study.load(task.parent / "runs" / "fruits")
    by_trial = {o.trial: o for o in study.options}
    assert by_trial[advice["floor"]].method == "tfidf"
    assert advice["reason"].startswith("Nothing beats the floor, trial ")
    assert by_trial[advice["trial"]].floor
    assert verdict["why"][0] == advice["reason"]
    assert {"tfidf", "prompt"} <= {o.method for o in study.options}


def test_better_option_states_by_how_much_it_beats_the_floor(make_task: MakeTask) -> None:
    """Noise in place of words leaves nothing to count."""
    task = make_task(**FLOOR, rows=400, models=["scripted:quality=0.1"], constraints={"quality": 0.6})
    rows = [json.loads(line) for line in (task.parent / "data.jsonl").read_text().splitlines()]
    noise = ({"text": str(i * 7919 % 10007), "label": row["label"]} for i, row in enumerate(rows))
    (task.parent / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in noise))
    assert search(task, "--set", "evaluation.test_rows=100").returncode == 0
    advice = read(task, "recommendations.json")[0]
    study = Study.load(task.parent / "runs" / "fruits")
    chosen, floor = (next(o for o in study.options if o.trial == advice[key]) for key in ("trial", "floor"))
    assert not chosen.floor
    assert floor.floor
    points = 100 * ((chosen.test_quality or 0) - (floor.test_quality or 0))
    against = f"the floor, trial {floor.trial} ({floor.method}, {floor.test_quality:.3f})"
    assert f"beats {against}, by {points:+.1f} points" in advice["reason"]


def test_floor_that_is_switched_off_is_absent(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt"])
    assert search(task).returncode == 0
    assert set(methods(task)) == {"prompt"}
    assert read(task, "recommendations.json")[0]["floor"] is None


def test_refused_candidates_cost_nothing_and_stay_refused_after_a_resume(make_task: MakeTask) -> None:
    """With 60 rows there are too few for 48 shots."""
    space = SPACE.replace("shots: [0, 2, 4]", "shots: [0, 48]").replace("shots: [2, 4]", "shots: [48]")
    task = make_task(rows=60, space=space, methods=["prompt"], budget={"trials": 4}, search={"sampler": "random"})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    notes = [e["message"] for e in events(run) if e["event"] == "note"]
    assert [n for n in notes if "48 shots, but there are only" in n] == [notes[0]]
    assert events(run)[-1]["status"]["spent"]["trials"] == 4
    assert events(run)[-1]["status"]["failed"] == 0
    before, ended = outcomes(task), states(task)
    assert "PRUNED" in ended
    again = search(task, "--json", "--set", "budget.trials=6")
    assert again.returncode == 0, again.stderr
    assert {k: v for k, v in outcomes(task).items() if k in before} == before
    assert events(again)[-1]["status"]["spent"]["trials"] == 6
