"""Prices of device-hours and of tokens, with their source and date."""

import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from autoadapt.domain.strict import StrictModel, Usd

STALE_DAYS = 60
"""Age from which a price is reported as old."""


def _to_date(value: object) -> object:
    # YAML makes a date of 2026-11-09 and a text of "2026-11-09", which a strict date refuses
    if not isinstance(value, str):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"should be a date such as 2026-11-09, not {value[:40]!r}") from None


class Quote(StrictModel):
    """Provider, source and date of a price."""

    provider: str
    tier: str = "standard"
    region: str = "not stated"
    source: str
    date: Annotated[datetime.date | None, BeforeValidator(_to_date)] = None
    """When it was read; None for the snapshot of a package, whose version `source` gives."""

    def age_days(self, today: datetime.date) -> int | None:
        """Days since it was read; None where that is not known."""
        return None if self.date is None else (today - self.date).days

    def stale_now(self) -> str | None:
        """A warning when the price is older than 60 days now."""
        return self.stale(datetime.datetime.now(datetime.UTC).date())

    def stale(self, today: datetime.date) -> str | None:
        """A warning when the price is older than 60 days."""
        age = self.age_days(today)
        if age is None or age <= STALE_DAYS:
            return None
        return f"the price of {self.name} is {age} days old ({self.date}, {self.source}): check it"

    @property
    def name(self) -> str:
        """The name by which tasks refer to it."""
        return self.provider

    @property
    def description(self) -> str:
        """Name, region, source and date in one line."""
        return f"{self.name} (region {self.region}), {self.source}" + (f", {self.date}" if self.date else "")


class DevicePrice(Quote):
    """One device for one hour."""

    device: str
    usd_per_hour: Usd

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.device}/{self.tier}"


class TokenPrice(Quote):
    """A model at an API, in USD per million tokens."""

    model: str
    input: Usd
    cached: Usd | None = None
    """Input found in the provider's cache; None: cached input has no price of its own and costs as fresh input does."""
    cache_write: Usd | None = None
    output: Usd

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}/{self.tier}"


class PriceBook(StrictModel):
    """A price file."""

    version: Literal[1] = 1
    devices: list[DevicePrice] = Field(default=[])
    tokens: list[TokenPrice] = Field(default=[])
