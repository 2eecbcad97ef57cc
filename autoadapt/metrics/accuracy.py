"""Share of rows with the right label."""

from typing import ClassVar, Literal

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric


class Accuracy(Metric):
    """1 for the right label, else 0; the mean over rows. Interval: Wilson (1927)."""

    answers: ClassVar[AnswerKind] = "label"
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "wilson"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(answered.prediction in answered.references)]
