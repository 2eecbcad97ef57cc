"""The end of a search: learning curve, further seeds, verdict; what a kill and a budget do to them."""

import json
import shutil
import signal
import statistics
from pathlib import Path
from typing import Any

import pandas
import pytest
from conftest import EVALUATION, MakeTask, call
from searches import events, search, start, wait_for

import autoadapt as package
from autoadapt import Study
from autoadapt.domain.jobs import JOB, LoadTest, Refit
from autoadapt.domain.verdict import Verdict
from autoadapt.errors import UserError

BOTH = {**EVALUATION, "learning_curve": True, "seeds": 2}
TUNED: dict[str, Any] = {"methods": ["prompt", "full"], "search": {"sampler": "random"}, "budget": {"trials": 3}}


def jobs(root: Path, pattern: str) -> dict[str, int]:
    """Outcomes by job folder, with the time they were written."""
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
    recommended = study.recommendation.trial
    assert verdict.optimism.trial == (verdict.best if recommended is None else recommended)
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
    refits = list(hostile_run.glob("trials/*/refit-*"))
    assert refits
    kept = {str(folder.relative_to(hostile_run)) for folder in hostile_run.glob("trials/*/refit-*/artifact")}
    assert verdict.final_fit is not None
    assert kept == {*verdict.final_fit.artifacts}, "what was trained to be measured is not kept"
    for folder in refits:
        job = JOB.validate_json((folder / "job.json").read_bytes())
        assert isinstance(job, Refit)
        assert job.rows == 36
    assert any("more labelled rows" in line for line in verdict.next)
    printed = call("report", hostile_run, "--all").stdout
    assert "Optimism" in printed
    assert "with 2 seeds" in printed
    assert len(verdict.why) == len(tested), "a sentence for every option"


def test_kill_while_refitting_loses_and_repeats_nothing(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(evaluation=BOTH, models=["scripted:step_seconds=0.006,row_seconds=0.002"], **TUNED)
    process, root = start(task), tmp_path / "runs" / "fruits"
    wait_for(lambda: (root / "results.json").exists())
    meanwhile = call("report", root)
    assert meanwhile.returncode == 0, meanwhile.stderr
    assert "The search has not ended yet." in (root / "report.html").read_text()
    wait_for(lambda: jobs(root, "refit-*"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = jobs(root, "*")
    assert any("refit" in name for name in before)
    assert not (root / "verdict.json").exists()
    resumed = search(task)
    assert resumed.returncode == 0, resumed.stderr
    after = jobs(root, "*")
    assert {name: after[name] for name in before} == before, "nothing that was done is done again"
    verdict = Verdict.model_validate_json((root / "verdict.json").read_bytes())
    assert verdict.curve is not None
    assert verdict.trained
    third = search(task)
    assert third.returncode == 0
    assert jobs(root, "*") == after


def test_load_tests_are_cut_to_what_is_left_of_the_budget_the_recommended_option_first(
    make_task: MakeTask, tmp_path: Path
) -> None:
    hours = 30 / 3600
    evaluation = {**EVALUATION, "load_requests": 60, "load_seconds": 60}
    models = ["scripted:row_seconds=0.002"]
    task = make_task(evaluation=evaluation, models=models, **{**TUNED, "budget": {"trials": 3, "hours": hours}})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    root = tmp_path / "runs" / "fruits"
    files = sorted(root.glob("trials/*/load_test/job.json"), key=lambda file: file.stat().st_mtime_ns)
    asked = [LoadTest.model_validate_json(file.read_bytes()) for file in files]
    assert asked, "options of the same serving class share one"
    assert sum(job.seconds for job in asked) <= 30
    scored = root / "trials" / f"{asked[0].trial:04d}" / "score" / "outcome.json"
    assert scored.exists()
    recommended = json.loads((root / "recommendations.json").read_text())[0]["trial"]
    assert recommended in {job.trial for job in asked}


def test_a_search_says_at_its_start_that_the_learning_curve_is_not_paid_for(make_task: MakeTask) -> None:
    slow: dict[str, Any] = {"models": ["scripted:step_seconds=0.2"], "methods": ["lora"]}
    budget = {"hours": 24 / 3600}
    task = make_task(evaluation={**EVALUATION, "learning_curve": True}, **{**TUNED, **slow, "budget": budget})
    planned = call("plan", task, "--runs", task.parent / "runs")
    assert planned.returncode == 0, planned.stderr
    assert "does not pay for a learning curve" in " ".join(planned.stdout.split())
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    notes = [e["message"] for e in events(run) if e["event"] == "note"]
    assert any("probably does not pay for a learning curve" in note for note in notes)
    assert any("does not pay for the learning curve of trial" in note for note in notes)
    assert not jobs(task.parent / "runs" / "fruits", "refit-*")


def test_further_fits_leave_no_checkpoints(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(evaluation=BOTH, models=["scripted:checkpoint_steps=2"], **TUNED)
    assert search(task).returncode == 0
    refits = list((tmp_path / "runs" / "fruits").glob("trials/*/refit-*"))
    assert refits
    assert not [p.name for refit in refits for p in refit.iterdir() if p.is_dir()]


def test_reports_read_one_moment_while_a_search_ends(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(evaluation=BOTH, models=["scripted:row_seconds=0.002"], **{**TUNED, "budget": {"trials": 8}})
    process, root, moments = start(task), tmp_path / "runs" / "fruits", 0
    while process.poll() is None:
        if (root / "results.json").exists():
            study = Study.load(root)
            trials = {option.trial for option in study.options}
            advice = study.recommendation
            assert {advice.best_quality, advice.cheapest, advice.fastest, advice.baseline, advice.trial} <= {
                *trials,
                None,
            }
            if study.verdict is not None:
                assert study.verdict.best in trials
            if moments % 10 == 0:
                shown = call("report", root)
                assert shown.returncode == 0, shown.stderr
            moments += 1
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert moments > 0


def test_python_api_does_what_the_command_line_does(
    make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_task(**TUNED)
    task = {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in path.read_text().splitlines()}
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    study = package.search(
        task, overrides=["budget.trials=3"], runs=tmp_path / "api", on_event=lambda e: seen.append(e.kind)
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
        package.search({"name": "x", "budgett": {}, **{k: v for k, v in task.items() if k != "name"}})
    assert len(package.check(path).splits.test) == 30
    assert package.prices("h100")
    assert package.schema()["title"] == "Task"
    assert package.Study.load(study.root).recommend(latency_p95_ms=1e6)[0].trial is not None
    _learning_curve_needs_the_budget(task, study)


def _learning_curve_needs_the_budget(task: dict[str, Any], study: Study) -> None:
    """A learning curve is measured only where all of it can be paid for; the search itself is not repeated."""
    assert study.verdict is not None
    assert study.verdict.curve is None
    assert any("is not known" in line for line in study.verdict.next)
    spent, notes = study.results.spent.usd, []
    change = ["budget.trials=3", "evaluation.learning_curve=true"]
    asked: dict[str, Any] = {"runs": study.root.parent, "on_event": lambda e: notes.append(e.message)}
    package.search(task, overrides=[*change, f"budget.usd={spent * 1.0001:.9f}"], **asked)
    assert any("does not pay for the learning curve" in note for note in notes)
    assert not jobs(study.root, "refit-*")
    richer = package.search(task, overrides=[*change, "budget.usd=100"], **asked)
    assert len(jobs(study.root, "refit-*")) == 3
    assert richer.verdict is not None
    assert richer.verdict.curve is not None
    _parts_are_trained_as_long(richer)


def _parts_are_trained_as_long(study: Study) -> None:
    """A scripted model learns by steps alone, so that more rows add nothing where all parts do as many steps."""
    assert study.verdict is not None
    assert study.verdict.curve is not None
    trial = study.root / "trials" / f"{study.verdict.curve.trial:04d}"

    def steps(pattern: str) -> list[int]:
        return [json.loads(p.read_text())["result"]["train_steps"] for p in trial.glob(f"{pattern}/outcome.json")]

    assert len(steps("refit-*")) == 3
    assert {*steps("refit-*")} == {max(steps("rung*"))}
    qualities = [point.quality for point in study.verdict.curve.points]
    assert max(qualities) - min(qualities) < 0.05, "they answer alike"


def test_the_frontier_of_several_runs(hostile_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "second"
    shutil.copytree(hostile_run, other)
    arguments = ["frontier", hostile_run, other, "--figure", tmp_path / "figure.svg", "--export"]
    run = call(*arguments, tmp_path / "trials.csv")
    assert run.returncode == 0, run.stderr
    assert "reference point quality 0" in run.stdout
    assert "attained by 100% of the 2 runs" in run.stdout
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    rows = Study.load(hostile_run).rows
    table = pandas.read_csv(tmp_path / "trials.csv")
    assert len(table) == 2 * len(rows)
    assert sorted(set(table["run"])) == sorted([str(hostile_run), str(other)])
    texts = table.select_dtypes("object").map(str)
    assert not texts.map(lambda t: t[:1] in ("=", "+", "@")).any().any(), "no spreadsheet runs a cell"
    assert call(*arguments, tmp_path / "trials.parquet").returncode == 0
    assert call(*arguments, tmp_path / "trials.json").returncode == 0
    parquet = pandas.read_parquet(tmp_path / "trials.parquet")
    plain = json.loads((tmp_path / "trials.json").read_text())
    assert len(parquet) == len(plain) == len(table)
    measured = [r for r in rows if r.quality is not None]
    assert [p["quality"] for p in plain[: len(rows)] if p["quality"] is not None] == [r.quality for r in measured]
    assert list(parquet["train_seconds"][: len(rows)]) == [r.train_seconds for r in rows], (
        "raw figures, to the last digit"
    )
    data = json.loads(call("frontier", hostile_run, other, "--json").stdout)
    assert len(data) == 1
    assert len({run["hypervolume"] for run in data[0]["runs"]}) == 1, "copies are equal"
    assert data[0]["attainment"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["RUN", "RUN"], 2, "named more than once"),
        (["RUN", "--export", "x.xls"], 2, "it must end in .csv, .parquet, .json"),
        (["RUN", "--figure", "x.bmp"], 2, "it must end in .png, .svg, .pdf"),
        (["RUN", "--export", "no/such/folder/x.csv"], 4, "cannot be written"),
        (["no-such-run"], 2, "there is no study"),
        (["begun"], 6, "no trial was measured in full yet"),
    ],
)
def test_mistakes_with_frontier(
    hostile_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, part: str
) -> None:
    (tmp_path / "begun").mkdir()
    shutil.copy(hostile_run / "study.db", tmp_path / "begun")
    shutil.copy(hostile_run / "task.lock.yaml", tmp_path / "begun")
    monkeypatch.chdir(tmp_path)
    run = call("frontier", *[hostile_run if a == "RUN" else a for a in arguments])
    assert run.returncode == code, run.stderr
    assert part in run.stderr
    assert "Traceback" not in run.stderr


def test_trials_are_reported_to_mlflow(hostile_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_unknown_tracker_costs_nothing(make_task: MakeTask, tmp_path: Path) -> None:
    run = search(make_task(), "--track", "mlfow")
    assert run.returncode == 2
    assert "did you mean 'mlflow'" in run.stderr
    assert not (tmp_path / "runs" / "fruits" / "trials").exists()


def test_options_shown_are_timed_in_turn_once_and_again_after_a_kill(make_task: MakeTask, tmp_path: Path) -> None:
    models = ["scripted:row_seconds=0.002", "scripted:row_seconds=0.006,quality=0.1"]
    task = make_task(evaluation=EVALUATION, models=models, **{**TUNED, "methods": ["prompt"]})
    assert search(task).returncode == 0
    root = tmp_path / "runs" / "fruits"
    (outcome,) = root.glob("trials/*/in_turn/outcome.json")
    check_in_turn(outcome, root)
    outcome.unlink()  # what a kill in the middle of it leaves
    (root / "verdict.json").unlink()
    before = jobs(root, "*")
    assert search(task).returncode == 0
    assert json.loads(outcome.read_text())["result"]["failure_class"] == "interrupted"
    (again,) = root.glob("trials/*/in_turn-retry1/outcome.json")
    check_in_turn(again, root)
    after = jobs(root, "*")
    assert {name: after[name] for name in before} == before, "nothing else was done again"
    assert search(task).returncode == 0
    assert jobs(root, "*") == after


def check_in_turn(outcome: Path, root: Path) -> None:
    """Latencies of options shown are those of the times in turn."""
    result = json.loads(outcome.read_text())["result"]
    study = Study.load(root)
    model = {row.trial: row.model for row in study.rows}
    timed = {int(trial): times for trial, times in result["latency_ms"].items()}
    assert {len(times) for times in timed.values()} == {60}
    assert {model[trial] for trial in timed} == {model[o.trial] for o in study.options if o.trial in model}
    assert len(timed) == 2
    for option in study.options:
        if option.trial in timed:
            assert option.latency_p50_ms == pytest.approx(statistics.median(timed[option.trial]), rel=0.05)


def test_importances_are_stored_at_the_end_and_computed_for_results_without_them(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {**EVALUATION, "robustness": False, "learning_curve": False, "load_requests": 0, "final_fit": False}
    task = make_task(methods=["prompt"], search={"sampler": "random"}, budget={"trials": 6}, evaluation=quick)
    assert search(task).returncode == 0
    file = task.parent / "runs" / "fruits" / "results.json"
    results = json.loads(file.read_text())
    stored = results.pop("importances")
    assert stored, "prompts of different lengths differ in cost"
    file.write_text(json.dumps(results))
    computed = Study.load(file.parent).importances()
    assert [json.loads(one.model_dump_json()) for one in computed] == [pytest.approx(one) for one in stored]

    def unread(*arguments: Any) -> Any:
        raise AssertionError("what is stored is not computed again")

    file.write_text(json.dumps({**results, "importances": stored}))
    monkeypatch.setattr("autoadapt.runs.study.load_trials", unread)
    assert Study.load(file.parent).importances() == computed
