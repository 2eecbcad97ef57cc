"""Scenario: one use of the result: its volume, price, latency target and hosting."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from autoadapt.domain.counts import GREATEST_COUNT, read_count
from autoadapt.domain.strict import PathText, StrictModel, Usd
from autoadapt.domain.task import Hosting, Limits, Owned

VOLUME_SPREAD = (Decimal(1) / 3, Decimal(3))
"""Low and high as multiples of likely, where a scenario gives one number."""
PRICE_SPREAD = (Decimal(1) / Decimal("1.5"), Decimal("1.5"))
OUTPUT_SPREAD = (Decimal("0.5"), Decimal(2))


def _spread(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 3:
        return dict(zip(("low", "likely", "high"), value, strict=True))
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return {"likely": value}
    if not isinstance(value, dict | Spread):
        raise ValueError(f"'{value}' is no number: give one, or low, likely and high")
    return value


class Spread(StrictModel):
    """Low, likely, high; a lone number is the likely one, the others follow from it by a factor that is printed."""

    low: Usd | None = None
    likely: Usd
    high: Usd | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Spread":
        low, high = self.low, self.high
        if (low is not None and low > self.likely) or (high is not None and high < self.likely):
            raise ValueError(f"low, likely, high must rise: {low}, {self.likely}, {high}")
        return self

    def filled(self, factors: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal, Decimal]:
        """Low, likely, high, with what is missing taken from the likely one."""
        low = self.low if self.low is not None else self.likely * factors[0]
        return low, self.likely, self.high if self.high is not None else self.likely * factors[1]


def _volume(value: Any) -> Any:
    """A spread whose numbers may be written in short form."""
    if isinstance(value, list):
        return _spread([read_count(part) for part in value])
    if isinstance(value, dict):
        return {name: read_count(part) for name, part in value.items()}
    return _spread(read_count(value))


def _positive(value: dict[str, Any] | Spread) -> Any:
    """A spread, each number of which must be greater than 0."""
    numbers = value.model_dump() if isinstance(value, Spread) else value
    if any(isinstance(number, int | float | Decimal) and float(number) <= 0 for number in numbers.values()):
        raise ValueError("must be greater than 0")
    if any(isinstance(number, int | float | Decimal) and number > GREATEST_COUNT for number in numbers.values()):
        raise ValueError("must be at most 1e15")
    return value


AnySpread = Annotated[Spread, BeforeValidator(_spread)]
PositiveSpread = Annotated[Spread, BeforeValidator(_positive), BeforeValidator(_spread)]
Volume = Annotated[Spread, BeforeValidator(_positive), BeforeValidator(_volume)]


class Scenario(Limits):
    """One use of the result; absent fields are taken from the task."""

    volume: Volume | None = None
    """Queries a month: one number, or low, likely, high; 10k, 2.5M and 1B are read too."""
    price: AnySpread | str | None = None
    """USD of one device-hour: one number, or low, likely, high, or a name in the price book."""
    owned: Owned | None = None
    """An owned machine (or the user's device) instead of a rented one."""
    training_price: Usd | None = None
    """USD of one device-hour of training; absent: the task's, of the device that trained."""
    device_speed: float | None = Field(default=None, gt=0)
    """Answers of the scenario's device in the time of one of the device that they were measured on; absent: as fast."""
    output: PositiveSpread = Spread(likely=Decimal(1))
    """Length of answers as a multiple of those measured (free text only; labels do not grow)."""
    hosting: Hosting = "per_use"
    """Absent: the task's. `per_use`: the device time of answers alone; `always_on`: whole replicas day and night;
    `scale_to_zero`: whole replicas that are switched off when idle; `shared`: always on, adapters of one base share the
    replicas."""
    latency_p95_ms: float | None = Field(default=None, gt=0)
    """Latency target in milliseconds, met by at least 99 % of requests."""
    horizon_months: float | None = Field(default=None, gt=0)
    """Months over which trainings are paid off."""
    retrain_months: float | None = Field(default=None, gt=0)
    """Months after which the option is trained again; absent: it is trained once."""
    peak_factor: float = Field(default=1.0, ge=1)
    """Peak rate over mean rate."""
    headroom: float = Field(default=0.0, ge=0)
    """Share of capacity kept free at the peak."""
    replicas: int = Field(default=1, ge=1)
    """Least number of replicas."""
    idle_s: float = Field(default=300, gt=0)
    """Seconds without a request until a replica is switched off (scale_to_zero)."""
    cold_s: float | None = Field(default=None, gt=0)
    """Seconds from switching on to the first answer; absent: as measured."""
    adapters: int = Field(default=1, ge=1)
    """Adapters of equal use on one base model (shared)."""
    unmerged_slowdown: float = Field(default=1.0, ge=1)
    """Device time of an answer with an unmerged adapter over that with merged weights (shared)."""
    ops_usd: Usd = Decimal(0)
    """Operations, USD a month."""
    label_usd: Usd = Decimal(0)
    """What labelling the data cost."""
    monitoring_usd_per_1k: Usd = Decimal(0)
    """Monitoring of 1,000 queries."""
    with_search: bool = False
    """Whether the cost of the search itself is paid off over the horizon too (it is the same for every option)."""
    api: list[str] = Field(default=[])
    """Models at an API whose price for the task's prompts is shown. A model that was measured is priced by what it
    billed; of others neither quality nor reasoning is known."""
    api_reasoning_tokens: float = Field(default=0.0, ge=0)
    """Tokens of reasoning that a model at an API writes before an answer; it bills them as answers."""

    @model_validator(mode="after")
    def _one_price(self) -> "Scenario":
        if self.price is not None and self.owned is not None:
            raise ValueError("give price or owned, not both")
        return self


class Scenarios(StrictModel):
    """A scenarios file."""

    version: Literal[1] = 1
    price_book: PathText | None = None
    """Your own price file."""
    scenarios: dict[str, Scenario] = Field(min_length=1)
    """By name."""
