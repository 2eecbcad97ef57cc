"""Jobs run in this process, on a run folder of their own: what tests of workers, methods and families share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import TEXTS, labelled_rows

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import (
    AnyJob,
    Devices,
    Fidelity,
    Fit,
    JobBase,
    LoadTest,
    OnnxTest,
    PromptText,
    Refit,
    Score,
    TimeInTurn,
    TrainingSettings,
    Turn,
)
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.rows import Row
from autoadapt.files import write_json, write_rows
from autoadapt.shelves import METHODS
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop

TEMPLATE = "{{ instruction }}\n{% for e in examples %}{{ e.input }}\nAnswer: {{ e.output }}\n\n{% endfor %}{{ input }}\nAnswer:"
DEVICES = Devices(kind="a CPU", count=1, accelerator="cpu", threads=1)
SPLITS = {"train": 60, "dev": 12, "validation": 36, "test": 30}
PARAMS: dict[str, dict[str, Any]] = {
    "lora": {"r": 4, "learning_rate": 5e-3, "num_train_epochs": 2, "batch_size": 8},
    "ia3": {"learning_rate": 5e-2, "num_train_epochs": 2, "batch_size": 8},
    "full": {"learning_rate": 5e-3, "num_train_epochs": 2, "batch_size": 8},
}


def scripted(settings: str = "") -> ModelReference:
    """A scripted model; `settings` such as ``step_seconds=0.01``."""
    return ModelReference(name=f"scripted:{settings}" if settings else "scripted", family="scripted", location="")


def causal_lm(folder: Path) -> ModelReference:
    """A model folder."""
    return ModelReference(name=folder.name, family="causal_lm", location=str(folder))


def encoder(folder: Path) -> ModelReference:
    """A model folder of an encoder."""
    return ModelReference(name=folder.name, family="encoder", location=str(folder))


CLASSICAL = ModelReference(name="classical", family="classical", location="")


class JobRun:
    """A run folder with frozen splits, and jobs for it.

    Args:
        root: of the run folder.
        model: on which jobs are done.
        text: whether answers are free text.
    """

    def __init__(self, root: Path, model: ModelReference, text: bool = False) -> None:
        self.root, self.model, self.workshop = root, model, Workshop()
        self.labels = None if text else sorted(TEXTS)
        self.metric = "exact_match" if text else "accuracy"
        rows = [Row(id=i, input=r["text"], outputs=[r["label"]]) for i, r in enumerate(labelled_rows(138))]
        (root / "data").mkdir(parents=True)
        for split, count in SPLITS.items():
            write_rows(root / "data" / f"{split}.jsonl", rows[:count])
            rows = rows[count:]

    def base(self, method: str, trial: int, params: dict[str, Any]) -> dict[str, Any]:
        """The fields that every job states."""
        own = PARAMS.get(method, {})
        if method not in METHODS.names() or "template" in METHODS.get(method).Params.model_fields:
            own = {"template": "plain", **own}
        return {
            "trial": trial,
            "candidate": Candidate(method=method, model=self.model.name, params={**own, **params}),
            "model": self.model,
            "metric": PluginChoice(name=self.metric),
            "labels": self.labels,
            "prompt": PromptText(template=TEMPLATE, instruction=""),
            "max_new_tokens": 8,
            "seed": 7,
            "training": TrainingSettings(precision="fp32"),
            "state_folder": f"trials/{trial:04d}",
        }

    def fit(self, method: str, trial: int = 0, params: dict[str, Any] | None = None, **changes: Any) -> Fit:
        """A job that fits."""
        fidelity = Fidelity(rows=SPLITS["validation"], steps=1.0, latency_requests=3)
        return Fit(**{**self.base(method, trial, params or {}), "rung": 0, "fidelity": fidelity, **changes})

    def score(self, fitted: Fit, **changes: Any) -> Score:
        """A job that scores what another has fitted on test rows."""
        base = {name: getattr(fitted, name) for name in JobBase.model_fields}
        return Score(**{**base, "rows": SPLITS["test"], **changes})

    def load_test(self, fitted: Fit, **changes: Any) -> LoadTest:
        """A job that measures under load what another has fitted."""
        base = {name: getattr(fitted, name) for name in JobBase.model_fields}
        return LoadTest(**{**base, "rows": 12, "requests": 20, "rate": 1.0, "seconds": 0.5, **changes})

    def in_onnx(self, fitted: Fit, **changes: Any) -> OnnxTest:
        """A job that tries in ONNX what another has fitted."""
        base = {name: getattr(fitted, name) for name in JobBase.model_fields}
        asked = {"rows": 12, "requests": 20, "rate": 1.0, "seconds": 5.0, "single_requests": 12}
        return OnnxTest(**{**base, **asked, **changes})

    def in_turn(self, fitted: Sequence[Fit], **changes: Any) -> TimeInTurn:
        """A job that times what others have fitted in turn."""
        base = {name: getattr(fitted[0], name) for name in JobBase.model_fields}
        options = [Turn(trial=f.trial, family=f.model.family, artifact_folder=f.artifact_folder) for f in fitted]
        return TimeInTurn(**{**base, "options": options, "rows": 12, "requests": 20, "seconds": 5.0, **changes})

    def refit(self, fitted: Fit, **changes: Any) -> Refit:
        """A job that fits the candidate of another anew."""
        base = {name: getattr(fitted, name) for name in JobBase.model_fields}
        state = f"trials/{fitted.trial:04d}/refit"
        return Refit(**{**base, "state_folder": state, "rows": SPLITS["test"], **changes})

    def folder(self, job: AnyJob) -> Path:
        """Folder of a job, with its ``job.json``."""
        name = f"{job.kind}{getattr(job, 'rung', '')}-{job.attempt}"
        folder = self.root / "trials" / f"{job.trial:04d}" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", job)
        return folder

    def run(self, job: AnyJob, **place: Any) -> Outcome:
        """Runs a job in this process."""
        folder = self.folder(job)
        outcome = run_job(folder, Place(devices=DEVICES, **place), self.workshop)
        rank = place.get("rank", 0)
        stored = (folder / ("outcome.json" if rank == 0 else f"outcome-{rank}.json")).read_bytes()
        assert Outcome.model_validate_json(stored) == outcome
        return outcome

    def measure(self, job: Fit | Score | Refit) -> Measurement:
        """Runs a job that must succeed."""
        result = self.run(job).result
        assert isinstance(result, Measurement), result
        return result

    def failure(self, job: AnyJob) -> Failure:
        """Runs a job that must fail."""
        result = self.run(job).result
        assert isinstance(result, Failure), result
        return result

    def artifact(self, job: AnyJob) -> Path:
        """Folder of a job's artifact."""
        return self.root / job.artifact_folder

    def predictions(self, job: Fit | Score | Refit) -> str:
        """The predictions that a job has left."""
        split = "validation" if isinstance(job, Fit) else "test"
        return (self.root / job.state_folder / f"predictions-{split}.jsonl").read_text()


def quality(measurement: Measurement) -> float:
    """Mean of the rows' scores."""
    return sum(row.stats[0] for row in measurement.rows) / len(measurement.rows)
