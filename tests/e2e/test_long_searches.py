"""Many trials in one driver: its memory and open files do not grow, and no process that has ended is left (F27)."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from scripted_task import write_scripted_task

from autoadapt.runs.storage import load_trials

SPACE = """\
templates: {plain: "{% for e in examples %}{{ e.input }}: {{ e.output }}\\n{% endfor %}{{ input }}\\nAnswer:"}
instructions: {none: ""}
shared: {template: [plain], instruction: [none]}
branches:
  lora:
    learning_rate: {low: 1.0e-6, high: 1.0e-1, log: true}
    num_train_epochs: {low: 1, high: 400}
"""
GROWTH_BYTES = 50_000_000


class Watch:
    """Looks at a driver while it searches.

    Args:
        driver: its process.
    """

    def __init__(self, driver: psutil.Process) -> None:
        self.driver = driver
        self.bytes: list[int] = []
        self.files: list[int] = []
        self.zombies = 0

    def look(self) -> None:
        """Takes memory, open files and zombies at this moment."""
        try:
            self.bytes.append(self.driver.memory_info().rss)
            self.files.append(self.driver.num_fds())
            children = self.driver.children(recursive=True)
            self.zombies = sum(child.status() == psutil.STATUS_ZOMBIE for child in children)
        except psutil.NoSuchProcess:
            return


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("trials", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_driver_does_not_grow_with_its_trials(tmp_path: Path, trials: int) -> None:
    changes: dict[str, Any] = {
        "methods": ["lora"],
        "budget": {"trials": trials},
        "search": {"sampler": "random", "rungs": False},
        "compute": {"on_cpu": True, "slots": 2},
    }
    task = write_scripted_task(tmp_path, **changes)
    (tmp_path / "space.yaml").write_text(SPACE)
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(tmp_path / "runs"), "--json"]
    with open(tmp_path / "printed.txt", "w") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env={**os.environ})
        watch, ended = Watch(psutil.Process(process.pid)), 0
        while process.poll() is None:
            ended = (tmp_path / "printed.txt").read_text().count('"trial_finished"')
            if (
                20 <= ended < trials
            ):  # what is needed once is loaded, and the end with libraries of its own has not begun
                watch.look()
            time.sleep(0.2)
    assert process.returncode == 0, (tmp_path / "printed.txt").read_text()[-2000:]
    frozen = load_trials(tmp_path / "runs" / "fruits" / "study.db", "fruits")
    assert sum(trial.state.name == "COMPLETE" for trial in frozen) == trials
    assert len(watch.bytes) >= 5
    early = max(watch.bytes[: max(1, len(watch.bytes) // 10)])
    late = watch.bytes[-1]
    assert late - early < GROWTH_BYTES, f"{early / 1e6:.0f} MB grew to {late / 1e6:.0f} MB"
    assert max(watch.files) - min(watch.files) <= 12, "files are closed: what is open follows the slots"
    assert watch.zombies == 0
    print(
        f"{trials} trials: {early / 1e6:.1f} MB to {late / 1e6:.1f} MB, {min(watch.files)} to {max(watch.files)} files"
    )
