"""Jobs: what a worker is asked to do. Each is written to ``job.json`` in a folder of its own, complete in itself.

A trial is one candidate under one Optuna number. It is fitted in one Fit per rung; its finished artifact is scored on
test rows (Score), measured under load (LoadTest), and its candidate may be fitted again on fewer rows, on more of them
or with another seed (Refit). Artifacts of several trials are timed in turn (TimeInTurn), one is tried in ONNX
(OnnxTest), and one answers perturbed prompts and rows (RobustnessTest). An instruction is written for the prompt of the
best trial (Propose), and rows without an answer are labelled by it (Label). A job that is tried again has a
higher `attempt`; everything else in it is equal.
"""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.documents import Retrieval, retrieval_of
from autoadapt.domain.model import ModelReference
from autoadapt.domain.robustness import Variant
from autoadapt.domain.standards import Standards
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage

MOST_TRUNCATED = 0.05
"""Largest share of rows whose prompt may be shortened; beyond it the numbers would be those of another task."""
TURN_REQUESTS = 5
"""Single requests in a row to each of several options that are timed in turn."""


class Fidelity(StrictModel):
    """How much of the full work a job does."""

    rows: int = Field(ge=1)
    """Rows answered (a prefix of the split's fixed order)."""
    steps: float = Field(gt=0, le=1)
    """Share of the training steps done by the end of this job."""
    latency_requests: int = Field(ge=0)
    """Single requests timed, at most."""


class Devices(StrictModel):
    """What one slot gives to a job."""

    kind: str
    """Name of the hardware, such as ``NVIDIA H200`` or the CPU's model name."""
    count: int = Field(ge=1)
    """Devices (ranks) of the slot."""
    accelerator: Literal["cuda", "cpu"]
    """Where tensors live."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each rank."""


class PromptText(StrictModel):
    """Jinja sources of a prompt."""

    template: str
    instruction: str
    entry: str = ""
    """Id and version of the entry of the prompt library that it is; empty: it is the search space's."""


class TrainingSettings(StrictModel):
    """How a job trains, whatever its candidate."""

    engine: Literal["plain", "deepspeed"] = "plain"
    zero_stage: Literal["auto", 0, 1, 2, 3] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Numbers in which models compute, while training and answering."""
    micro_batches: int = Field(default=1, ge=1)
    """Parts into which a batch is cut; doubled after running out of memory."""


class JobBase(StrictModel):
    """What every job states."""

    version: Literal[2] = 2
    trial: int
    attempt: int = Field(default=0, ge=0)
    """How often this job was tried before."""
    candidate: Candidate
    model: ModelReference
    """The base model."""
    metric: PluginChoice
    labels: list[str] | None
    """The labels to choose from; None when answers are free text."""
    multi_label: bool = False
    """Whether an answer is a set of labels (`autoadapt.domain.label_sets`)."""
    prompt: PromptText
    input_columns: list[str] = Field(default=[])
    """Columns that an input was joined from, where there are several (`autoadapt.domain.rows.joined_input`)."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest free-text answer in tokens."""
    answer_schema: dict[str, Any] | None = None
    """JSON schema of the answers; servers that can are held to it. None: answers are no JSON objects."""
    no_answer: str | None = None
    """The answer of rows that the documents of the task do not answer; None: it has no documents."""
    seed: int
    """Derived from study seed and trial number; the same for every attempt, so that a repeated job repeats."""
    training: TrainingSettings = TrainingSettings()
    provider_usd_cap: float | None = None
    """What providers may have billed the whole study by the end of this job, in USD; None: there is no limit."""
    longest_seconds: float | None = Field(default=None, gt=0)
    """Longest time that this job may hold its slot before it is ended; None: `compute.trial_timeout_s` alone holds."""
    state_folder: str
    """Run-relative folder for what outlives the job: checkpoints, predictions and, as ``artifact``, the option."""

    @property
    def scored_labels(self) -> list[str]:
        """The labels of which a prompted model scores each; empty: it writes its answer, a text or a set of labels."""
        return [] if self.multi_label else self.labels or []

    @property
    def labels_offered(self) -> int:
        """How many labels each prompt offers, chosen for its input; 0: all of them."""
        count = self.candidate.params.get("shortlist")
        return count if isinstance(count, int) and 0 < count < len(self.scored_labels) else 0

    @property
    def retrieval(self) -> Retrieval | None:
        """How each prompt shows passages of documents; None: it shows none."""
        return retrieval_of(self.candidate.params)

    @property
    def writes(self) -> bool:
        """Whether the time of an answer depends on how much is written: a free text, or reasoning before a label."""
        return not self.labels or self.candidate.written_first > 0

    @property
    def artifact_folder(self) -> str:
        """Run-relative folder of the option that this job makes, or that it loads."""
        return f"{self.state_folder}/artifact"


class Fit(JobBase):
    """Adapts the base model, one rung at a time, and answers validation rows."""

    kind: Literal["fit"] = "fit"
    rung: int = Field(ge=0)
    fidelity: Fidelity
    training_seconds: float | None = Field(default=None, gt=0)
    """Longest time that this job may train; a training that would take longer ends its schedule by then and is scored
    as it stands. None: no limit."""
    keep_checkpoint: bool = False
    """Whether a further rung may continue this job's training; the last rung leaves an artifact instead."""
    standards: Standards | None = None
    """Options known so far: a candidate that one of them dominates is timed by few single requests; None: all of the
    requests are timed."""
    instruction_usage: Usage = Usage()
    """What writing the prompt's instruction has used, where it is that of a slot. The option bears it."""
    labels_usage: Usage = Usage()
    """What labelling the rows of a teacher has used from which it learns. The option bears it."""


class Score(JobBase):
    """Loads a finished artifact and answers test rows."""

    kind: Literal["score"] = "score"
    rows: int = Field(ge=1)
    latency_requests: int = Field(default=0, ge=0)
    """Single requests timed, of an option that its fit has timed by few; 0: it was timed to the end."""


class LoadBase(JobBase):
    """What jobs state that measure an option under load."""

    rows: int = Field(ge=1)
    """Distinct inputs, used again when they run out."""
    requests: int = Field(ge=0)
    """Answered one at a time; 0: it is not measured under load."""
    rate: float = Field(ge=0)
    """Requests per second that the task expects at the busiest."""
    seconds: float = Field(gt=0)
    """Longest time; what is known by then counts."""


class LoadTest(LoadBase):
    """Loads a finished artifact and answers validation rows in batches, from whose times its queue follows."""

    kind: Literal["load_test"] = "load_test"


class OnnxTest(LoadBase):
    """Converts a finished artifact to ONNX, compares its answers and its times with those of PyTorch, and measures it
    under load."""

    kind: Literal["onnx"] = "onnx"
    single_requests: int = Field(ge=1)
    """To either, in turn."""


class Refit(JobBase):
    """Fits the candidate again, on fewer rows, on more of them or with another seed, and answers test rows."""

    kind: Literal["refit"] = "refit"
    rows: int = Field(ge=1)
    train_rows: int | None = Field(default=None, ge=1)
    """Training rows it may use; None: all."""
    train_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of its whole schedule, of a method that trains by gradient: passes over its rows are repeated
    until there are as many, so that a part of the rows is trained on as long as all of them. None: those of its
    passes."""
    seed_index: int = Field(default=0, ge=0)
    """Which further seed it has; 0: the option's own."""
    splits: tuple[Literal["train", "validation", "dev"], ...] = ("train",)
    """Splits from whose rows it learns: the final fit, made when nothing is left to choose, learns from validation rows
    too, and from those kept for early stopping where its method does not stop early."""
    training_seconds: float | None = Field(default=None, gt=0)
    """Longest time that this job may train, as of Fit. None: no limit."""

    @property
    def final(self) -> bool:
        """Whether it is a final fit."""
        return "validation" in self.splits


class Turn(StrictModel):
    """An option that is timed in turn with others."""

    trial: int
    family: str
    """Of its base model."""
    artifact_folder: str
    """Run-relative."""


class TimeInTurn(JobBase):
    """Loads several finished artifacts and sends each single requests, a few at a time, in turn with the others.

    What it states of a candidate and a model is that of its first option.
    """

    kind: Literal["in_turn"] = "in_turn"
    options: list[Turn] = Field(min_length=2)
    rows: int = Field(ge=1)
    """Distinct inputs, the same for all, used again when they run out."""
    requests: int = Field(ge=1)
    """To each option, at most."""
    seconds: float = Field(gt=0)
    """Longest time; what is known by then counts."""
    measured: int = Field(default=0, ge=0)
    """Trials of the study that had been measured in full by then."""


class Propose(JobBase):
    """Writes an instruction for a slot: the proposing model writes, the candidate's model is asked training rows."""

    kind: Literal["propose"] = "propose"
    slot: int = Field(ge=1)
    proposer: PluginChoice
    """Name in the proposers folder, and its settings."""
    proposing_model: ModelReference
    starts: dict[str, str]
    """Instructions known so far, by name, as Jinja sources; that of the candidate's prompt first."""
    most_seconds: float | None = Field(default=None, gt=0)
    """After which no further step is begun; None: no limit."""
    most_usd: float | None = Field(default=None, ge=0)
    """Billed by providers, after which no further step is begun; None: no limit."""


class Label(JobBase):
    """Answers rows that have no label with the candidate's prompt, and keeps those answers of which it is sure."""

    kind: Literal["label"] = "label"
    rows: int = Field(ge=1)
    """Rows answered at most, the first of the split."""
    wanted: int = Field(ge=1)
    """Rows kept after which it ends."""
    least_confidence: float = Field(gt=0, le=1)
    most_seconds: float | None = Field(default=None, gt=0)
    """After which no further rows are answered; None: no limit."""
    most_usd: float | None = Field(default=None, ge=0)
    """Billed by providers, after which no further rows are answered; None: no limit."""


class RobustnessTest(JobBase):
    """Loads a finished artifact and answers test rows under other wordings of its prompt and with other spellings."""

    kind: Literal["robustness"] = "robustness"
    rows: int = Field(ge=1)
    variants: list[Variant] = Field(min_length=1)
    """In the order in which they are answered."""
    seconds: float = Field(gt=0)
    """Longest time; the variants that were answered by then count."""


AnyJob = Fit | Score | LoadTest | Refit | TimeInTurn | OnnxTest | RobustnessTest | Propose | Label
Job = Annotated[AnyJob, Field(discriminator="kind")]
FitJob = Fit | Refit
"""Jobs that adapt a model; the others load a finished artifact."""
JOB: TypeAdapter[AnyJob] = TypeAdapter(Job)
"""Reads ``job.json``."""


def seed_of(study_seed: int, trial: int) -> int:
    """The seed of a trial: 32 bits of SHA-256 over study seed and trial number."""
    return int.from_bytes(hashlib.sha256(f"{study_seed}/{trial}".encode()).digest()[:4], "big")
