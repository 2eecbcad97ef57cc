"""TrialRow: one trial of a study in one flat row, for tables, figures and exports."""

from pydantic import Field

from autoadapt.domain.candidate import Params
from autoadapt.domain.outcome import FailureClass, Stage
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.trial_state import TrialState


class TrialRow(StrictModel):
    """What was asked and what was measured; of the last step that was measured, where a trial had several rungs.

    Raw figures stand as they were measured; `cost_usd_per_1k` is computed from them under the task's economics.
    """

    trial: int
    state: TrialState
    """A cached one repeats `same_as`."""
    method: str
    model: str
    params: Params
    same_as: int | None = None
    rungs: int = 0
    """Steps that gave a measurement."""
    rows: int = 0
    """Validation rows answered."""
    values: dict[str, float] = Field(default={})
    """Every objective of the task by name; empty: nothing was measured."""
    quality: float | None = None
    """The metric on these rows; None: nothing was measured."""
    quality_expected: float | None = None
    """Corrected by similar trials; of complete trials."""
    quality_low: float | None = None
    quality_high: float | None = None
    """95 % interval; of complete trials."""
    test_quality: float | None = None
    test_low: float | None = None
    test_high: float | None = None
    test_rows: int = 0
    cost_usd_per_1k: float | None = None
    latency_ms: float | None = None
    """The objective: p95 of single requests, or the median of too few."""
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    """None: fewer than 59 samples, too few to state it."""
    on_frontier: bool = False
    within_noise: bool = False
    """Dominated, but only by differences within measurement error."""
    train_seconds: float = 0.0
    train_steps: int = 0
    train_steps_planned: int = 0
    """More than `train_steps` where the budget did not pay for all, or where training stopped early."""
    train_tokens: int = 0
    train_loss: list[float] = Field(default=[])
    inference_seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    energy_joules: float | None = None
    peak_memory_bytes: int = 0
    artifact_bytes: int = 0
    parameters_trained: int = 0
    hardware: str | None = None
    devices: int = 0
    device_seconds: float = 0.0
    """Of all of its steps on validation rows."""
    usd: float = 0.0
    """The same in USD, by the task's price of a device-hour."""
    seed: int | None = None
    begun: str | None = None
    ended: str | None = None
    """Local time, ISO 8601; None: it still runs."""
    failure: FailureClass | None = None
    stage: Stage | None = None
    reason: str | None = None
    """Why it failed, or was stopped."""
