"""Share of rows whose whole set of labels is right."""

from typing import ClassVar, Literal

from autoadapt.domain.label_sets import labels_in
from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric


class SubsetAccuracy(Metric):
    """1 for exactly the right set of labels, else 0; the mean over rows. Interval: Wilson (1927)."""

    answers: ClassVar[AnswerKind] = "labels"
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "wilson"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(labels_in(answered.prediction) == labels_in(answered.references[0]))]
