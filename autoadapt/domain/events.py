"""Events of a running study, each with a snapshot of where the study stands.

``progress`` comes about twice a second, whether or not anything happened, so that a live view can show time and spend.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from autoadapt.domain.option import Option, Spent
from autoadapt.domain.task import Budget

EventKind = Literal[
    "started", "resumed", "note", "trial_started", "trial_promoted", "trial_finished", "trial_stopped_early",
    "trial_failed", "trial_cached", "phase", "assessing", "assessed", "finished", "progress",
]  # fmt: skip


@dataclass(frozen=True)
class Running:
    """A job that runs."""

    trial: int
    method: str
    model: str
    stage: str
    """What it does, such as ``33% of its training`` or ``load test``."""
    seconds: float
    """Since it began."""


@dataclass(frozen=True)
class Phase:
    """A part of the end of a search."""

    name: str
    number: int
    of: int
    """It is the `number`-th of so many."""
    seconds: float
    """That it will probably take in all."""
    seconds_after: float
    """That the later ones will."""


@dataclass(frozen=True)
class Status:
    """Where a study stands."""

    name: str
    budget: Budget
    spent: Spent
    running: tuple[Running, ...] = ()
    complete: int = 0
    stopped_early: int = 0
    failed: int = 0
    cached: int = 0
    frontier: tuple[Option, ...] = ()
    last_failure: str | None = None
    best: Option | None = None
    """The best one so far that is none of the simple methods."""
    floor: Option | None = None
    """The best of the simple methods."""
    phase: Phase | None = None
    """Of the end of the search; None: the search itself goes on."""
    seconds_left: float | None = None
    """Estimated, until everything is done, the end included; None: nothing is known yet."""
    end_seconds: float | None = None
    """Of these, for the end of the search; None: it has begun."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a study."""

    kind: EventKind
    message: str
    status: Status
    trial: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values, for ``--json``."""
