"""Standards: the options known when a candidate is measured, by which a worker decides how long it is timed."""

from pydantic import Field

from autoadapt.domain.strict import StrictModel
from autoadapt.domain.task import Economics


class Standard(StrictModel):
    """One option that is known."""

    values: dict[str, float]
    """Objectives and limited values by name, as measured."""
    latency_p50_ms: float = Field(gt=0)
    """Median of its single requests."""
    tail: float = Field(ge=1)
    """Its latency as an objective (p95 where it has enough samples) over that median."""


class Standards(StrictModel):
    """What a candidate is compared with after its first single requests."""

    requests: int = Field(ge=1)
    """So many are timed first; the rest only where no option dominates the candidate."""
    economics: Economics
    """Of the task, its price looked up; costs are read with it."""
    options: list[Standard]
