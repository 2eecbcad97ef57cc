"""Objective: what is optimised. The shelf ``objectives/`` holds one per file; a Goal is what is known of one by name."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.task import Economics

Direction = Literal["maximize", "minimize"]


class Goal(StrictModel):
    """One objective of a study, as frontier, surrogates, report and exports know it."""

    name: str
    direction: Direction
    unit: str
    """Such as USD; empty for a share from 0 to 1."""
    uncertain: bool = False
    """Whether it is estimated from rows, so that one measurement has an error; the others are predictable."""
    scale: Literal["linear", "log"] = "log"
    """On which scale differences are compared."""
    title: str
    """Axis title, unit included."""


DEFAULT_GOALS = (
    Goal(name="quality", direction="maximize", unit="", uncertain=True, scale="linear", title="quality"),
    Goal(name="cost_usd_per_1k", direction="minimize", unit="USD", title="USD per 1,000 queries"),
    Goal(name="latency_ms", direction="minimize", unit="ms", title="latency in ms (p95)"),
)
"""What a task optimises unless it names others."""


@dataclass(frozen=True)
class Reading:
    """What an objective is read from."""

    measurement: Measurement
    metric: Metric
    economics: Economics
    """Of the task, its price looked up."""
    share_trained: float = 1.0
    """Share of the training steps done, from above 0 to 1; a cost is that of the full training."""


class Objective(ABC):
    """What is optimised. The file's name is the objective's name in tasks, files and exports."""

    direction: ClassVar[Direction]
    unit: ClassVar[str]
    title: ClassVar[str]
    uncertain: ClassVar[bool] = False
    scale: ClassVar[Literal["linear", "log"]] = "log"

    @abstractmethod
    def read(self, reading: Reading) -> float:
        """The value of a measurement, finite; it is computed anew whenever the study is priced anew."""

    def of_option(self, option: Option, name: str) -> float:
        """The value of a finished option, which may know better than one measurement (under load, another scenario)."""
        return option.values[name]

    def goal(self, name: str) -> Goal:
        """What the rest of the program knows of it."""
        return Goal(
            name=name,
            direction=self.direction,
            unit=self.unit,
            uncertain=self.uncertain,
            scale=self.scale,
            title=self.title,
        )
