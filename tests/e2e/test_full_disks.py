"""A disk that is full, or may not be written: exit 4 with the reason, nothing half written, nothing lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call, task_writer
from searches import FAULTY_SPACE, outcomes, search, states

from autoadapt.errors import Exit
from autoadapt.runs import run_folder

LARGE = "1g"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a disk of its own, in memory; its size is set by `resize`."""
    folder = tmp_path / "runs"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def change(disk: Path, options: str) -> None:
    """Mounts it with other options, such as ``size=300k`` or ``ro``."""
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def small_task(folder: Path, **changes: Any) -> Path:
    """A task of two prompts that ends soon."""
    return task_writer(folder, "scripted")(
        **{"methods": ["prompt"], "budget": {"trials": 2}, "search": {"sampler": "random"}, **changes}
    )


INLINE = {"compute": {"on_cpu": True, "executor": "inline"}}
SIZES = ["40k", "300k", "450k"]


@pytest.mark.parametrize(
    "size", [*SIZES, *(pytest.param(f"{n}k", marks=pytest.mark.slow) for n in range(100, 600, 50))]
)
def test_full_disk_ends_with_4_and_the_run_resumes(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    task, run = small_task(tmp_path, **INLINE), small_disk / "fruits"
    monkeypatch.setattr(run_folder, "LEAST_DISK_BYTES", 0)  # the check before every trial would end it at once
    change(small_disk, f"size={size}")
    ended = search(task)
    assert ended.returncode == Exit.ENVIRONMENT, ended.stderr
    assert "make room" in ended.stderr or "No space left" in ended.stderr
    for command in (("report", run), ("frontier", run, "--export", small_disk / "trials.parquet"), ("recommend", run)):
        assert call(*command).returncode in (Exit.OK, Exit.ENVIRONMENT, Exit.PARTIAL)
    assert not list(small_disk.rglob("*.tmp"))
    change(small_disk, f"size={LARGE}")
    before = outcomes(task)
    resumed = search(task)
    assert resumed.returncode == 0, resumed.stderr
    assert states(task) == ["COMPLETE", "COMPLETE"]
    assert {key: value for key, value in outcomes(task).items() if key in before} == before


def test_read_only_disk(small_disk: Path, tmp_path: Path) -> None:
    task, run = small_task(tmp_path, **INLINE), small_disk / "fruits"
    assert search(task).returncode == 0
    change(small_disk, "ro")
    writing = (
        ("search", task, "--runs", small_disk),
        ("report", run),
        ("frontier", run, "--export", small_disk / "trials.csv"),
        ("compare", run, "--scenario", "volume=10k", "--figure", small_disk / "figure.html"),
        ("export", run, small_disk / "bundle"),
        ("init", small_disk / "new"),
    )
    for command in writing:
        refused = call(*command)
        assert refused.returncode == Exit.ENVIRONMENT, (command, refused.stderr)
        assert "Read-only file system" in refused.stderr
    for command in (("recommend", run), ("frontier", run, "--export", tmp_path / "trials.csv")):
        read = call(*command)
        assert read.returncode == 0, (command, read.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["350k", "500k", "700k"])
def test_full_disk_under_workers_of_their_own(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    task = small_task(tmp_path, methods=["prompt", "lora"], budget={"trials": 4})
    monkeypatch.setattr(run_folder, "LEAST_DISK_BYTES", 0)
    change(small_disk, f"size={size}")
    assert search(task).returncode == Exit.ENVIRONMENT
    change(small_disk, f"size={LARGE}")
    assert search(task).returncode == 0
    assert len(states(task)) == 4
    outcomes(task)


def test_failure_of_a_trial_on_a_full_disk_is_of_the_class_disk(make_task: MakeTask) -> None:
    space = FAULTY_SPACE.replace("FAULTS", "disk")
    assert space != SPACE
    task = make_task(methods=["faulty"], space=space, budget={"trials": 1}, **INLINE)
    ended = search(task)
    assert ended.returncode == Exit.ENVIRONMENT
    assert f"{os.strerror(28)}" in ended.stderr
    assert states(task) == ["RUNNING"], "it is resumed when there is room"
