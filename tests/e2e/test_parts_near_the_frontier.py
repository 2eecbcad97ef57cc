"""Cascades of whole searches with a part that another option dominates within measurement error.

Trial "plain" is a little better and cheaper than trial "sure", so that it dominates it, but its confidences say nothing.
Before the dear option only the sure one saves anything.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, SPACE, call, task_writer
from searches import events, search

from autoadapt.api.study import Study

PLAIN = "scripted:quality=0.0,informs=0.0,step_seconds=0.02"
SURE = "scripted:quality=-0.015,informs=0.95,step_seconds=0.022"
DEAR = "scripted:quality=0.25,row_seconds=0.012"
ONE_TRAINING = (
    SPACE.split("branches:")[0].replace("[plain, arrow]", "[plain]").replace("[none, options]", "[none]")
    + "branches:\n  lora:\n    r: [8]\n    learning_rate: [3.0e-3]\n    num_train_epochs: [1]\n    batch_size: [32]\n"
)
ROWS = 300


def write_task(folder: Path, models: list[str], **changes: Any) -> Path:
    settings: dict[str, Any] = {
        "rows": 1900,
        "space": ONE_TRAINING,
        "models": models,
        "methods": ["lora"],
        "objectives": ["quality", "cost_usd_per_1k"],
        "search": {"sampler": "random", "rungs": False},
        "budget": {"trials": len(models)},
        # a training is paid off by 400 queries, so that the cost of the cheap options is that of their training
        "economics": {"usd_per_hour": 3600, "queries_per_month": 40, "horizon_months": 10},
        "compute": {"on_cpu": True, "slots": 1},
        "evaluation": {**EVALUATION, "rows": ROWS, "test_rows": ROWS},
    }
    return task_writer(folder, "scripted")(**{**settings, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished search over all three."""
    task = write_task(tmp_path_factory.mktemp("parts"), [PLAIN, SURE, DEAR])
    done = search(task)
    assert done.returncode == 0, done.stderr
    (task.parent / "printed.txt").write_text(done.stdout)
    return task.parent / "runs" / "fruits"


def trial_of(run: Path, model: str) -> int:
    return next(raw.trial for raw in Study.load(run).raws if raw.model == model)


def test_dominated_trial_is_scored_and_is_a_part_of_the_cascade(run: Path) -> None:
    study, sure, dear = Study.load(run), trial_of(run, SURE), trial_of(run, DEAR)
    assert study.verdict is not None
    assert study.verdict.within_noise == [sure], "it is dominated within measurement error"
    assert study.verdict.scored_parts == [sure]
    (cascade,) = [o for o in study.options if o.cascade is not None]
    assert cascade.cascade is not None
    assert (cascade.cascade.first, cascade.cascade.second) == (sure, dear)
    part = study.option(sure)
    assert part is not None
    assert (part.on_frontier, part.shown_as, part.test_rows) == (False, "part", ROWS)
    assert (run / "trials" / f"{sure:04d}" / "artifact" / "option.json").is_file()
    assert cascade.latency_p95_ms is not None, "the part was timed by all requests when it was scored"
    assert cascade.cost_usd_per_1k < study.option(dear).cost_usd_per_1k / 1.2  # type: ignore[union-attr]


def test_part_is_marked_where_it_is_shown_and_not_recommended(run: Path) -> None:
    study, sure = Study.load(run), trial_of(run, SURE)
    printed, page = call("report", run, "--all").stdout, (run / "report.html").read_text()
    assert "lora (part)" in printed
    assert f"Dominated, but within measurement error: trial {sure} (scored on test rows)." in " ".join(printed.split())
    assert "a part of a cascade" in page
    assert f"(trial {sure}, a part of a cascade) is " in " ".join(page.split())
    assert study.recommendation.trial != sure
    assert sure not in {study.recommendation.best_quality, study.recommendation.cheapest, study.recommendation.fastest}
    pairs = {(p.trial, p.other) for p in study.verdict.paired}  # type: ignore[union-attr]
    assert any(sure in pair for pair in pairs)


def test_same_cascade_after_a_resume(run: Path) -> None:
    before = json.loads((run / "results.json").read_text())
    (run / "results.json").unlink()
    assert search(run.parents[1] / "task.yaml").returncode == 0
    after = json.loads((run / "results.json").read_text())
    for part in ("options", "cascades", "calibration", "recommendation"):
        assert after[part] == before[part]


def test_part_is_scored_again_where_the_options_have_answered_more_rows(run: Path, tmp_path: Path) -> None:
    """As after an earlier run whose budget paid for a part of the rows alone."""
    shutil.copytree(run.parents[1], tmp_path / "copy")
    copied, sure = tmp_path / "copy" / "runs" / "fruits", trial_of(run, SURE)
    file, few = copied / "trials" / f"{sure:04d}" / "score" / "outcome.json", ROWS - 100
    outcome = json.loads(file.read_text())
    outcome["result"]["rows"] = outcome["result"]["rows"][:few]
    file.write_text(json.dumps(outcome))
    assert search(tmp_path / "copy" / "task.yaml").returncode == 0
    study = Study.load(copied)
    assert study.verdict is not None
    assert study.verdict.scored_parts == [sure]
    assert study.raw(sure).test_rows == ROWS  # type: ignore[union-attr]
    assert [o.trial for o in study.options if o.cascade is not None]


def test_nothing_changes_where_the_budget_does_not_pay(run: Path, tmp_path: Path) -> None:
    """The same study before the part was scored, with a budget that is spent but for a thousandth of a second."""
    shutil.copytree(run.parents[1], tmp_path / "copy")
    task, copied = tmp_path / "copy" / "task.yaml", tmp_path / "copy" / "runs" / "fruits"
    sure = trial_of(run, SURE)
    shutil.rmtree(copied / "trials" / f"{sure:04d}" / "score")
    (copied / "trials" / f"{sure:04d}" / "predictions-test.jsonl").unlink()
    outcomes = [json.loads(f.read_text()) for f in copied.glob("trials/*/*/outcome.json")]
    spent = sum(sum(o["usage"]["device_seconds"].values()) for o in outcomes)
    again = search(task, "--json", "--set", f"budget.usd={spent + 0.001:.6f}")
    assert again.returncode == 0, again.stderr
    assert not any("parts of cascades" in e["message"] for e in events(again))
    study = Study.load(copied)
    assert {o.trial for o in study.options} == {trial_of(run, PLAIN), trial_of(run, DEAR)}
    assert all(o.on_frontier for o in study.options)
    assert study.verdict is not None
    assert study.verdict.scored_parts == []
    richer = search(task, "--set", "budget.usd=1000")
    assert richer.returncode == 0, richer.stderr
    assert [o.trial for o in Study.load(copied).options if o.cascade is not None]


def test_trial_that_makes_no_better_cascade_is_not_scored(tmp_path: Path) -> None:
    """Confidences that say nothing make no cascade whoever states them."""
    task = write_task(tmp_path, [PLAIN, SURE.replace("informs=0.95", "informs=0.0"), DEAR])
    assert search(task).returncode == 0
    study = Study.load(tmp_path / "runs" / "fruits")
    assert study.verdict is not None
    assert len(study.verdict.within_noise) == 1
    assert study.verdict.scored_parts == []
    assert not list((tmp_path / "runs" / "fruits" / "trials" / f"{study.verdict.within_noise[0]:04d}").glob("score*"))
    assert call("report", tmp_path / "runs" / "fruits").returncode == 0
