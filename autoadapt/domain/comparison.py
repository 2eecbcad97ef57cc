"""Results of scenarios: one column per scenario, break-even volumes, the price of the same tokens at an API."""

from decimal import Decimal

from pydantic import Field

from autoadapt.domain.option import Option
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.strict import StrictModel, Usd
from autoadapt.domain.task import Advice, Constraints


class Cell(StrictModel):
    """The numbers of one scenario that are uncertain; their combinations make the sensitivity cube."""

    volume: Usd
    """Queries a month."""
    hour_usd: Usd
    """One device-hour, overhead included."""
    output: Usd
    """Length of answers as a multiple of those measured."""


class Terms(StrictModel):
    """A scenario whose open fields are filled from the task and whose prices are looked up."""

    name: str
    scenario: Scenario
    volumes: tuple[Usd, Usd, Usd]
    """Queries a month: low, likely, high."""
    hour_usd: tuple[Usd, Usd, Usd]
    """USD of one device-hour of serving, overhead included."""
    off_hour_usd: Usd = Decimal(0)
    """USD of one hour in which a replica is switched off: what an owned machine costs all the same."""
    training_hour_usd: Usd
    """USD of one device-hour of training, overhead included."""
    outputs: tuple[Usd, Usd, Usd]
    horizon_months: Usd
    search_usd: Usd
    """Cost of the search that is paid off over the horizon; 0: it is not counted."""
    constraints: Constraints
    advice: Advice = Advice()
    """What may be given up for a lower cost."""
    price_source: str
    """Where the price comes from."""

    def cell(self, volume: int = 1, price: int = 1, output: int = 1) -> Cell:
        """0 low, 1 likely, 2 high of each."""
        return Cell(volume=self.volumes[volume], hour_usd=self.hour_usd[price], output=self.outputs[output])


class Priced(StrictModel):
    """One option under a scenario's numbers."""

    trial: int
    serving_usd_per_month: Usd
    usd_per_month: Usd
    """Serving, and trainings (and search and labels where counted) spread over the horizon, and monitoring."""
    usd_per_1k: Usd
    training_usd: Usd
    """One training."""
    floor_usd_per_1k: Usd
    """The cost of serving 1,000 queries that is approached as the volume grows and devices are fully used."""
    kwh_per_1k: float | None = None
    """Energy of 1,000 queries; None: this machine had no counter."""
    replicas: int
    """0 where a provider answers."""
    requests_per_s: float | None
    """Greatest rate of one replica within the latency target; None: it meets the target at no rate."""
    rate_measured: bool
    """Whether that was measured under load; otherwise it is a bound between two measured rates, or estimated from
    single requests and the throughput of batches."""
    latency_p95_ms: float | None
    """At the scenario's peak rate where measured under load, else of single requests, cold starts included; None: fewer
    than 59 samples."""
    within_target: float | None
    """Share of requests within the latency target, cold starts included; None: there is no target, or it was not
    measured under load, or by fewer than 59 single requests."""


class BreakEven(StrictModel):
    """Where two neighbouring options cost the same a month."""

    trial: int
    """The one that is cheaper at small volumes."""
    other: int
    volumes: list[Usd]
    """Queries a month; several where costs cross several times, as replicas are whole; empty: none in range."""
    low: Usd | None
    high: Usd | None
    """Range of the first volume if times are wrong by 10 % and answers shorter or longer; None: it may not exist."""
    cheaper: int | None = None
    """Without a break-even: the option that is cheaper in the whole range; None: they cost the same."""


class ApiPrice(StrictModel):
    """The task's prompts at a model behind an API."""

    model: str
    prompt_of: int
    """Trial whose prompt is priced: the best one without training; or the trial that measured this very model."""
    measured: bool
    """Whether the model was measured: then the price is what it billed."""
    tokens_in: float
    """Of a query, on average."""
    tokens_out: float
    """Reasoning included."""
    usd_per_1k: Usd
    low: Usd
    high: Usd
    """With token counts at the ends of their 95 % bootstrap intervals over rows, and short and long answers."""
    usd_per_month: Usd
    """Monitoring included, as of every option."""
    source: str
    cheaper_from: Usd | None
    """Queries a month from which the recommended option costs less; None: at no volume, or none is recommended."""


class Column(StrictModel):
    """One scenario."""

    terms: Terms
    recommended: int | None
    reason: str
    binding: list[str]
    """Constraints without which another option would be recommended."""
    wins: int
    """In how many of the cells it is recommended."""
    cells: int
    """Combinations of low, likely and high volume, price and, where answers are written, their length: 9 or 27."""
    winners: dict[int, int]
    """Trial -> cells in which it is recommended; options recommended in no cell are absent."""
    priced: list[Priced]
    """Every option that could be recommended in some scenario."""
    options: list[Option]
    """The same options with cost and latency under this scenario's likely numbers."""
    break_even: list[BreakEven]
    api: list[ApiPrice]
    warnings: list[str] = Field(default=[])

    @property
    def chosen(self) -> Priced | None:
        """The recommended option's figures."""
        return next((p for p in self.priced if p.trial == self.recommended), None)
