"""Cascades of whole searches: a cheap option that knows when it is right, and a dear one that is right more often.

Figures are computed again from the files of predictions and outcomes alone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SPACE, call, task_writer

from autoadapt.api.study import Study

SPACE_OF_ONE = (
    SPACE.split("branches:")[0].replace("[plain, arrow]", "[plain]").replace("[none, options]", "[none]")
    + "branches:\n  prompt:\n    shots: [0]\n"
)
ROWS = 400


def run_of(folder: Path, informs: float) -> Path:
    """The run folder of a finished search over a cheap and a dear model."""
    task = task_writer(folder, "scripted")(
        rows=2000,
        space=SPACE_OF_ONE,
        models=[f"scripted:quality=0.15,informs={informs}", "scripted:quality=0.45,row_seconds=0.002"],
        methods=["prompt"],
        search={"sampler": "random"},
        evaluation={
            "rows": ROWS,
            "test_rows": ROWS,
            "latency_requests": 60,
            "load_requests": 0,
            "robustness": False,
            "learning_curve": False,
        },
    )
    done = call("search", task, "--runs", folder / "runs")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "fruits"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("sure"), informs=0.9)


def results_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def predictions(run: Path, trial: int, split: str) -> list[dict[str, Any]]:
    lines = (run / "trials" / f"{trial:04d}" / f"predictions-{split}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def probabilities(lines: list[dict[str, Any]], labels: list[str], temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the answers and of the right labels at a temperature."""
    powers = np.exp(np.array([line["log_probs"] for line in lines]) / temperature)
    shares = powers / powers.sum(1, keepdims=True)
    number = np.arange(len(lines))
    answered, right = (
        [labels.index(t) for t in texts]
        for texts in zip(*((x["answer"], x["expected"][0]) for x in lines), strict=True)
    )
    return shares[number, answered], shares[number, right]


def _seconds(run: Path, trial: int) -> float:
    """To answer all validation rows, in the trial's last rung."""
    rungs = [json.loads(f.read_text())["result"] for f in run.glob(f"trials/{trial:04d}/rung*/outcome.json")]
    return float(next(r["inference_seconds"] for r in rungs if len(r["rows"]) == ROWS))


def test_a_cascade_is_shown_scored_and_recommended(run: Path) -> None:
    found = results_of(run)
    (cascade,) = [o for o in found["options"] if o["cascade"]]
    parts = cascade["cascade"]
    cheap, dear = (next(o for o in found["options"] if o["trial"] == parts[p]) for p in ("first", "second"))
    assert cheap["cost_usd_per_1k"] < cascade["cost_usd_per_1k"] < dear["cost_usd_per_1k"] / 1.2
    assert cascade["test_quality"] > cheap["test_quality"] + 0.1
    assert found["recommendation"]["trial"] == cascade["trial"]
    pairs = {(p["trial"], p["other"]) for p in found["verdict"]["paired"]}
    assert {(parts[p], cascade["trial"]) for p in ("first", "second")} <= pairs


def test_its_figures_follow_from_the_predictions(run: Path) -> None:
    found = results_of(run)
    (raw,) = found["cascades"]
    parts, labels = raw["cascade"], json.loads((run / "trials/0000/rung0/job.json").read_text())["labels"]
    validation = predictions(run, parts["first"], "validation")
    # of many temperatures the one stored makes the right labels likeliest
    likelihood = [np.log(probabilities(validation, labels, t)[1]).mean() for t in np.geomspace(0.1, 10, 400)]
    stored = np.log(probabilities(validation, labels, parts["temperature"])[1]).mean()
    assert stored >= max(likelihood) - 1e-6
    test = {p: predictions(run, parts[p], "test") for p in ("first", "second")}
    kept = probabilities(test["first"], labels, parts["temperature"])[0] >= parts["threshold"]
    assert parts["kept"] == pytest.approx(kept.mean())
    scores = [a["score"] if k else b["score"] for k, a, b in zip(kept, test["first"], test["second"], strict=True)]
    assert raw["test_quality"] == pytest.approx(np.mean(scores))
    # $1 an hour; training costs nothing
    seconds = [_seconds(run, parts[p]) for p in ("first", "second")]
    (option,) = [o for o in found["options"] if o["trial"] == raw["trial"]]
    expected = (seconds[0] + (1 - kept.mean()) * seconds[1]) / ROWS * 1000 / 3600
    assert option["cost_usd_per_1k"] == pytest.approx(expected)
    dear = next(o for o in found["options"] if o["trial"] == parts["second"])
    assert option["cascade"]["saved"] == pytest.approx(1 - expected / dear["cost_usd_per_1k"])


def test_calibration_of_the_shown_options_is_reported(run: Path) -> None:
    found = {c["trial"]: c for c in results_of(run)["calibration"]}
    assert set(found) == {0, 1}
    for one in found.values():
        assert one["error"] <= one["error_before"]
        assert (one["validation_rows"], one["test_rows"]) == (ROWS, ROWS)


def test_every_verb_shows_it(run: Path) -> None:
    study = Study.load(run)
    (cascade,) = [o for o in study.options if o.cascade]
    assert cascade.cascade is not None
    named = f"Cascade {cascade.cascade.first} > {cascade.cascade.second}"
    printed = call("report", run, "--all").stdout
    assert f"{named}: trial {cascade.cascade.first} (prompt) answers where its calibrated confidence" in printed
    assert named in (run / "report.html").read_text().replace("&gt;", ">")
    advice = json.loads(call("recommend", run, "--json").stdout)
    assert advice["recommendation"]["trial"] == cascade.trial
    assert advice["option"]["cost_usd_per_1k"] == pytest.approx(cascade.cost_usd_per_1k)
    dear = call("recommend", run, "--latency-p95-ms", "0.5").stdout
    assert "Recommended: Trial 0" in dear, "a limit of latency that only the first part meets"
    compared = call("compare", run, "--scenario", "volume=100000").stdout
    assert named.lower() in compared.lower()
    same = study.compare({"same": {}})[0]
    assert next(o for o in same.options if o.trial == cascade.trial).cost_usd_per_1k == pytest.approx(
        cascade.cost_usd_per_1k
    )


def test_a_resumed_study_has_the_same_cascade(run: Path) -> None:
    before = results_of(run)
    (run / "results.json").unlink()
    again = call("search", run.parents[1] / "task.yaml", "--runs", run.parent)
    assert again.returncode == 0, again.stderr
    after = results_of(run)
    for part in ("options", "cascades", "calibration", "recommendation"):
        assert after[part] == before[part]


def test_confidence_that_says_nothing_makes_no_cascade(tmp_path: Path) -> None:
    found = results_of(run_of(tmp_path, informs=0.0))
    assert found["cascades"] == []
    assert not any(o["cascade"] for o in found["options"])
