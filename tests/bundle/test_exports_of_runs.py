"""autoadapt export on whole runs: which option, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import call
from exporting import fitted, job_run, source_of_jobs
from job_runs import CLASSICAL
from scripted_task import write_scripted_task

from autoadapt import Study
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.making import make_bundle
from autoadapt.bundle.sources import number_of, source_of
from autoadapt.domain.option import cascade_number
from autoadapt.errors import UserError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a scripted search with a final fit."""
    folder = tmp_path_factory.mktemp("finished")
    evaluation = {
        "rows": 36,
        "test_rows": 60,
        "latency_requests": 60,
        "load_requests": 0,
        "robustness": False,
        "learning_curve": False,
    }
    task = write_scripted_task(folder, rows=400, evaluation=evaluation, methods=["prompt", "lora"])
    done = call("search", task, "--runs", folder / "runs")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "fruits"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy, which a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_recommended_option_is_exported_as_its_final_fit_left_it(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    done = call("export", run, tmp_path / "bundle", "--json")
    assert done.returncode == 0, done.stderr
    description = json.loads(done.stdout)
    fit = results["verdict"]["final_fit"]
    assert description["parts"][0]["trial"] == results["recommendation"]["trial"]
    assert description["parts"][0]["final_fit"] == (fit is not None and not fit["worse"])
    assert description["checked"] == {"split": "test", "rows": 60, "equal": 60}
    assert (tmp_path / "bundle" / "option.json").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "run"]


def test_named_option_is_exported(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    other = results["recommendation"]["baseline"]
    done = call("export", run, tmp_path / "bundle", "--option", other)
    assert done.returncode == 0, done.stderr
    assert "60 of 60 answers to test rows equal" in done.stdout
    assert Bundle.load(tmp_path / "bundle").description.option == str(other)


def test_changed_answer_ends_the_export_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    trial = json.loads((run / "results.json").read_text())["recommendation"]["baseline"]
    file = run / "trials" / f"{trial:04d}" / "predictions-test.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[7]["answer"] = "another"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = call("export", run, tmp_path / "bundle", "--option", trial)
    assert done.returncode == 3
    assert "answers 1 of 60 test rows otherwise than the run did" in done.stderr
    assert f"row {lines[7]['id']}: 'another' in the run" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_existing_folder_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    done = call("export", run, tmp_path / "bundle")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "exists already" in done.stderr
    assert list((tmp_path / "bundle").iterdir()) == []


def test_unknown_option_names_those_that_can_be_exported(run: Path, tmp_path: Path) -> None:
    done = call("export", run, tmp_path / "bundle", "--option", "77")
    assert done.returncode == 2
    assert "trial 77 is no option that was measured in full. These can be exported: " in done.stderr
    assert call("export", run, tmp_path / "bundle", "--option", "best").returncode == 2


def test_option_without_weights_is_refused(run: Path, tmp_path: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    for option in results["measured"]:
        option["weights_kept"] = option["trial"] != results["recommendation"]["trial"]
    (run / "results.json").write_text(json.dumps(results))
    done = call("export", run, tmp_path / "bundle")
    assert done.returncode == 3
    assert "were deleted when other options dominated it" in done.stderr


def test_missing_artifact_is_named(run: Path, tmp_path: Path) -> None:
    trial = json.loads((run / "results.json").read_text())["recommendation"]["baseline"]
    shutil.rmtree(run / "trials" / f"{trial:04d}" / "artifact")
    done = call("export", run, tmp_path / "bundle", "--option", trial)
    assert done.returncode == 3
    assert "artifact: the folder is missing" in done.stderr


def test_damaged_weights_are_not_exported(tmp_path: Path) -> None:
    jobs = job_run(tmp_path / "run", CLASSICAL)
    job = fitted(jobs, "tfidf")
    weights = jobs.artifact(job) / "words.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"words\.safetensors"):
        make_bundle(source_of_jobs(jobs, [job]), tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_damaged_bundle_is_not_loaded(tmp_path: Path) -> None:
    jobs = job_run(tmp_path / "run", CLASSICAL)
    make_bundle(source_of_jobs(jobs, [fitted(jobs, "tfidf")]), tmp_path / "bundle")
    (tmp_path / "bundle" / "model" / "words.json").write_text("{}")
    with pytest.raises(UserError, match=r"damaged and is not loaded: model/words\.json"):
        Bundle.load(tmp_path / "bundle")


def test_push_without_a_token_says_so_before_anything_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    done = call("export", run, tmp_path / "bundle", "--push", "someone/something")
    assert done.returncode == 7
    assert "needs a token" in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_cascade_is_named_as_the_report_names_it() -> None:
    assert number_of("7") == 7
    assert number_of("3 > 12") == cascade_number(3, 12)


def test_every_option_with_weights_can_be_exported_shown_or_not(finished: Path) -> None:
    study = Study.load(finished)
    study.options.clear()  # as if the report showed none of them
    weighed = [raw.trial for raw in study.results.weighed]
    assert [source_of(study, trial).option.trial for trial in weighed] == weighed
