"""Accuracy as a judge would state it who is paid for every row: how tests bring about metrics that cost money."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from autoadapt.domain.metric import AnsweredRow, Metric, Scores
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage


class JudgedAccuracy(Metric):
    """1 for the right label, else 0; every row is billed."""

    class Settings(StrictModel):
        """What the judge is and costs."""

        judge: str = "stand-in"
        """Name of the judge."""
        usd_per_row: float = Field(default=0.001, ge=0)
        """Billed for every row."""

    answers: ClassVar[Literal["label", "text"]] = "label"
    interval: ClassVar[Literal["wilson", "bootstrap"]] = "wilson"
    early_stopping: ClassVar[bool] = False

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(answered.prediction in answered.references)]

    def score(self, answered: Sequence[AnsweredRow]) -> Scores:
        words = sum(len(f"{one.input} {one.prediction}".split()) for one in answered)
        usage = Usage(usd=len(answered) * self.settings.usd_per_row, tokens_in=words, tokens_out=len(answered))
        return Scores([self.row(one) for one in answered], usage)
