"""Option, Recommendation: what the outcomes of a study come to."""

from pydantic import Field

from autoadapt.domain.candidate import Params
from autoadapt.domain.load import Load
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage


class Scored(StrictModel):
    """One way to adapt, with its quality: what is the same under any economics."""

    trial: int
    method: str
    model: str
    params: Params
    quality: float
    """On validation rows, which the search chose by, so that it is a little too high on average."""
    quality_ci: tuple[float, float]
    """95 % interval."""
    quality_expected: float
    """The same, corrected by what similar candidates showed where the sampler models them: a lucky measurement stands
    out less. It decides what is on the frontier; without such a sampler it equals `quality`."""
    test_quality: float | None = None
    """On test rows the search never saw."""
    test_quality_ci: tuple[float, float] | None = None
    test_rows: int = 0
    train_seconds: float
    artifact_bytes: int
    peak_memory_bytes: int
    values: dict[str, float]
    """Every objective of the task by name, as measured on validation rows."""
    latency_p50_ms: float
    """Single requests, one after the other."""
    latency_p95_ms: float | None
    """None: fewer than 59 samples, too few to state a 95th percentile."""
    network: bool = False
    """Whether latencies are those that a client of a server saw, with the network and the server's queue in them."""

    @property
    def best_known_quality(self) -> tuple[float, tuple[float, float]]:
        """Quality and its 95 % interval: on test rows where it was re-scored, else on validation rows."""
        if self.test_quality is not None and self.test_quality_ci is not None:
            return self.test_quality, self.test_quality_ci
        return self.quality, self.quality_ci


class RawOption(Scored):
    """Raw figures of one trial at full fidelity, from ``results.json``; all scenarios are priced from them."""

    hardware: str
    devices: int
    """Held while training; answers are given by one."""
    training: Usage
    """What training the option used, in all."""
    answering: Usage
    """What answering `rows` in batches used."""
    inference_seconds: float
    """Wall-clock, to answer `rows` in batches."""
    rows: int
    tokens_in: int
    """Of all rows together, as this model counts them."""
    tokens_shared: int
    """Of each row's input tokens, those that all rows begin with: a provider's cache would hold them."""
    tokens_out: int
    tokens_in_ci: tuple[float, float]
    """95 % bootstrap interval over rows of the mean per row."""
    tokens_out_ci: tuple[float, float]
    free_text: bool
    """Whether answers are written, so that their length can grow; labels are chosen."""
    decode_share: float
    """Share of a request's time that grows with the length of its answer (0 for labels)."""
    load: Load | None = None
    """Under load, alone on its device; None: not measured."""
    shares_base: bool
    """Whether many such options can be served on one copy of the base model."""
    on_frontier: bool
    """Of the task's own economics."""
    weights_kept: bool
    """False: it was trained, and its weights were deleted when others dominated it."""


class Option(Scored):
    """One way to adapt, measured at full fidelity, under some economics: a row of ``frontier.json``.

    Its `latency_p95_ms` is that under load, at the busiest rate expected, where that was measured.
    """

    cost_usd_per_1k: float
    inference_usd_per_1k: float
    """Part of the cost: device time of answering."""
    training_usd: float
    """What training this option cost, in all."""
    on_frontier: bool = True
    """False only for the baseline, when it is dominated."""
    requests_per_s: float | None = None
    """Greatest measured rate at which one replica meets the latency target (without one: keeps up); None: not
    measured under load, or not even the lowest rate did."""


class Recommendation(StrictModel):
    """What is advised, and why, in one sentence."""

    scenario: str
    trial: int | None
    """None: no option satisfies the constraints."""
    reason: str
    meets_constraints: bool
    best_quality: int | None
    cheapest: int | None
    fastest: int | None
    baseline: int | None
    """The untuned zero-shot prompt."""
    tied: list[int] = Field(default=[])
    """Options that are as good as the best that satisfies the constraints, as far as rows can tell, that one apart."""
    cheaper_equivalent: int | None = None
    """The recommended option where it is the cheapest of these ties and not the best one itself."""


class Spent(StrictModel):
    """What a study has cost so far, over all its runs."""

    trials: int = 0
    """Candidates tried, cached answers apart."""
    usd: float = 0.0
    device_seconds: float = 0.0
    fit_measure_seconds: float = 0.0
    """Of the device-seconds, those spent fitting and measuring."""
    wall_seconds: float = 0.0
