"""The end of a search: learning curve, further seeds, verdict; what a kill and a budget do to them."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas
import pytest
from conftest import EVALUATION, MakeTask, autoadapt, environment

import autoadapt as package
from autoadapt import Study
from autoadapt.domain.verdict import Verdict
from autoadapt.errors import UserError

BOTH = {**EVALUATION, "learning_curve": True, "seeds": 2}
TUNED: dict[str, Any] = {"methods": ["prompt", "full"], "search": {"sampler": "random"}, "budget": {"trials": 3}}


def steps(root: Path, pattern: str) -> dict[str, int]:
    """Outcomes by step folder, with the time they were written."""
    return {
        str(p.parent.relative_to(root)): p.stat().st_mtime_ns for p in root.glob(f"trials/*/{pattern}/outcome.json")
    }


def test_the_verdict_of_a_whole_search(hostile_run: Path) -> None:
    verdict = Verdict.model_validate_json((hostile_run / "verdict.json").read_bytes())
    study = Study.load(hostile_run)
    tested = {o.trial for o in study.options}
    assert {p.trial for p in verdict.paired} | {p.other for p in verdict.paired} == tested
    assert {c.trial for c in verdict.compared} == tested - {verdict.best}
    assert all(c.p <= c.p_holm <= 1 and c.low <= c.difference <= c.high for c in verdict.compared)
    assert verdict.optimism.trial == verdict.best
    assert verdict.optimism.observed is not None
    curve = verdict.curve
    assert curve is not None
    rows = len((hostile_run / "data" / "train.jsonl").read_bytes().splitlines())
    assert [p.rows for p in curve.points] == sorted({round(rows * s) for s in (0.125, 0.25, 0.5)} | {rows})
    by_trial = {o.trial: o for o in study.options}
    assert curve.points[-1].quality == by_trial[curve.trial].test_quality
    assert {t.trial for t in verdict.trained} <= tested
    assert all(len(t.qualities) == 2 and t.low <= t.mean <= t.high for t in verdict.trained)
    assert verdict.trained, "a tuned option of the frontier was trained with a second seed"
    again = list(hostile_run.glob("trials/*/again-*"))
    assert again
    assert not list(hostile_run.glob("trials/*/again-*/model")), "what was trained to be measured is not kept"
    for folder in again:
        step = json.loads((folder / "trial.json").read_text())
        assert step["fidelity"]["rows"] == 36
        assert step["split"] == "again"
    assert any("more labelled rows" in line for line in verdict.next)
    printed = (hostile_run.parents[1] / "printed.txt").read_text()
    assert "Optimism" in printed
    assert "with 2 seeds" in printed
    assert len(verdict.why) == len(tested), "a sentence for every option"


def test_a_kill_while_fitting_again_loses_and_repeats_nothing(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(evaluation=BOTH, **TUNED)
    command = [sys.executable, "-m", "autoadapt.cli.main", "search", str(task), "--runs", str(tmp_path / "runs")]
    first = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    root = tmp_path / "runs" / "fruits"
    end = time.monotonic() + 200
    while not (root / "recommendations.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)  # the summary is written last
    meanwhile = autoadapt("report", root)
    assert meanwhile.returncode == 0, meanwhile.stderr
    assert "The search has not ended yet." in (root / "report.html").read_text()
    while not steps(root, "again-*") and time.monotonic() < end:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = steps(root, "*")
    assert any("again" in name for name in before)
    assert not (root / "verdict.json").exists()
    resumed = autoadapt("search", task, "--runs", tmp_path / "runs")
    assert resumed.returncode == 0, resumed.stderr
    after = steps(root, "*")
    assert {name: after[name] for name in before} == before, "nothing that was done is done again"
    verdict = Verdict.model_validate_json((root / "verdict.json").read_bytes())
    assert verdict.curve is not None
    assert verdict.trained
    third = autoadapt("search", task, "--runs", tmp_path / "runs")
    assert third.returncode == 0
    assert steps(root, "*") == after


def test_python_does_what_the_command_line_does(
    make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_task(**TUNED)
    told = {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in path.read_text().splitlines()}
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    study = package.search(
        told, overrides=["budget.trials=3"], runs=tmp_path / "api", on_event=lambda e: seen.append(e.kind)
    )
    assert study.root == tmp_path / "api" / "fruits"
    assert (study.root / "report.html").is_file()
    assert "finished" in seen
    trials, options = study.trials(), study.frontier()
    assert isinstance(trials, pandas.DataFrame)
    assert len(trials) == 3
    assert {"state", "method", "quality", "usd", "params.template"} <= set(trials.columns)
    assert list(options.index) == [o.trial for o in study.options]
    assert {"quality_low", "test_quality_high", "cost_usd_per_1k"} <= set(options.columns)
    assert 0 < study.hypervolume() <= 1
    assert study.recommendation.reason in study._repr_html_().replace("&#x27;", "'").replace("&lt;", "<")
    assert study.figure("frontier", x="latency_ms").data
    with pytest.raises(UserError, match="did you mean 'frontier'"):
        study.figure("fronteir")
    with pytest.raises(UserError, match="task, line 3, budgett: unknown key"):
        package.search({"name": "x", "budgett": {}, **{k: v for k, v in told.items() if k != "name"}})
    assert len(package.check(path).splits.test) == 30
    assert package.prices("h100")
    assert package.schema()["title"] == "Task"
    assert package.Study.load(study.root).recommend(max_p95=1e6)[0].trial is not None
    _the_budget_pays_or_it_does_not(told, study)


def _the_budget_pays_or_it_does_not(told: dict[str, Any], study: Study) -> None:
    """A learning curve is measured only where all of it can be paid for; the search itself is not repeated."""
    assert study.verdict is not None
    assert study.verdict.curve is None
    assert any("is not known" in line for line in study.verdict.next)
    spent, notes = study.summary["spent"]["usd"], []
    change = ["budget.trials=3", "evaluation.learning_curve=true"]
    asked: dict[str, Any] = {"runs": study.root.parent, "on_event": lambda e: notes.append(e.message)}
    package.search(told, overrides=[*change, f"budget.usd={spent * 1.0001:.9f}"], **asked)
    assert any("the budget does not pay for the learning curve" in note for note in notes)
    assert not steps(study.root, "again-*")
    richer = package.search(told, overrides=[*change, "budget.usd=100"], **asked)
    assert len(steps(study.root, "again-*")) == 3
    assert richer.verdict is not None
    assert richer.verdict.curve is not None


def test_the_frontier_of_several_runs(hostile_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "second"
    shutil.copytree(hostile_run, other)
    arguments = ["frontier", hostile_run, other, "--figure", tmp_path / "figure.svg", "--export"]
    told = autoadapt(*arguments, tmp_path / "trials.csv")
    assert told.returncode == 0, told.stderr
    assert "reference point quality 0" in told.stdout
    assert "attained by 100% of the 2 runs" in told.stdout
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    rows = Study.load(hostile_run).rows
    table = pandas.read_csv(tmp_path / "trials.csv")
    assert len(table) == 2 * len(rows)
    assert sorted(set(table["run"])) == sorted([str(hostile_run), str(other)])
    texts = table.select_dtypes("object").map(str)
    assert not texts.map(lambda t: t[:1] in ("=", "+", "@")).any().any(), "no spreadsheet runs a cell"
    assert autoadapt(*arguments, tmp_path / "trials.parquet").returncode == 0
    assert autoadapt(*arguments, tmp_path / "trials.json").returncode == 0
    parquet = pandas.read_parquet(tmp_path / "trials.parquet")
    plain = json.loads((tmp_path / "trials.json").read_text())
    assert len(parquet) == len(plain) == len(table)
    measured = [r for r in rows if r.quality is not None]
    assert [p["quality"] for p in plain[: len(rows)] if p["quality"] is not None] == [r.quality for r in measured]
    assert list(parquet["train_seconds"][: len(rows)]) == [r.train_seconds for r in rows], (
        "raw figures, to the last digit"
    )
    data = json.loads(autoadapt("frontier", hostile_run, other, "--json").stdout)
    assert len(data) == 1
    assert len({run["hypervolume"] for run in data[0]["runs"]}) == 1, "copies are equal"
    assert data[0]["attainment"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["RUN", "RUN"], 2, "named more than once"),
        (["RUN", "--export", "x.xls"], 2, "let it end in .csv, .parquet, .json"),
        (["RUN", "--figure", "x.bmp"], 2, "let it end in .png, .svg, .pdf"),
        (["RUN", "--export", "no/such/folder/x.csv"], 4, "cannot be written"),
        (["no-such-run"], 2, "no finished study"),
        (["begun"], 6, "no trial was measured in full yet"),
    ],
)
def test_mistakes_with_frontier(hostile_run: Path, tmp_path: Path, arguments: list[str], code: int, part: str) -> None:
    (tmp_path / "begun").mkdir()
    shutil.copy(hostile_run / "study.db", tmp_path / "begun")
    shutil.copy(hostile_run / "task.lock.yaml", tmp_path / "begun")
    told = autoadapt("frontier", *[hostile_run if a == "RUN" else a for a in arguments], cwd=tmp_path)
    assert told.returncode == code, told.stderr
    assert part in told.stderr
    assert "Traceback" not in told.stderr


def test_trials_are_told_to_mlflow(hostile_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{hostile_run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("hostile")
    assert experiment is not None
    runs = {int(r.data.tags["autoadapt.trial"]): r for r in client.search_runs([experiment.experiment_id])}
    rows = {r.trial: r for r in Study.load(hostile_run).rows}
    assert set(runs) == set(rows)
    for trial, run in runs.items():
        assert run.data.params["method"] == rows[trial].method
        if rows[trial].quality is not None:
            assert run.data.metrics["quality"] == rows[trial].quality


def test_an_unknown_tracker_costs_nothing(make_task: MakeTask, tmp_path: Path) -> None:
    told = autoadapt("search", make_task(), "--runs", tmp_path / "runs", "--track", "mlfow")
    assert told.returncode == 2
    assert "did you mean 'mlflow'" in told.stderr
    assert not (tmp_path / "runs" / "fruits" / "trials").exists()
