"""A supervisor of one executor on a run folder, and jobs for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from conftest import labelled_rows

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.executor import Executor, Finished
from autoadapt.domain.jobs import Fidelity, Fit, Job, PromptText, TrainingSettings
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.rows import Row
from autoadapt.domain.task import Compute
from autoadapt.files import write_json, write_rows
from autoadapt.supervision.supervisor import Supervisor

LABELS = ["fruit", "tool", "animal"]
SCRIPTED = ModelReference(name="scripted", family="scripted", location="")


def write_data(root: Path) -> None:
    """Freezes splits of labelled rows in a run folder."""
    rows = [Row(id=i, input=r["text"], outputs=[r["label"]]) for i, r in enumerate(labelled_rows(120))]
    (root / "data").mkdir(parents=True, exist_ok=True)
    for name, part in {"train": rows[:48], "dev": rows[48:60], "validation": rows[60:90], "test": rows[90:]}.items():
        write_rows(root / "data" / f"{name}.jsonl", part)


def fit_job(trial: int, params: dict[str, Any], **changes: Any) -> Fit:
    """A fit of the faulty method on the scripted model, or what `changes` make of it."""
    return Fit(
        **{
            "trial": trial,
            "rung": 0,
            "candidate": Candidate(method=changes.pop("method", "faulty"), model="m", params=params),
            "model": SCRIPTED,
            "metric": PluginChoice(name="accuracy"),
            "labels": LABELS,
            "prompt": PromptText(template="{{ input }}\nAnswer:", instruction=""),
            "fidelity": Fidelity(rows=20, steps=1.0, latency_requests=5),
            "seed": 7,
            "training": TrainingSettings(precision="fp32"),
            "state_folder": f"trials/{trial:04d}",
            **changes,
        }
    )


class Bench:
    """A supervisor on a run folder of its own.

    Args:
        root: the run folder, made here.
        executor: not opened yet.
        preload: modules for its workers.
        compute: changes of the task's section.
    """

    def __init__(self, root: Path, executor: Executor, preload: Sequence[str] = (), **compute: Any) -> None:
        self.root, self.executor, self.count = root, executor, 0
        write_data(root)
        limits = Compute.model_validate({"on_cpu": True, "slots": 1, **compute})
        self.supervisor = Supervisor(executor, limits, root, self.prepare, preload)

    def prepare(self, job: Job) -> Path:
        """Makes a job's folder."""
        folder = self.root / "trials" / f"{job.trial:04d}" / (f"rung0-retry{job.attempt}" if job.attempt else "rung0")
        folder.mkdir(parents=True)
        write_json(folder / "job.json", job)
        return folder

    def fault(self, name: str, **changes: Any) -> Fit:
        """A job that fails in the way that is named; ``none``: it answers."""
        self.count += 1
        return fit_job(self.count, {"fault": name, "template": "plain"}, **changes)

    def submit(self, job: Job, failed_before: Sequence[Any] = ()) -> Path:
        """Submits a job and returns its folder."""
        folder = self.prepare(job)
        self.supervisor.submit(job, folder, failed_before)
        return folder

    def next(self, timeout: float = 60) -> Finished:
        """The next attempt that ended; its outcome is on disk as it is returned."""
        finished = self.supervisor.next_finished(timeout)
        assert finished is not None, "nothing came back"
        stored = Outcome.model_validate_json((finished.folder / "outcome.json").read_bytes())
        assert stored == finished.outcome
        return finished

    def run(self, job: Job, failed_before: Sequence[Any] = ()) -> list[Finished]:
        """All attempts of a job, the last one at the end."""
        self.submit(job, failed_before)
        attempts = [self.next()]
        while attempts[-1].retried:
            attempts.append(self.next())
        return attempts


def processes() -> set[int]:
    """Every process that this one started, their children too."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def failure(finished: Finished) -> Failure:
    """What went wrong."""
    assert isinstance(finished.outcome.result, Failure)
    return finished.outcome.result


def measurement(finished: Finished) -> Measurement:
    """What was measured."""
    assert isinstance(finished.outcome.result, Measurement), finished.outcome.result
    return finished.outcome.result
