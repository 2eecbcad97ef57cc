"""What a plug-in of each shelf must offer. A plug-in derives from one of these classes, in a file of its own.

Nothing here imports a heavy package: `Any` stands for torch and Optuna objects that only their own room may name.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel

from autoadapt.domain.history import History
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.rows import Row
from autoadapt.domain.trial import Candidate, Devices, Step
from autoadapt.domain.trial_row import TrialRow


class Metric(ABC):
    """How good answers are. A row's statistics are computed where it is answered; they add up anywhere."""

    answers: ClassVar[Literal["label", "text"]]
    """Whether the model chooses a label or writes a text."""
    interval: ClassVar[Literal["wilson", "bootstrap"]] = "bootstrap"
    """How its 95 % interval is computed."""

    @abstractmethod
    def row(self, prediction: str, references: Sequence[str], labels: Sequence[str]) -> list[float]:
        """Statistics of one row (always as many); the first is a score from 0 to 1.

        Args:
            prediction: the model's answer.
            references: accepted answers, at least one.
            labels: the allowed labels; empty for free text.
        """

    @abstractmethod
    def value(self, stats: Any) -> float:
        """The metric, from 0 to 1, over rows whose statistics are an array of shape (rows, statistics)."""


class Selector(ABC):
    """Which training rows become few-shot examples."""

    @abstractmethod
    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Callable[[str], list[Row]]:
        """Returns a function from a query's text to `shots` examples (fewer where there are fewer rows)."""


@dataclass(frozen=True)
class Decision:
    """What to run next: a candidate, or the next rung of a paused trial; neither leaves it to the sampler's `build`."""

    candidate: Candidate | None = None
    promote: int | None = None
    """Number of a paused trial."""
    straight: bool = False
    """Whether the candidate gets all of the work at once, without rungs."""
    converged: bool = False
    """Whether nothing that could be run promises a gain worth having."""


class Sampler(ABC):
    """How the next candidate is chosen."""

    pauses: ClassVar[bool] = False
    """Whether trials wait at each rung until `decide` names them; else the rule of `autoadapt.study.rungs` holds."""

    @abstractmethod
    def build(self, seed: int, history: History) -> Any:
        """An Optuna ``BaseSampler``; it is built anew for every trial, so that a resumed study repeats."""

    def decide(self, seed: int, history: History) -> Decision:
        """What to run next, for samplers that pause trials."""
        return Decision()

    def believed(self, history: History) -> Mapping[int, float]:
        """Qualities of trials measured in full, by number, where the sampler knows better than one measurement."""
        return {}


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


@dataclass(frozen=True)
class Training:
    """What fitting cost; zero for a prompt."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    loss: tuple[float, ...] = ()
    step_seconds: float = 0.0
    """Median of a step."""
    stopped_early: bool = False
    parameters_trained: int = 0
    artifact_bytes: int = 0


class Adapted(Protocol):
    """A model adapted to the task: it answers questions and knows what its training cost."""

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


@dataclass(frozen=True)
class Context:
    """What a method is given: the step, the run folder, the split files, the devices, and this rank's place."""

    step: Step
    run: Path
    devices: Devices
    tick: Callable[[], None]
    """Called at least every few seconds of progress; silence is taken for a hang."""
    rank: int = 0
    world: int = 1
    metric: Metric | None = None
    select: Callable[[str], list[Row]] | None = None
    """Few-shot selection, where the candidate has shots."""

    def rows(self, split: str, limit: int | None = None) -> list[Row]:
        """Rows of a split frozen in the run folder."""
        from autoadapt.domain.rows import read_rows

        return read_rows(self.run / "data" / f"{split}.jsonl", limit)

    @property
    def state(self) -> Path:
        """Folder of this trial for checkpoint and adapted weights."""
        return self.run / self.step.state_folder


class Method(ABC):
    """A way to adapt a model."""

    Params: ClassVar[type[BaseModel]]
    """Its own parameters: names, types, defaults, hard limits, documentation."""
    tunes: ClassVar[bool]
    """Whether it trains weights (and so has rungs in steps and can use several devices)."""
    shares_base: ClassVar[bool] = False
    """Whether many of its results can be served on one copy of the base model."""

    @abstractmethod
    def fit(self, context: Context) -> Adapted:
        """Adapts the model; on a finished artifact (a re-scored option) it only loads it."""


class Tracker(ABC):
    """Tells trials somewhere else too. What it raises ends the telling, never the search."""

    @abstractmethod
    def begin(self, name: str, root: Path) -> None:
        """Called once before the first trial.

        Args:
            name: of the study.
            root: its run folder.

        Raises:
            UserError: it cannot be used; nothing has been spent yet.
        """

    @abstractmethod
    def tell(self, row: TrialRow) -> None:
        """Called when a trial has ended; trials of earlier runs of the study may come again."""


@dataclass(frozen=True)
class Finished:
    """A step that ended, with what it gave."""

    step: Step
    folder: Path
    outcome: Outcome


class Executor(ABC):
    """Where trials run; `close` ends every worker."""

    def now(self) -> float:
        """Seconds of the clock by which steps take time; differences alone mean anything."""
        return time.monotonic()

    slots: int
    devices: Devices

    @abstractmethod
    def start(self, run: Path, compute: Any) -> None:
        """Finds the devices. `compute` is the task's Compute section.

        Raises:
            UserError: the machine cannot do what the task asks.
        """

    @abstractmethod
    def submit(self, step: Step, folder: Path) -> None:
        """Runs a step in a free slot; its ``trial.json`` is in `folder`. Call only while `free` is positive."""

    @abstractmethod
    def next_finished(self, timeout: float) -> Finished | None:
        """The next step that ended, or None after `timeout` seconds."""

    @abstractmethod
    def running_seconds(self) -> dict[int, float]:
        """Device-seconds held so far by every running trial, by trial number."""

    @abstractmethod
    def kill_running(self, reason: str) -> None:
        """Ends every running step; each comes back from `next_finished` as failed for `reason`."""

    @abstractmethod
    def close(self) -> None:
        """Ends every worker and waits for it."""

    @property
    @abstractmethod
    def free(self) -> int:
        """Slots that can take a step now."""
