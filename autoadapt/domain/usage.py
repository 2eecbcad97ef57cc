"""Usage: what a piece of work used up, in raw quantities; dollars are computed from it later."""

from collections.abc import Iterable

from pydantic import Field

from autoadapt.domain.strict import StrictModel


class Usage(StrictModel):
    """Quantities that add up. Budget, costs and plans are computed from these alone."""

    device_seconds: dict[str, float] = Field(default={})
    """Kind of device -> seconds times devices held."""
    tokens_in: int = 0
    """Input tokens read for the first time."""
    tokens_cached: int = 0
    """Input tokens found in a cache."""
    tokens_out: int = 0
    """Tokens written."""
    tokens_reasoning: int = 0
    """Of the tokens written, those that a model reasoned with before it answered."""
    usd: float = 0.0
    """Billed by a provider, apart from device time."""
    usd_estimated: bool = False
    """Whether a part of `usd` was estimated because the provider did not state it."""
    joules: float | None = None
    """Energy drawn; None: this machine has no counter that may be read."""

    @property
    def total_device_seconds(self) -> float:
        """Device-seconds of all kinds together."""
        return sum(self.device_seconds.values())

    def plus(self, other: "Usage") -> "Usage":
        """Both together; energy is known only where both know it, or where one used nothing."""
        kinds = {**self.device_seconds}
        for kind, seconds in other.device_seconds.items():
            kinds[kind] = kinds.get(kind, 0.0) + seconds
        joules = [u.joules for u in (self, other) if u != Usage()]
        return Usage(
            device_seconds=kinds,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            tokens_out=self.tokens_out + other.tokens_out,
            tokens_reasoning=self.tokens_reasoning + other.tokens_reasoning,
            usd=self.usd + other.usd,
            usd_estimated=self.usd_estimated or other.usd_estimated,
            joules=None if None in joules else sum(j for j in joules if j is not None) if joules else None,
        )

    def times(self, factor: float) -> "Usage":
        """A multiple of it; tokens are rounded to whole ones."""
        return Usage(
            device_seconds={kind: seconds * factor for kind, seconds in self.device_seconds.items()},
            tokens_in=round(self.tokens_in * factor),
            tokens_cached=round(self.tokens_cached * factor),
            tokens_out=round(self.tokens_out * factor),
            usd=self.usd * factor,
            usd_estimated=self.usd_estimated,
            joules=None if self.joules is None else self.joules * factor,
        )


def total_usage(usages: Iterable[Usage]) -> Usage:
    """The sum of several usages."""
    total = Usage()
    for usage in usages:
        total = total.plus(usage)
    return total
