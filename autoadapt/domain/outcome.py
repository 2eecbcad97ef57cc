"""Outcome: what a step gave back, as raw numbers or as a failure; dollars and objectives are computed from it later."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.load import Load
from autoadapt.domain.task import Words
from autoadapt.domain.trial import Devices

Stage = Literal["start", "load", "fit", "measure", "save"]
FailureClass = Literal["oom", "nan", "timeout", "data", "config", "disk", "provider", "crash", "interrupted"]


class RowResult(Words):
    """One answered row."""

    id: int
    stats: list[float] = Field(min_length=1)
    """The metric's statistics of this row; the first is its score from 0 to 1."""
    tokens_in: int
    tokens_out: int


class Measurement(Words):
    """Raw numbers of a finished step. Seconds are wall-clock; device-seconds are seconds times devices held."""

    rows: list[RowResult]
    """One per answered row, in the split's order."""
    rows_truncated: int = 0
    """Rows whose prompt was shortened to fit the model's context."""
    train_seconds: float = 0.0
    """Seconds of training, earlier rungs of the same trial included."""
    train_steps: int = 0
    train_tokens: int = 0
    train_loss: list[float] = Field(default=[])
    """Mean loss of every tenth of the steps done, oldest first."""
    stopped_early: bool = False
    inference_seconds: float
    """Seconds to answer `rows` in batches."""
    latency_ms: list[float]
    """One per single request after warm-up."""
    tokens_out_latency: list[int] = Field(default=[])
    """Tokens written for each single request (free text only)."""
    tokens_shared: int = 0
    """Input tokens with which all rows' prompts begin."""
    energy_joules: float | None = None
    """Drawn by the device while `rows` were answered; None: this machine has no counter that may be read."""
    train_step_seconds: float = 0.0
    """Median seconds of a training step."""
    prefix_cache: bool = False
    """Whether single requests found the shared prefix of all prompts computed."""
    peak_memory_bytes: int
    """GPU: peak allocated on the fullest device; CPU: peak resident set of the worker."""
    artifact_bytes: int = 0
    """Size of what must be deployed besides the base model."""
    parameters_trained: int = 0
    parameters_total: int


class Failure(Words):
    """Why a step did not finish."""

    stage: Stage
    kind: FailureClass
    reason: str
    """One line."""


class Outcome(Words):
    """What is written to ``outcome.json``; exactly one of `measurement`, `load` and `failure` is set."""

    version: Literal[1] = 1
    trial: int
    rung: int
    attempt: int
    measurement: Measurement | None = None
    failure: Failure | None = None
    load: Load | None = None
    """Of a step on the `load` split, instead of a measurement."""
    devices: Devices
    seconds: float
    """Wall-clock seconds the step held its devices."""
    fit_measure_seconds: float = 0.0
    """Seconds of them spent fitting and measuring; the rest is loading and bookkeeping."""
    cold: bool = False
    """Whether it was the first step of its worker process (imports and first load included in `seconds`)."""
    worker_rss_bytes: int = 0
    """Resident set of the worker after the step."""
