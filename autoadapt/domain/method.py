"""Method: a way to adapt a base model. The shelf ``methods/`` holds one per file.

Nothing here imports a heavy package: `Any` stands for objects that only their own room may name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from autoadapt.domain.jobs import Devices, Fit, FitJob, Refit
from autoadapt.domain.metric import AnswerKind, Metric
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import ContrastParams, DecodingParams, HeadParams, WordModel, WordParams
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.domain.teacher import TEACHER
from autoadapt.domain.usage import Usage

Weights = Literal["none", "adapter", "head", "full"]
"""What an artifact holds: nothing trained, an adapter or a classifier beside the base model, or a whole model."""

LEAST_SHARE_OF_UNKNOWN = 0.1
"""Share of the steps of a training of unknown price that must fit into its time: fewer teach next to nothing."""

MARKER_ROOM = 8
"""Tokens of what stands between reasoning and answer."""

GIVES: Mapping[AnswerKind, str] = {"label": "scores_labels", "labels": "answers_label_sets", "text": "generates"}
"""The capability that a model needs for each kind of answer."""


class Decoding(DecodingParams):
    """How an answer is read off a model."""

    tuned: bool = False
    """Whether the model was tuned, so that its answers end with the end token."""
    seed: int = 0
    """Of what is drawn, together with the input and the number of the sample."""

    @property
    def reasons(self) -> bool:
        """Whether the model writes its reasoning first."""
        return self.reasoning == "steps"

    @property
    def reasoning_room(self) -> int:
        """Tokens of the context that reasoning may take, with what stands between it and the answer."""
        return self.reasoning_tokens + MARKER_ROOM if self.reasons else 0

    @property
    def writes_first(self) -> bool:
        """Whether a model on this machine writes or draws anything else than the most probable answer."""
        return self.reasons or self.temperature > 0 or self.samples > 1


@dataclass(frozen=True)
class Answer:
    """One answer: its text, and the tokens read and written for it."""

    text: str
    tokens_in: int
    tokens_out: int
    truncated: bool = False
    first_s: float = field(default=0.0, compare=False)
    """Seconds from the call until its first token was there (labels: until it was chosen)."""
    done_s: float = field(default=0.0, compare=False)
    """Seconds from the call until it was whole."""
    usage: Usage | None = field(default=None, compare=False)
    """What a server billed for it, failed attempts included; None: nothing but device time."""
    cached: bool = field(default=False, compare=False)
    """Whether it was given before and is not billed again; its times are those of the request that was sent."""
    failed: bool = field(default=False, compare=False)
    """Whether there is no answer, after all attempts."""
    unusable: bool = field(default=False, compare=False)
    """Whether the model refused, or no label was found in what it wrote; such an answer counts as wrong."""
    retries: int = field(default=0, compare=False)
    """Further attempts that it took."""
    served_by: str = field(default="", compare=False)
    """Model and fingerprint of its configuration as the server states them."""
    confidence: float | None = field(default=None, compare=False)
    """How sure the model is of its answer, from 0 to 1 and not calibrated: the probability of the label among all of
    them, the probability of exactly this set of labels, or the geometric mean of the probabilities of the tokens
    written; None: it does not say."""
    log_probs: tuple[float, ...] = field(default=(), compare=False)
    """Labels: the natural logarithm of the probability of each, in the job's order; empty: not known, or the answer is
    a set."""
    offered: tuple[str, ...] = field(default=(), compare=False)
    """The labels that the prompt offered; empty: all of the task."""


@dataclass(frozen=True)
class Training:
    """What fitting took; zero for a prompt."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    loss: tuple[float, ...] = ()
    step_seconds: float = 0.0
    """Median of a step."""
    stopped_early: bool = False
    steps_planned: int = 0
    """Steps of the schedule that this job was to have done by its end; more than `steps` where its time was up."""
    parameters_trained: int = 0
    artifact_bytes: int = 0
    preparing_seconds: float = 0.0
    """What it took to prepare examples and a shortlist of labels; it is paid for like training."""
    preparing_tokens: int = 0
    """Read by the model for the vectors of examples."""


class Adapted(Protocol):
    """A model adapted to the task: it answers questions and knows what its training took."""

    training: Training
    parameters_total: int

    def prepare(self, inputs: Sequence[str]) -> int:
        """Computes what all prompts share, as a server would keep it; returns how many tokens that is."""
        ...

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers a batch."""
        ...

    def close(self) -> None:
        """Gives the base model back and frees what fitting took."""
        ...


@runtime_checkable
class TimesItself(Protocol):
    """An adapted model that times its single requests where they are sent, because repeated ones are not sent."""

    def answer_alone(self, text: str, repetition: int) -> Answer:
        """Answers one input while nothing else is under way; `done_s` is the time of the request that was sent.

        Args:
            text: the input.
            repetition: which request with this input it is; each is sent once and kept.
        """
        ...


class SaveArtifact(Protocol):
    """Writes the option's artifact folder: what `fill` puts into an empty folder, then examples and option.json."""

    def __call__(self, decoding: Decoding, weights: Weights = ..., fill: Callable[[Path], None] = ...) -> None: ...


@dataclass(frozen=True)
class Context:
    """What a method and a model are given: the job, the rows, the devices, and this rank's place."""

    job: FitJob
    state: Path
    """Folder of this trial for checkpoints."""
    run: Path
    """The run folder, for what its trials share."""
    artifact: Path
    """Folder that `save_artifact` makes."""
    devices: Devices
    tick: Callable[[], None]
    """Called at least every few seconds of progress; silence is taken for a hang."""
    rows: Callable[..., list[Row]]
    """(split, limit=None) -> rows of a split frozen in the run folder."""
    save_artifact: SaveArtifact
    metric: Metric
    select: Select | None = None
    """Few-shot selection, where the candidate has shots or a shortlist of labels (`selector.PromptChoices`)."""
    rank: int = 0
    world: int = 1
    training_should_end: Callable[[], bool] = lambda: False
    """Asked after every step of a training that keeps checkpoints; when true, it saves one and raises
    KeyboardInterrupt."""

    @property
    def share_of_steps(self) -> float:
        """Share of all training steps that is done by the end of this job."""
        return self.job.fidelity.steps if isinstance(self.job, Fit) else 1.0

    @property
    def keeps_checkpoint(self) -> bool:
        """Whether a later rung continues this training; otherwise the job leaves an artifact."""
        return isinstance(self.job, Fit) and self.job.keep_checkpoint

    @property
    def training_seconds(self) -> float | None:
        """Longest time that this job may train; None: no limit."""
        return self.job.training_seconds

    @property
    def least_share_of_steps(self) -> float:
        """Share of this job's steps that must fit into its time, or the training ends at once, because it is too slow.

        Only a job whose price was not known is begun without knowing that.
        """
        unknown = isinstance(self.job, Fit) and self.job.longest_seconds is not None
        return LEAST_SHARE_OF_UNKNOWN if unknown else 0.0

    @property
    def training_steps(self) -> int | None:
        """Optimizer steps of the whole schedule, however many rows there are; None: as many as the passes come to."""
        return self.job.train_steps if isinstance(self.job, Refit) else None

    def training_rows(self) -> list[Row]:
        """The rows that this job may learn from: labelled ones, then those that a teacher has labelled."""
        return [*self.labelled_rows(), *self.teacher_rows()]

    def labelled_rows(self) -> list[Row]:
        """Of these, the rows of the task; a learning curve uses a part of them."""
        if isinstance(self.job, Refit):
            rows = [row for split in self.job.splits for row in self.rows(split)]
            return rows[: self.job.train_rows]
        return self.rows("train")

    def teacher_rows(self) -> list[Row]:
        """Of these, the rows that a teacher has labelled."""
        count = self.job.candidate.teacher_rows
        return self.rows(TEACHER, count) if count else []


@dataclass(frozen=True)
class AdapterSpec:
    """A trained adapter beside frozen weights, in the words of peft."""

    peft_type: str
    """Name of a peft method, such as LORA or IA3."""
    settings: Mapping[str, Any]
    """Arguments of its configuration class. `target_modules` may be ``all-linear`` or ``attention``."""


class Model:
    """A base model opened for one job. What a family cannot do its capabilities deny, so that it is never asked."""

    def prompt(self, decoding: Decoding) -> Adapted:
        """The model as it is, behind the job's prompt; saves the artifact."""
        raise TypeError(f"{type(self).__name__} cannot be prompted")

    def tune(self, params: Any, adapter: AdapterSpec | None) -> Adapted:
        """Trains an adapter beside frozen weights, or with None every weight; saves the artifact of the last rung.

        Args:
            params: `autoadapt.domain.params.TunedParams`, those of the training loop.
            adapter: what is trained; None: the model itself.

        Raises:
            UserError: the model has no module the adapter could sit on.
            FloatingPointError: training diverged.
        """
        raise TypeError(f"{type(self).__name__} cannot be tuned")

    def fit_head(self, params: HeadParams) -> Adapted:
        """Fits a logistic regression on the model's frozen features of the training rows; saves the artifact."""
        raise TypeError(f"{type(self).__name__} gives no features")

    def contrast(self, params: ContrastParams) -> Adapted:
        """Trains every weight until texts of one label have similar vectors and those of different labels do not, then
        fits a logistic regression on the vectors; saves the artifact of the last rung.

        Args:
            params: of training and classifier.

        Raises:
            FloatingPointError: training diverged.
        """
        raise TypeError(f"{type(self).__name__} is not trained on pairs of texts")

    def fit_words(self, kind: WordModel, params: WordParams) -> Adapted:
        """Fits a model of words to the training rows; saves the artifact.

        Args:
            kind: which one.
            params: its parameters.
        """
        raise TypeError(f"{type(self).__name__} does not count words")


class Method(ABC):
    """A way to adapt a model. It is asked `lacks` for every base model, and `fit` for every job."""

    Params: ClassVar[type[BaseModel]]
    """Its own parameters: names, types, defaults, hard limits, documentation."""
    tunes: ClassVar[bool]
    """Whether it trains weights (and so has rungs in steps and can use several devices)."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Names of `Capabilities` that a base model must have, in addition to giving the answers that the task asks for."""
    answers: ClassVar[tuple[AnswerKind, ...]] = ("label", "labels", "text")
    """The kinds of answers it can give."""
    floor: ClassVar[bool] = False
    """Whether it is one of the simple methods that are measured first, and with which every other one is compared."""
    one_rung: ClassVar[bool] = False
    """Whether it is always done in full at once, because a part of its work would take about as long."""
    most_trials: ClassVar[int | None] = None
    """Candidates of it after which no further one is tried; None: as many as are worth their cost."""
    shares_base: ClassVar[bool] = False
    """Whether many of its results can be served on one copy of the base model."""
    served_as: ClassVar[str] = ""
    """What computes its answers, by which other methods are served alike: ``model`` (the base model with weights of its
    architecture, trained ones merged) or ``features`` (its vectors and a linear classifier); empty: its own way."""
    serving_params: ClassVar[tuple[str, ...] | None] = None
    """Parameters on which the time of an answer depends, beside the tokens read and written; None: all of them."""
    branch: ClassVar[Mapping[str, Any]] = {}
    """Its parameters as a search space file would write them, for spaces that have no branch for it."""
    first: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Parameters known to be good, tried first where a space names none for this method."""

    def lacks(self, capabilities: Capabilities, answers: AnswerKind) -> list[str]:
        """Names of the capabilities that a model lacks for this method; empty: they fit together.

        Args:
            capabilities: of the base model.
            answers: whether the task asks for a label, for a set of labels, or for free text.
        """
        if answers not in self.answers:
            return [f"answers of the kind {answers}"]
        wanted = [*self.needs, GIVES[answers]]
        return [name for name in wanted if not getattr(capabilities, name)]

    @property
    def prompts_alone(self) -> bool:
        """Whether it asks a model behind a prompt and trains nothing."""
        return "template" in self.Params.model_fields and not self.tunes and not self.floor

    def serving_class(self, name: str, params: Mapping[str, Any]) -> str:
        """What its answers are computed by, model apart: candidates of one model that agree in it take the same time.

        Args:
            name: of the method.
            params: of the candidate; those that equal their default are left out.
        """
        names = sorted(params) if self.serving_params is None else self.serving_params
        fields = self.Params.model_fields
        set_params = [n for n in names if n in params and n in fields and params[n] != fields[n].default]
        return " ".join([self.served_as or name, *(f"{n}={params[n]}" for n in set_params)])

    def parameters_trained(self, params: Mapping[str, Any], capabilities: Capabilities) -> float:
        """About how many weights it trains; 0: none. Memory is estimated from it before anything runs."""
        return float(capabilities.parameters) if self.tunes else 0.0

    def suited(self, start: Mapping[str, Any], capabilities: Capabilities) -> Mapping[str, Any]:
        """Parameters known to be good, as they suit a model: a larger one may want a lower learning rate.

        Args:
            start: good for a small model.
            capabilities: of the base model.
        """
        return start

    def contradiction(self, params: Mapping[str, Any]) -> str | None:
        """Why the parameters of a candidate cannot stand together; None: they can.

        Args:
            params: of the candidate.
        """
        return None

    @abstractmethod
    def fit(self, context: Context, model: Model) -> Adapted:
        """Adapts the model to the task and, unless a later rung goes on, saves the artifact."""
