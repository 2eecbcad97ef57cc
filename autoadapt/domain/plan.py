"""Plan: what a search will probably take, before anything is spent; and the probe it is computed from."""

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
    failure: str | None = None
    """Why it failed; the other figures are then 0."""


class Probes(StrictModel):
    """Probes of one task on one machine."""

    key: str
    """Hash of all that they depend on: models, data, prompts, devices, versions."""
    hardware: str
    device_seconds: float
    """What they took."""
    probes: list[Probe]


class Range(StrictModel):
    """Low, likely, high."""

    low: float
    likely: float
    high: float


class MethodPlan(StrictModel):
    """One method's part."""

    trials: Range
    device_hours: Range
    usd: Range
    need_bytes: int
    """Memory that training or answering needs on a device: weights, gradients, optimizer, by formula."""
    peak_bytes: int
    """Peak memory of the probe; 0: it was not run."""
    fits: bool
    failure: str | None = None


class Plan(StrictModel):
    """What a search will probably take."""

    task: str
    key: str
    """Of its probes."""
    budget_key: str
    """Of the task's budget, search and evaluation settings: a plan for others does not apply."""
    hardware: str
    slots: int
    memory_bytes: int | None
    trials: Range
    hours: Range
    """Wall-clock, re-scoring and load tests included."""
    device_hours: Range
    usd: Range
    methods: dict[str, MethodPlan]
    hour_usd: float
    price_source: str
    probe_seconds: float
    cheapest_usd: float
    """The cheapest possible run: one prompt measured and re-scored."""
    cheapest_seconds: float
    limit: str
    """What will probably end it: a budget's limit, or that nothing more is worth its cost."""
