"""Share of rows with the right label."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from autoadapt.domain.plugins import Metric


class Accuracy(Metric):
    """1 for the right label, else 0; the mean over rows. Interval: Wilson (1927)."""

    answers: ClassVar[Literal["label", "text"]] = "label"
    interval: ClassVar[Literal["wilson", "bootstrap"]] = "wilson"

    def row(self, prediction: str, references: Sequence[str], labels: Sequence[str]) -> list[float]:
        return [float(prediction in references)]

    def value(self, stats: Any) -> float:
        return float(stats[:, 0].mean())
