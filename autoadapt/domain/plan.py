"""Plan: an estimate of a search's time, cost and memory, made before it runs; and the probe it is computed from."""

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.strict import StrictModel


class Probe(StrictModel):
    """A short real step of one method on one base model: a few rows answered, a few training steps taken."""

    candidate: Candidate
    cold_seconds: float
    """From an empty slot to the beginning of work, when the worker had to be started; 0: it was warm."""
    load_seconds: float
    """Loading and bookkeeping of a step on a warm worker."""
    row_seconds: float
    """To answer one row in a batch."""
    latency_ms: float
    """Median of single requests."""
    step_seconds: float
    """Median of a training step; 0 for a prompt."""
    peak_memory_bytes: int
    row_usd: float = 0.0
    """What a provider bills for one row."""
    judging_row_usd: float = 0.0
    """What the metric's own model costs for one row."""
    failure: str | None = None
    """Why it failed; the other figures are then 0."""


class Probes(StrictModel):
    """Probes of one task on one machine."""

    key: str
    """Hash of everything they depend on: models, data, prompts, devices, versions."""
    hardware: str
    device_seconds: float
    """Device-seconds that the probes took together."""
    probes: list[Probe]


class Range(StrictModel):
    """Low, likely, high."""

    low: float
    likely: float
    high: float


class MethodPlan(StrictModel):
    """The estimate of one method."""

    trials: Range
    device_hours: Range
    usd: Range
    need_bytes: int
    """Memory that training or answering needs on a device, computed from weights, gradients and optimizer states."""
    peak_bytes: int
    """Peak memory of the probe; 0: it was not run."""
    fits: bool
    failure: str | None = None


class Plan(StrictModel):
    """An estimate of a search."""

    task: str
    key: str
    """Key of its probes."""
    budget_key: str
    """Of the task's budget, search and evaluation settings: a plan for others does not apply."""
    hardware: str
    slots: int
    memory_bytes: int | None
    trials: Range
    hours: Range
    """Wall-clock, the end included: test rows, load tests, learning curve, final fit."""
    end_hours: Range | None = None
    """Of them, the end: a tenth of the budget at most, or what the search leaves of it, the final fit apart. None: a
    plan of an earlier version."""
    learning_curve: bool | None = None
    """Whether the end can probably pay for a learning curve; None: none is wanted."""
    device_hours: Range
    usd: Range
    methods: dict[str, MethodPlan]
    hour_usd: float
    price_source: str
    probe_seconds: float
    cheapest_usd: float
    """Cost of the cheapest possible run: one prompt, measured and scored on test rows."""
    cheapest_seconds: float
    limit: str
    """What will probably end the search: a limit of the budget, or that no further job is worth its cost."""
