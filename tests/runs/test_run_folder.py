"""The run folder: its clock, its lock, and files that a killed run left damaged."""

from pathlib import Path

import pytest
from job_bench import fit_job

from autoadapt.domain.jobs import Devices
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.errors import Exit, UserError
from autoadapt.files import write_json
from autoadapt.runs.run_folder import RunFolder

DEVICES = Devices(kind="x", count=1, accelerator="cpu")


def test_clock_adds_up_over_runs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    folder._clock_before = 100.0
    folder.close()
    again = RunFolder(tmp_path / "run")
    again.open()
    assert again.wall_seconds >= 100
    again.close()


def test_second_driver_error(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.open()
    with pytest.raises(UserError, match="another `autoadapt search`") as caught:
        second.open()
    assert caught.value.code == Exit.STORAGE
    first.close()
    second.open()
    second.close()


def test_damaged_files_are_set_aside_and_their_job_is_interrupted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    job = fit_job(3, {})
    path = folder.prepare(job)
    failure = Failure(stage="fit", failure_class="oom", reason="no memory is left")
    (path / "outcome.json").write_text(Outcome.of(job, failure, DEVICES, 1.0).model_dump_json()[:-20])
    (tmp_path / "run" / "clock.json").write_text('{"sec')
    folder.close()
    again = RunFolder(tmp_path / "run")
    again.open()
    (record,) = again.records
    assert record.job == job
    assert record.outcome is None
    assert (path / "outcome.json.corrupt").exists()
    assert again.settle_interrupted(DEVICES) == 1
    assert record.failure is not None
    assert record.failure.failure_class == "interrupted"
    again.close()


def test_what_a_killed_worker_left_half_written_goes_with_the_checkpoints(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    for name in ("checkpoint-0000010", ".checkpoint-0000020.tmp", ".artifact.tmp", "artifact", "rung0"):
        (folder.trial(3) / name).mkdir(parents=True)
    folder.drop_checkpoints(3)
    assert sorted(p.name for p in folder.trial(3).iterdir()) == ["artifact", "rung0"]
    folder.close()


def test_job_with_a_damaged_job_file_never_began(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    path = folder.prepare(fit_job(3, {}))
    (path / "job.json").write_text('{"kind": "fit", "tri')
    folder.close()
    again = RunFolder(tmp_path / "run")
    again.open()
    assert again.records == []
    again.close()


def test_folder_where_a_file_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"move it away: '.*/results\.json'"):
        write_json(tmp_path / "results.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
