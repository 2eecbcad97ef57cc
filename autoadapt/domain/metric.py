"""Metric: how good answers are. The shelf ``metrics/`` holds one per file."""

import numbers
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from autoadapt.domain.model import ModelReference
from autoadapt.domain.rows import Row
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage

AnswerKind = Literal["label", "labels", "text"]
"""What a task asks for: one label, a set of labels (`autoadapt.domain.label_sets`), or free text."""


@dataclass(frozen=True)
class AnsweredRow:
    """One row with a model's answer to it."""

    input: str
    """The text that the model was asked about."""
    prediction: str
    references: tuple[str, ...]
    """Accepted answers, at least one."""
    labels: tuple[str, ...] = ()
    """The allowed labels; empty for free text."""


def answered_rows(rows: Sequence[Row], predictions: Sequence[str], labels: Sequence[str] | None) -> list[AnsweredRow]:
    """Rows of a split with the predictions for them, as metrics see them.

    Args:
        rows: labelled examples.
        predictions: as many texts.
        labels: the allowed labels; None or empty for free text.
    """
    return [
        AnsweredRow(row.input, prediction, tuple(row.outputs), tuple(labels or ()))
        for row, prediction in zip(rows, predictions, strict=True)
    ]


@dataclass(frozen=True)
class Scores:
    """Statistics of several rows, and what computing them used."""

    stats: list[list[float]]
    """One list per row, all of one length; the first number is a score from 0 to 1."""
    usage: Usage = field(default_factory=Usage)


QUALIFYING = "metric"
"""Under which the money is booked for finding out whether a metric may be the objective."""


@dataclass(frozen=True)
class Asking:
    """With what a metric asks a server: where answers are kept and money is booked."""

    run: Path
    """The run folder."""
    job: str
    """Under which its bills are booked, such as ``0007/rung1``."""
    usd_cap: float | None
    """The most that providers may have billed the whole study, in USD; None: there is no limit."""
    tick: Callable[[], None] = lambda: None
    """Called while it waits, so that a job that waits is not taken for one that hangs."""


class Part(StrictModel):
    """The mean score of a part of what answers are scored on, such as one field of them."""

    name: str
    rows: int
    """That have this part."""
    score: float
    """From 0 to 1."""


class Metric(ABC):
    """How good answers are. A row's statistics are computed where it is answered; they add up anywhere.

    Called in this order: `score` on the rows of every job (it calls `row` for each, unless it is overridden by a metric
    that asks a server and states what that cost), then `value` on any selection of these statistics.

    A metric that asks models behind servers names them (`models`). It is called in this order: `check` when the task is
    read; `qualify` when a search begins, before anything else is spent; in a worker `begin`, then `score`.
    """

    class Settings(StrictModel):
        """Settings of this metric, filled from the task: ``metric: {NAME: {setting: value}}``."""

    answers: ClassVar[AnswerKind]
    """Whether the model chooses a label, chooses a set of labels, or writes a text."""
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "bootstrap"
    """How its 95 % interval is computed; `wilson` for shares of rows that are right or wrong, `posterior` for a metric
    that defines `draws`."""
    labels_count_alike: ClassVar[bool] = False
    """Whether every label has the same weight, however few its rows are."""
    early_stopping: ClassVar[bool] = True
    """Whether it is computed during training too, to stop early; False for a metric that costs money."""
    parts_are: ClassVar[str] = "part"
    """What one of its `parts` is called, in the singular."""

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = settings if settings is not None else self.Settings()

    def models(self) -> list[str]:
        """Names of the models that it asks, as a task would name them; by default it asks none."""
        return []

    def check(self, base: Path, rows: Sequence[Row]) -> None:
        """Checks the files that its settings name.

        Args:
            base: folder of the task file.
            rows: the task's, of all splits.

        Raises:
            UserError: something is missing or wrong.
        """
        return

    def files_hash(self) -> str | None:
        """Of the files that `check` has read and that may not change when a study is resumed; None: there are none."""
        return None

    def qualify(self, asking: Asking, models: Mapping[str, ModelReference]) -> list[str]:
        """Finds out whether it may be an objective; called after `check`, before any trial is paid for.

        Args:
            asking: with what it asks.
            models: those of `models`, by name, with their prices.

        Returns:
            Notes on what it has found.

        Raises:
            UserError: it may not.
        """
        return []

    def begin(self, asking: Asking) -> None:
        """Called in a worker before `score`."""
        return

    def row(self, answered: AnsweredRow) -> list[float]:
        """Statistics of one row (always as many); the first is a score from 0 to 1."""
        raise TypeError(f"{type(self).__name__} defines neither row nor score")

    def score(self, answered: Sequence[AnsweredRow]) -> Scores:
        """Statistics of several rows, and what computing them used."""
        return Scores([self.row(one) for one in answered])

    def value(self, stats: Any) -> float:
        """The metric, from 0 to 1, over rows whose statistics are an array of shape (rows, statistics).

        By default the mean of the first statistic.
        """
        return float(stats[:, 0].mean())

    def parts(self, stats: Any) -> list[Part]:
        """Parts of what answers are scored on, which reports show beside the metric; by default there are none."""
        return []

    def reference_mistake(self, reference: str) -> str | None:
        """What is wrong with an accepted answer in the data, by which no answer could be scored; None: nothing."""
        return None

    def shared_error(self, stats: Any) -> float:
        """Half the width of the 95 % interval of an error that all rows have in common, such as that of a judge.

        Intervals of a single option's quality contain it; in the difference of two options it cancels.
        """
        return 0.0

    def notes(self, stats: Any) -> list[str]:
        """What readers of its figures should know, a sentence each."""
        return []

    def draws(self, stats: Any, count: int, random: Any) -> Any:
        """Values of the metric that endlessly many rows may have, given these: draws of its posterior distribution.

        Args:
            stats: of rows, shape (rows, statistics).
            count: of draws.
            random: numpy's generator.

        Returns:
            An array of shape (count,); None: the metric does not say, and rows are resampled in place of it.
        """
        return None

    @classmethod
    def from_function(cls, function: Callable[..., float]) -> type["Metric"]:
        """The metric that scores free text, one answer after the other, by a function.

        Args:
            function: ``score(answer: str, references: list[str], input: str) -> float``, from 0 to 1; it is called with
                keywords, and the metric is the mean over rows.
        """

        class FunctionMetric(Metric):
            """A user's function of answer, references and input."""

            answers: ClassVar[AnswerKind] = "text"

            def row(self, answered: AnsweredRow) -> list[float]:
                score = function(answer=answered.prediction, references=list(answered.references), input=answered.input)
                if not isinstance(score, numbers.Real) or not 0 <= score <= 1:
                    raise ValueError(f"the function {function.__qualname__} gave {score!r}, not a number from 0 to 1")
                return [float(score)]

        return FunctionMetric
