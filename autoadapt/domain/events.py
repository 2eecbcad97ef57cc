"""Events of a running study, each with a snapshot of where the study stands.

``progress`` comes about twice a second, whether or not anything happened, so that a live view can show time and spend.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from autoadapt.domain.option import Option, Spent
from autoadapt.domain.task import Budget

EventKind = Literal[
    "started", "resumed", "note", "trial_started", "trial_promoted", "trial_finished", "trial_stopped_early",
    "trial_failed", "trial_cached", "assessing", "assessed", "finished", "progress",
]  # fmt: skip


@dataclass(frozen=True)
class Status:
    """Where a study stands."""

    name: str
    budget: Budget
    spent: Spent
    running: tuple[int, ...] = ()
    """Trial numbers."""
    complete: int = 0
    stopped_early: int = 0
    failed: int = 0
    cached: int = 0
    frontier: tuple[Option, ...] = ()
    last_failure: str | None = None
    seconds_left: float | None = None
    """Estimated, until the first limit is reached; None before the first trial has ended."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a study."""

    kind: EventKind
    message: str
    status: Status
    trial: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values, for ``--json``."""
