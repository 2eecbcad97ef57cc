"""What whole searches gained over their defaults, and which methods they never measured: the verdict's first lines.

Differences of quality are computed again from the files of predictions alone.
"""

import json
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EVALUATION, SPACE, MakeTask, call, task_writer
from searches import read, search

from autoadapt.api.study import Study

HEAD = SPACE.split("branches:")[0].replace("[plain, arrow]", "[plain]").replace("[none, options]", "[none]")
TWO_RATES = HEAD + (
    "branches:\n  full:\n    learning_rate: [3.0e-2, 1.0e-3]\n    num_train_epochs: 10\n    batch_size: 8\n"
    "first:\n  - {method: full, learning_rate: 3.0e-2}\n"
)
"""A default that learns worse than the other candidate, which takes as much space."""
ROWS = 150
SETTINGS: dict[str, Any] = {
    "rows": 800,
    "space": TWO_RATES,
    "models": ["scripted:informs=0.0"],  # so that no cascade pays, whatever the timing
    "methods": ["full"],
    "objectives": ["quality", "artifact_mb"],
    "search": {"sampler": "random"},
    "budget": {"trials": 2},
    "evaluation": {**EVALUATION, "rows": ROWS, "test_rows": ROWS},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished search whose default is dominated."""
    folder = tmp_path_factory.mktemp("gain")
    task = task_writer(folder, "scripted")(**SETTINGS)
    done = search(task)
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder / "runs" / "fruits"


def verdict_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    return found


def scores(run: Path, trial: int) -> np.ndarray:
    """Of every test row."""
    lines = (run / "trials" / f"{trial:04d}" / "predictions-test.jsonl").read_text().splitlines()
    return np.array([json.loads(line)["score"] for line in lines])


def test_dominated_default_is_kept_scored_and_shown_as_the_default(run: Path) -> None:
    study = Study.load(run)
    default = study.option(0)
    assert default is not None
    assert (default.on_frontier, default.shown_as) == (False, "default")
    assert default.test_rows == ROWS
    assert (run / "trials" / "0000" / "artifact" / "option.json").is_file()
    assert study.raw(0).weights_kept  # type: ignore[union-attr]
    assert "full (default)" in call("report", run, "--all").stdout
    assert "the best default" in (run / "report.html").read_text()


def test_gain_follows_from_the_predictions(run: Path) -> None:
    gain = verdict_of(run)["gain"]
    assert gain["defaults"] == {"number": 1, "measured": [0], "refused": 0, "best": 0}
    assert (gain["trial"], gain["is_default"]) == (1, False)
    found, default = scores(run, 1), scores(run, 0)
    each = found - default
    quality = gain["quality"]
    assert quality["difference"] == pytest.approx(each.mean())
    better, worse = int((each > 0).sum()), int((each < 0).sum())
    n, k = better + worse, min(better, worse)
    assert quality["p"] == pytest.approx(min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n))
    drawn = each[np.random.default_rng(5).integers(ROWS, size=(20_000, ROWS))].mean(1)
    assert (quality["low"], quality["high"]) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.012)
    options = {o["trial"]: o for o in json.loads((run / "results.json").read_text())["options"]}
    assert gain["cost_usd_per_1k"] == [options[t]["cost_usd_per_1k"] for t in (1, 0)]
    assert gain["latency_ms"] == [options[t]["latency_p95_ms"] for t in (1, 0)]


def test_gain_is_a_line_of_terminal_report_and_python(run: Path) -> None:
    study = Study.load(run)
    assert study.verdict is not None
    assert study.verdict.gain is not None
    line = study.verdict.gain.sentence
    assert line.startswith("Gain of the search: trial 1 (full) is better than the best default, trial 0 (full), by +")
    assert line.endswith("The only default was measured in full.")
    words = " ".join(call("report", run, "--all").stdout.split())
    assert line in words
    assert words.index("Recommended:") < words.index(line) < words.index("best quality:")
    by = "is better than the best default"
    assert by in " ".join((run.parents[1] / "printed.txt").read_text().split())
    page = " ".join((run / "report.html").read_text().split())
    assert page.index('id="lead"') < page.index(by) < page.index('class="cards"')
    assert line in study._repr_html_()


def test_default_that_is_recommended_is_named_as_such(make_task: MakeTask) -> None:
    task = make_task(**{**SETTINGS, "budget": {"trials": 1}})
    assert search(task).returncode == 0
    gain = read(task, "verdict.json")["gain"]
    assert gain["is_default"]
    assert "itself a default: the search found nothing better than its defaults" in gain["sentence"]


def test_candidates_of_a_warm_start_are_no_defaults(run: Path, tmp_path: Path) -> None:
    task = task_writer(tmp_path, "scripted")(**SETTINGS)
    assert search(task, "--warm-start", run).returncode == 0
    study = Study.load(tmp_path / "runs" / "fruits")
    assert study.verdict is not None
    gain = study.verdict.gain
    assert gain is not None
    assert gain.defaults.number == 1
    best = study.raw(gain.defaults.best)
    assert best is not None
    assert best.params["learning_rate"] == 3e-2
    assert not gain.is_default


def test_default_that_was_not_measured_is_counted(make_task: MakeTask) -> None:
    """The faulty default fails, the other is the only one that was measured in full."""
    space = SPACE.replace("branches:\n", "branches:\n  faulty:\n    fault: [nan]\n").split("first:")[0]
    first = "first:\n  - {method: faulty, fault: nan}\n  - {method: prompt, shots: 0}\n"
    task = make_task(
        methods=["faulty", "prompt"], space=space + first, budget={"trials": 2}, search={"sampler": "random"}
    )
    assert search(task).returncode == 0
    gain = read(task, "verdict.json")["gain"]
    assert gain["defaults"]["number"] == 2
    assert len(gain["defaults"]["measured"]) == 1
    assert "1 of 2 defaults were measured in full; the best default is the best of these." in gain["sentence"]


def test_methods_that_were_never_measured_are_named_first_with_the_reason(make_task: MakeTask) -> None:
    space = SPACE.replace("branches:\n", "branches:\n  faulty:\n    fault: [nan]\n").split("first:")[0]
    first = "first:\n  - {method: prompt, shots: 0}\n  - {method: faulty, fault: nan}\n"
    task = make_task(
        methods=["prompt", "faulty", "lora"],
        space=space + first,
        budget={"trials": 2},
        search={"sampler": "random"},
    )
    run = search(task)
    assert run.returncode == 0, run.stderr
    found = [(u["method"], u["family"], u["trials"], u["reason"]) for u in read(task, "verdict.json")["unmeasured"]]
    assert found == [
        ("faulty", "scripted", 1, "1 candidate failed (nan in fit: the loss became nan)"),
        ("lora", "scripted", 0, "no candidate was begun before the budget ended"),
    ]
    expected = [f"{m} on {family} models was never measured in full: {reason}." for m, family, _, reason in found]
    root = task.parent / "runs" / "fruits"
    words, page = " ".join(call("report", root, "--all").stdout.split()), (root / "report.html").read_text()
    for line in expected:
        assert words.index("Gain of the search") < words.index(line) < words.index("best quality:")
        assert line in page
    named = "Note: Never measured in full: faulty"
    assert " ".join(run.stdout.split()).split("Note:")[1].startswith(named.removeprefix("Note:"))
    assert page.index('id="lead"') < page.index("Never measured in full: faulty") < page.index('<div role="tablist"')


@pytest.mark.parametrize(
    ("first", "why"),
    [("", "none of its 2 defaults can work"), ("first:\n  - {method: prompt}\n", "its default cannot work")],
)
def test_method_whose_candidates_cannot_work_is_named_with_the_reason(
    make_task: MakeTask, first: str, why: str
) -> None:
    """With 60 rows there are too few for 48 shots."""
    space = SPACE.replace("shots: [0, 2, 4]", "shots: [48]").replace("shots: [2, 4]", "shots: [48]")
    space = space.split("first:")[0] + first
    task = make_task(rows=60, space=space, methods=["prompt", "lora"], budget={"trials": 2}, search={"rungs": False})
    assert search(task).returncode == 0
    (one,) = read(task, "verdict.json")["unmeasured"]
    assert one["method"] == "prompt"
    assert one["reason"].startswith(f"no candidate was begun, because {why} (48 shots, but there are only ")


def test_study_in_which_every_method_was_measured_names_none(run: Path) -> None:
    assert verdict_of(run)["unmeasured"] == []
