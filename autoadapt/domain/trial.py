"""Candidate, Trial, Step: what is run.

A Trial is one candidate under one Optuna number. It is run in Steps: one per rung (a share of the work), and again when
a step was interrupted (a further attempt). A Step is written to ``trial.json`` in a folder of its own; that folder is
the wire between the study and a worker.
"""

import hashlib
import json
from typing import Literal

from pydantic import Field

from autoadapt.domain.space import Scalar
from autoadapt.domain.task import Evaluation, Words

Params = dict[str, Scalar]


def params_line(params: Params) -> str:
    """Parameters in a line, such as ``r=8 learning_rate=0.0001``."""
    return " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())


class Candidate(Words):
    """A method with its parameters, prompt parameters included; conditional parameters that do not apply are absent."""

    method: str
    model: str
    params: Params

    @property
    def passes(self) -> float:
        """Passes over the training rows, to which the time of training is in proportion; 1 for what does not train."""
        return float(self.params.get("num_train_epochs") or 1.0)

    def key(self) -> str:
        """A short hash that is equal for equal candidates, whatever the order of their parameters."""
        text = json.dumps([self.method, self.model, self.params], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Fidelity(Words):
    """How much of the full work a step does."""

    rows: int = Field(ge=1)
    """Rows answered (a prefix of the split's fixed order)."""
    steps: float = Field(gt=0, le=1)
    """Share of the training steps done by the end of this step."""
    latency_requests: int = Field(ge=0)
    """Single requests timed."""


class Devices(Words):
    """What one slot gives to a trial."""

    kind: str
    """Name of the hardware, such as ``NVIDIA H200`` or the CPU's model name."""
    count: int = Field(ge=1)
    """Devices (ranks) of the slot."""
    accelerator: Literal["cuda", "cpu"]
    """Where tensors live."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each rank."""


class Step(Words):
    """One piece of work for a worker, complete in itself; paths are relative to the run folder."""

    version: Literal[1] = 1
    trial: int
    rung: int
    attempt: int
    split: Literal["validation", "test", "load", "again"]
    """Rows answered; `load`: a finished option answers validation rows as requests that come at random times; `again`:
    an option is fitted anew, on fewer rows or with another seed, and answers the test rows."""
    candidate: Candidate
    model_path: str
    """Folder of the base model."""
    metric: str
    labels: list[str] | None
    """The labels to choose from; None when answers are free text."""
    template: str
    instruction: str
    evaluation: Evaluation
    fidelity: Fidelity
    seed: int
    """Derived from study seed and trial number; the same for every attempt, so that a repeated step repeats."""
    engine: Literal["plain", "deepspeed", "auto"]
    zero_stage: Literal["auto", 0, 1, 2, 3]
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    micro_batches: int = Field(default=1, ge=1)
    """Parts into which a batch is cut; doubled after running out of memory."""
    rate: float = Field(default=0.0, ge=0)
    """Of a load step: requests per second that the task expects at the busiest."""
    promise_ms: float | None = None
    """Of a load step: the latency that 99 % of requests should keep."""
    train_rows: int | None = Field(default=None, ge=1)
    """Of an `again` step: training rows it may use; None: all."""
    seed_index: int = Field(default=0, ge=0)
    """Of an `again` step: which further seed it has; 0: the option's own."""
    keep_checkpoint: bool = False
    """Whether a further rung may continue this step's training."""
    state_folder: str
    """Run-relative folder of this trial for what outlives a step: checkpoint and adapted weights."""

    @property
    def fits(self) -> bool:
        """Whether the model is adapted in this step; else its finished artifact is loaded."""
        return self.split in ("validation", "again")

    @property
    def rows_of(self) -> str:
        """The split whose rows are answered."""
        return {"load": "validation", "again": "test"}.get(self.split, self.split)


def seed_of(study_seed: int, trial: int) -> int:
    """The seed of a trial: 32 bits of SHA-256 over study seed and trial number."""
    return int.from_bytes(hashlib.sha256(f"{study_seed}/{trial}".encode()).digest()[:4], "big")
