"""Outcome: what a job gave back: a Measurement, a Load or a Failure; dollars and objectives are computed from it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from autoadapt.domain.jobs import Devices, JobBase
from autoadapt.domain.load import Load
from autoadapt.domain.proposal import Proposal
from autoadapt.domain.robustness import VariantScores
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.teacher import Labelling
from autoadapt.domain.usage import Usage

Stage = Literal["start", "load", "fit", "measure", "save"]
FailureClass = Literal[
    "oom", "nan", "timeout", "data", "config", "context", "disk", "provider", "budget", "crash", "interrupted"
]
"""``context``: the prompts do not fit the model's context."""


class RowResult(StrictModel):
    """One answered row."""

    id: int
    stats: list[float] = Field(min_length=1)
    """The metric's statistics of this row; the first is its score from 0 to 1."""
    tokens_in: int
    tokens_out: int
    confidence: float | None = None
    """Of the answer, from 0 to 1 and not calibrated; None: the model does not say how sure it is."""


class Measurement(StrictModel):
    """Raw numbers of a finished job. Seconds are wall-clock; device-seconds are seconds times devices held."""

    kind: Literal["measurement"] = "measurement"
    rows: list[RowResult]
    """One per answered row, in the split's order."""
    rows_truncated: int = 0
    """Rows whose prompt was shortened to fit the model's context."""
    rows_failed: int = 0
    """Rows without an answer after all attempts; they count as wrong."""
    rows_unusable: int = 0
    """Rows whose answer was a refusal, or held no label; they count as wrong."""
    shortlist_recall: float | None = None
    """Share of the rows whose right label was among those that their prompt offered; None: all labels are offered."""
    retrieval_recall: float | None = None
    """Share of the rows that the task's documents answer for which the passages that were found hold an accepted answer
    word for word; None: prompts show no passages."""
    retries: int = 0
    """Further attempts at requests that failed."""
    served_by: list[str] = Field(default=[])
    """Models with the fingerprints of their configurations, as a server states them."""
    training: Usage = Usage()
    """What training used, earlier rungs of the same trial included."""
    instruction_usage: Usage = Usage()
    """What writing the instruction has used, where it is that of a slot: a part of what the option costs once. The
    budget has paid it in the job that filled the slot."""
    labels_usage: Usage = Usage()
    """What labelling the rows of a teacher has used from which it learns: a part of what the option costs once, too."""
    answering: Usage = Usage()
    """What answering `rows` in batches used."""
    from_cache: Usage = Usage()
    """Of `answering`, what was billed before: these answers were kept and not asked for again."""
    judging: Usage = Usage()
    """What the metric used; it counts against the budget, not against the option."""
    timing: Usage = Usage()
    """What a server billed for single requests that were timed; it counts against the budget alone, too."""
    train_seconds: float = 0.0
    """Seconds of training, earlier rungs of the same trial included."""
    train_steps: int = 0
    train_tokens: int = 0
    train_loss: list[float] = Field(default=[])
    """Mean loss of every tenth of the steps done, oldest first."""
    stopped_early: bool = False
    train_steps_planned: int = 0
    """Steps that were to be done by the end of this job; more than `train_steps` where the time for training was up, or
    where training stopped early."""
    inference_seconds: float
    """Seconds to answer `rows` in batches."""
    latency_ms: list[float]
    """One per single request after warm-up; the k-th asked row ``k % len(rows)``."""
    latency_tail: float = 1.0
    """By which the median of `latency_ms` is multiplied to be the latency of a candidate that was timed by few requests
    because a known option dominates it: the ratio of that option's p95 to its median."""
    tokens_out_latency: list[int] = Field(default=[])
    """Tokens written for each single request (free text only)."""
    tokens_shared: int = 0
    """Input tokens with which all rows' prompts begin."""
    train_step_seconds: float = 0.0
    """Median seconds of a training step."""
    waited_share: float = 0.0
    """Share of the time of answering in which the process is known to have waited for a core; no time of answering
    contains it, but times of training and loading contain such waiting."""
    prefix_cache: bool = False
    """Whether single requests found the shared prefix of all prompts computed."""
    peak_memory_bytes: int
    """GPU: peak allocated on the fullest device; CPU: peak resident set of the worker."""
    artifact_bytes: int = 0
    """Size of what must be deployed in addition to the base model."""
    parameters_trained: int = 0
    parameters_total: int

    @property
    def written_for_it(self) -> Usage:
        """What other jobs have written that it needs: its instruction, and the labels of a teacher."""
        return self.instruction_usage.plus(self.labels_usage)


class TimesInTurn(StrictModel):
    """Single requests to several options, in turn: what slowed the machine down has hit all of them alike."""

    kind: Literal["in_turn"] = "in_turn"
    latency_ms: dict[int, list[float]]
    """By trial; the same number and the same inputs for each."""
    usage: Usage = Usage()


class OnnxTimes(StrictModel):
    """An option in ONNX beside the same one in PyTorch: what slowed the machine down has hit both alike."""

    kind: Literal["onnx"] = "onnx"
    rows: int = Field(ge=1)
    """Whose answers were compared; they are equal."""
    largest_difference: float | None
    """Of a log-probability of a label; None: they are not known of sets of labels."""
    torch_ms: list[float] = Field(min_length=1)
    """Single requests, in turn with those in ONNX."""
    onnx_ms: list[float] = Field(min_length=1)
    torch_row_seconds: float = Field(gt=0)
    """Of a row in a batch, in turn with those in ONNX."""
    onnx_row_seconds: float = Field(gt=0)
    onnx_bytes: int
    """Size of the model in ONNX; it stands in place of the base model."""
    load: Load | None = None
    """In ONNX under load; None: it was not measured."""
    usage: Usage = Usage()


class Perturbed(StrictModel):
    """What an option scored under other wordings of its prompt and other spellings of rows."""

    kind: Literal["robustness"] = "robustness"
    rows: int = Field(ge=1)
    """The first ones of the test split."""
    variants: list[VariantScores] = Field(min_length=1)
    left_out: dict[str, str] = Field(default={})
    """Why a variant counts for nothing, by its name."""
    usage: Usage = Usage()


class Failure(StrictModel):
    """Why a job did not finish."""

    kind: Literal["failure"] = "failure"
    stage: Stage
    failure_class: FailureClass
    reason: str
    """One line."""
    usage: Usage = Usage()
    """What providers billed before it failed."""
    whole_training_seconds: float | None = None
    """Of a training that was ended because it is too slow: what its whole schedule would have taken."""

    def __str__(self) -> str:
        return f"{self.failure_class} in {self.stage}: {self.reason}"


Result = Measurement | Load | TimesInTurn | OnnxTimes | Perturbed | Proposal | Labelling
"""What a job that did not fail gave."""


class Outcome(StrictModel):
    """What is written to ``outcome.json``."""

    version: Literal[2] = 2
    trial: int
    attempt: int
    """Of the job; an outcome of another attempt is not accepted."""
    result: Annotated[Result | Failure, Field(discriminator="kind")]
    """Measurement of Fit, Score and Refit; Load of LoadTest; TimesInTurn of TimeInTurn; OnnxTimes of OnnxTest;
    Perturbed of RobustnessTest; Proposal of Propose; Labelling of Label; Failure of any."""
    devices: Devices
    seconds: float
    """Wall-clock seconds the job held its devices."""
    usage: Usage = Usage()
    """All that the job used: devices held from beginning to end, and what providers billed."""
    fit_measure_seconds: float = 0.0
    """Seconds of them spent fitting and measuring; the rest is loading and bookkeeping."""
    cold: bool = False
    """Whether it was the first job of its worker process (imports and first load included in `seconds`)."""
    worker_rss_bytes: int = 0
    """Resident set of the worker after the job."""

    @classmethod
    def of(
        cls,
        job: JobBase,
        result: Result | Failure,
        devices: Devices,
        seconds: float,
        **more: Any,
    ) -> "Outcome":
        """The outcome of a job, its usage made up of the devices held and what providers billed.

        Args:
            job: any job.
            result: what came of it.
            devices: held by it.
            seconds: wall-clock, for which they were held.
            more: further fields.
        """
        held = Usage(device_seconds={devices.kind: seconds * devices.count})
        parts: tuple[Usage, ...] = ()
        if isinstance(result, Measurement):
            parts = (result.training, result.answering, result.judging, result.timing)
        else:
            parts = (result.usage,)
        earlier = result.from_cache.usd if isinstance(result, Measurement) else 0.0
        billed = max(0.0, sum(u.usd for u in parts) - earlier)
        if billed:
            held = held.plus(Usage(usd=billed, usd_estimated=any(u.usd_estimated for u in parts)))
        return cls(
            trial=job.trial, attempt=job.attempt, result=result, devices=devices, seconds=seconds, usage=held, **more
        )

    @property
    def device_seconds(self) -> float:
        """Seconds times devices held."""
        return self.seconds * self.devices.count
