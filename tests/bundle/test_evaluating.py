"""autoadapt evaluate: quality with its interval, per label, and paired with a second bundle."""

import json
from pathlib import Path

import pytest
from conftest import call, labelled_rows
from exporting import ROWS, fitted, job_run, source_of_jobs
from job_runs import CLASSICAL
from scipy.stats import binomtest

import autoadapt
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.making import make_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles `good` and `poor`, and the test rows that both were checked with, `rows.jsonl`."""
    folder = tmp_path_factory.mktemp("evaluated")
    run = job_run(folder / "run", CLASSICAL)
    good, poor = fitted(run, "tfidf"), fitted(run, "majority", 1)
    make_bundle(source_of_jobs(run, [good]), folder / "good")
    make_bundle(source_of_jobs(run, [poor]), folder / "poor")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled_rows(138)[-ROWS:]))
    return folder


def test_quality_is_that_of_the_answers(bundles: Path) -> None:
    rows = labelled_rows(138)[-ROWS:]
    evaluation = autoadapt.evaluate(bundles / "good", bundles / "rows.jsonl")
    answers = [p.answer for p in Bundle.load(bundles / "good").predict(rows)]
    right = [answer == row["label"] for answer, row in zip(answers, rows, strict=True)]
    assert evaluation.rows == ROWS
    assert evaluation.first.quality == pytest.approx(sum(right) / ROWS)
    interval = binomtest(sum(right), ROWS).proportion_ci(method="wilson")
    assert (evaluation.first.low, evaluation.first.high) == pytest.approx((interval.low, interval.high))
    for one in evaluation.first.labels:
        of_label = [r for r, row in zip(right, rows, strict=True) if row["label"] == one.label]
        assert (one.rows, one.right) == (len(of_label), pytest.approx(sum(of_label) / len(of_label)))


def test_two_bundles_are_paired(bundles: Path) -> None:
    done = call("evaluate", bundles / "good", bundles / "rows.jsonl", "--against", bundles / "poor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    compared = found["compared"]
    assert compared["difference"] == pytest.approx(found["first"]["quality"] - found["second"]["quality"])
    counts = [compared[name] for name in ("both_right", "first_alone", "second_alone", "both_wrong")]
    assert sum(counts) == ROWS
    assert compared["p"] == pytest.approx(binomtest(counts[1], counts[1] + counts[2]).pvalue)


def test_terminal_shows_labels_and_difference(bundles: Path) -> None:
    done = call("evaluate", bundles / "good", bundles / "rows.jsonl", "--against", bundles / "poor")
    assert done.returncode == 0, done.stderr
    for text in ("good (option 0): accuracy", "poor (option 1): accuracy", "animal", "a difference is shown"):
        assert text in done.stdout
    assert (
        "no difference is shown"
        in call("evaluate", bundles / "good", bundles / "rows.jsonl", "--against", bundles / "good").stdout
    )


def test_unknown_label_is_named(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na ripe apple,fruits\n")
    done = call("evaluate", bundles / "good", tmp_path / "rows.csv")
    assert done.returncode == 3
    assert "row 0 has the label 'fruits', which the option does not know: did you mean 'fruit'?" in done.stderr


def test_rows_without_a_label_column_are_refused(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\na ripe apple\n")
    done = call("evaluate", bundles / "good", tmp_path / "rows.csv")
    assert done.returncode == 3
    assert "no column 'label'" in done.stderr


def test_bundles_of_other_labels_are_not_compared(bundles: Path, tmp_path: Path) -> None:
    run = job_run(tmp_path / "run", CLASSICAL)
    run.labels = [*(run.labels or []), "stone"]
    make_bundle(source_of_jobs(run, [fitted(run, "tfidf")]), tmp_path / "other")
    done = call("evaluate", bundles / "good", bundles / "rows.jsonl", "--against", tmp_path / "other")
    assert done.returncode == 2
    assert "answer with different labels" in done.stderr
