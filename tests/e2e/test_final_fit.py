"""The final fit at the end of whole searches: the recommended option trained once more, on validation rows too.

What it learned from and what it gives are computed again from the rows, the artifacts and the predictions alone.
"""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, MakeTask, call, task_writer
from job_runs import DEVICES
from searches import events, read, search

from autoadapt.api.study import Study
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.workshop import Workshop

FINAL = {**EVALUATION, "test_rows": 200, "final_fit": True}
TUNED: dict[str, Any] = {"methods": ["full"], "search": {"sampler": "random"}, "budget": {"trials": 2}}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def change_texts(task: Path, change: Callable[[int, str], str]) -> None:
    """Writes other texts into a task's data, given the number and the text of each row."""
    data = task.with_name("data.jsonl")
    rows = [{**row, "text": change(i, row["text"])} for i, row in enumerate(lines(data))]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))


def accuracy(predictions: list[dict[str, Any]]) -> float:
    return sum(line["answer"] in line["expected"] for line in predictions) / len(predictions)


def split_sizes(root: Path) -> dict[str, int]:
    return {split: len(lines(root / "data" / f"{split}.jsonl")) for split in ("train", "validation", "dev", "test")}


def word_of_row(number: int) -> str:
    """A word that no other row has, longer than the runs of characters that are counted."""
    return f"onlyhere{number:04d}"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a finished search in which counts of words are recommended."""
    folder = tmp_path_factory.mktemp("words")
    task = task_writer(folder, "scripted")(
        rows=600,
        floor=True,
        methods=["prompt"],
        models=["scripted:quality=-0.3"],
        budget={"trials": 2},
        evaluation=FINAL,
    )
    change_texts(task, lambda i, text: f"{text} {word_of_row(i)}")
    done = search(task)
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return task


def test_a_method_that_does_not_stop_early_learns_from_all_rows_but_test_rows(words: Path) -> None:
    root = words.parent / "runs" / "fruits"
    final, sizes = read(words, "verdict.json")["final_fit"], split_sizes(root)
    assert final["rows"] == sizes["train"] + sizes["validation"] + sizes["dev"]
    assert final["rows_before"] == sizes["train"]
    (artifact,) = final["artifacts"]
    job = json.loads((root / artifact).with_name("job.json").read_text())
    assert job["splits"] == ["train", "validation", "dev"]
    learned = "".join(f.read_text() for f in (root / artifact).glob("words*.json"))
    for split in sizes:
        words_of_split = [row["input"].split()[-1] for row in lines(root / "data" / f"{split}.jsonl")]
        assert sum(word in learned for word in words_of_split) == (0 if split == "test" else len(words_of_split))


def test_its_artifact_gives_the_answers_that_were_scored(words: Path) -> None:
    root = words.parent / "runs" / "fruits"
    (artifact,) = read(words, "verdict.json")["final_fit"]["artifacts"]
    predictions = lines((root / artifact).with_name("predictions-test.jsonl"))
    asked = lines(root / "data" / "test.jsonl")
    answers = load_artifact(root / artifact, Workshop(), DEVICES, lambda: None).answer([row["input"] for row in asked])
    assert [a.text for a in answers] == [line["answer"] for line in predictions]


def test_its_figures_follow_from_the_predictions(words: Path) -> None:
    root = words.parent / "runs" / "fruits"
    final = read(words, "verdict.json")["final_fit"]
    after = lines((root / final["artifacts"][0]).with_name("predictions-test.jsonl"))
    before = lines(root / "trials" / f"{final['trial']:04d}" / "predictions-test.jsonl")
    assert final["quality"] == pytest.approx(accuracy(after))
    assert final["paired"]["difference"] == pytest.approx(accuracy(after) - accuracy(before))
    assert final["low"] <= final["quality"] <= final["high"]
    assert not final["worse"]


def test_it_is_printed_with_the_folder_to_deploy(words: Path) -> None:
    final = read(words, "verdict.json")["final_fit"]
    printed = " ".join(call("report", words.parent / "runs" / "fruits", "--all").stdout.split())
    assert f"Final fit: trial {final['trial']} was trained once more, on {final['rows']} labelled rows" in printed
    assert final["artifacts"][0] in printed.replace("- ", "-").replace("/ ", "/")


def test_a_resumed_search_does_not_repeat_it(words: Path) -> None:
    root = words.parent / "runs" / "fruits"
    before = {p: p.stat().st_mtime_ns for p in root.glob("trials/*/*/outcome.json")}
    assert search(words).returncode == 0
    assert {p: p.stat().st_mtime_ns for p in root.glob("trials/*/*/outcome.json")} == before
    assert read(words, "verdict.json")["final_fit"] is not None


def test_a_tuned_option_keeps_the_rows_for_early_stopping_apart(make_task: MakeTask) -> None:
    task = make_task(evaluation=FINAL, models=["scripted:step_seconds=0.001"], **TUNED)
    assert search(task).returncode == 0
    root, final = task.parent / "runs" / "fruits", read(task, "verdict.json")["final_fit"]
    job = json.loads((root / final["artifacts"][0]).with_name("job.json").read_text())
    sizes = split_sizes(root)
    assert job["splits"] == ["train", "validation"]
    assert final["rows"] == sizes["train"] + sizes["validation"]
    fits = root / "trials" / f"{final['trial']:04d}"
    (outcome,) = [json.loads(f.read_text())["result"] for f in fits.glob("rung*/outcome.json")][-1:]
    refit = json.loads((root / final["artifacts"][0]).with_name("outcome.json").read_text())["result"]
    assert refit["train_steps"] > outcome["train_steps"], "more rows take more steps"
    assert (root / final["artifacts"][0] / "option.json").exists()


SPLIT = {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}, "holdout": 0.4}
"""With two fifths of the rows for validation, all that are labelled are three times as many as those for training."""


def steps_of(root: Path, job: str) -> list[int]:
    files = sorted(root.glob(f"trials/0000/{job}/outcome.json"))
    return [json.loads(file.read_text())["result"]["train_steps"] for file in files]


def test_a_final_fit_that_is_cut_short_takes_at_least_as_many_steps_as_the_option(make_task: MakeTask) -> None:
    changes = {**TUNED, "data": SPLIT, "budget": {"hours": 40 / 3600, "trials": 1}}
    task = make_task(evaluation=FINAL, models=["scripted:step_seconds=0.13"], **changes)
    assert search(task).returncode == 0
    root = task.parent / "runs" / "fruits"
    before, after = max(steps_of(root, "rung*")), steps_of(root, "refit-final-0")[0]
    assert before <= after < 2.5 * before, "three times as many steps would take longer than what is left"
    assert json.loads((root / "trials/0000/refit-final-0/job.json").read_text())["training_seconds"] > 0


def test_what_the_budget_does_not_pay_for_is_said(make_task: MakeTask) -> None:
    """The training takes half of the budget, and a moment more than half is over when it has been scored."""
    changes = {**TUNED, "data": SPLIT, "budget": {"hours": 25 / 3600, "trials": 1}}
    task = make_task(evaluation=FINAL, models=["scripted:step_seconds=0.5"], **changes)
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    notes = [e["message"] for e in events(run) if e["event"] == "note"]
    assert "the budget does not pay for training trial 0 once more, on validation rows too" in notes
    assert read(task, "verdict.json")["final_fit"] is None


def test_a_cascade_keeps_its_threshold_and_is_scored_with_parts_that_learned_more(tmp_path: Path) -> None:
    """Words decide for four rows of five; a dear model that is right nine times of ten answers the others."""
    task = task_writer(tmp_path, "scripted")(
        rows=2400,
        floor=True,
        methods=["prompt"],
        models=["scripted:quality=0.45,row_seconds=0.004"],
        budget={"trials": 2},
        evaluation={**FINAL, "rows": 500, "test_rows": 500},
    )
    generator = random.Random(0)
    change_texts(task, lambda i, text: text if i % 5 else f"nothing to be seen {generator.random()}")
    done = search(task)
    assert done.returncode == 0, done.stderr
    root, study = tmp_path / "runs" / "fruits", Study.load(tmp_path / "runs" / "fruits")
    chosen = study.option(study.recommendation.trial)
    final = read(task, "verdict.json")["final_fit"]
    assert chosen is not None
    cascade = chosen.cascade
    assert cascade is not None
    assert cascade.first_method == "tfidf"
    first = lines((root / final["artifacts"][0]).with_name("predictions-test.jsonl"))
    second = lines(root / "trials" / f"{cascade.second:04d}" / "predictions-test.jsonl")
    kept = [_confidence(line["log_probs"], cascade.temperature) >= cascade.threshold for line in first]
    answered = [a if sure else b for sure, a, b in zip(kept, first, second, strict=True)]
    assert final["quality"] == pytest.approx(accuracy(answered))
    assert final["trial"] == chosen.trial
    assert 0 < sum(kept) < len(kept)


def _confidence(log_probs: list[float], temperature: float) -> float:
    """Greatest probability after division of the log-probabilities by a temperature."""
    powers = [math.exp(value / temperature) for value in log_probs]
    return max(powers) / sum(powers)
