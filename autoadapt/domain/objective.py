"""Objective: what is optimised, read from a measurement. Goal: what everything that compares options knows of one.

The shelf ``objectives/`` holds one objective per file.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.params import Effect
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.task import Constraints, Economics
from autoadapt.errors import UserError

Direction = Literal["maximize", "minimize"]

COST, LATENCY = "cost_usd_per_1k", "latency_ms"
"""Names of the objectives that depend on how an option is served."""
FEWEST, MOST = 2, 5
"""Objectives that a task may have."""
LEAST_POSITIVE = 1e-12
"""Values on a logarithmic scale are raised to this, so that zero has a logarithm too."""
SHARE = "share"
"""Unit of values from 0 to 1."""
CONSTRAINED = {"quality": "quality", "cost_usd_per_1k": COST, "latency_p95_ms": LATENCY}
"""Field of `Constraints` -> name of the goal that it limits. Other constraints limit no goal."""


class Goal(StrictModel):
    """One objective: what it is called, which way is better, and on which scale differences count."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Key under which its values are stored."""
    direction: Direction
    unit: str = ""
    """Unit of its values, such as `ms`; `share` for values from 0 to 1."""
    uncertain: bool = False
    """Whether a measurement has a sampling error that cannot be neglected. At most one goal of a task is uncertain."""
    scale: Literal["linear", "log"] = "linear"
    """`log`: ratios of values count, not differences; values must be positive."""
    title: str = ""
    """Title of an axis or a column, unit included; empty: as `name`."""

    @property
    def maximized(self) -> bool:
        """Whether greater values are better."""
        return self.direction == "maximize"

    @property
    def label(self) -> str:
        """Its title, or its name where it has none."""
        return self.title or self.name

    def scaled(self, value: float) -> float:
        """The value on the goal's scale: log10 of it, or as it is."""
        return math.log10(max(value, LEAST_POSITIVE)) if self.scale == "log" else value

    def unscaled(self, scaled: float) -> float:
        """The inverse of `scaled`."""
        return float(10.0**scaled) if self.scale == "log" else scaled


DEFAULT_GOALS = (
    Goal(name="quality", direction="maximize", unit=SHARE, uncertain=True, title="quality"),
    Goal(name=COST, direction="minimize", unit="USD", scale="log", title="USD per 1,000 queries"),
    Goal(name=LATENCY, direction="minimize", unit="ms", scale="log", title="latency in ms (p95)"),
)
"""What is optimised where a task names no objectives."""


def split_goals(goals: Sequence[Goal]) -> tuple[Goal, tuple[Goal, ...]]:
    """The uncertain goal, and the others in their order. Where none is uncertain, the first is taken for it.

    Raises:
        UserError: there are fewer than 2 or more than 5 goals, two have one name, or several are uncertain.
    """
    names = [goal.name for goal in goals]
    if not FEWEST <= len(goals) <= MOST:
        listed = ", ".join(names) or "none"
        raise UserError(f"a search needs {FEWEST} to {MOST} objectives, not {len(goals)} ({listed})")
    if len(set(names)) < len(names):
        raise UserError(f"each objective may be named once, but the list is {', '.join(names)}")
    uncertain = [goal for goal in goals if goal.uncertain]
    if len(uncertain) > 1:
        listed = ", ".join(goal.name for goal in uncertain)
        raise UserError(f"at most one objective may have a sampling error, but {listed} have one; keep one of them")
    chosen = uncertain[0] if uncertain else goals[0]
    return chosen, tuple(goal for goal in goals if goal is not chosen)


def goal_limits(constraints: Constraints) -> dict[str, float]:
    """Name of a goal -> the worst value that the constraints allow; goals without a limit are absent."""
    limits = {goal: getattr(constraints, field) for field, goal in CONSTRAINED.items()}
    return {goal: float(limit) for goal, limit in limits.items() if limit is not None}


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
    changed_by: ClassVar[frozenset[Effect] | None] = None
    """Parameters with one of these effects can change it, others cannot; None: any parameter can."""

    @abstractmethod
    def read(self, reading: Reading) -> float:
        """The value of a measurement; it is computed again whenever the study is priced again.

        An error, or a number that is not finite, is a failure of the trial that was measured.
        """

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
