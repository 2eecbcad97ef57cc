"""Latency of single requests, one after the other."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import Objective, Reading
from autoadapt.domain.option import Option
from autoadapt.domain.params import Effect
from autoadapt.economics.rates import typical_ms


class Latency(Objective):
    """p95, or the median of fewer than 59 samples; of an option under load, where that was measured.

    The median of a candidate that was timed by few requests, because a known option dominates it, is multiplied by that
    option's ratio of p95 to median.
    """

    direction: ClassVar[Literal["maximize", "minimize"]] = "minimize"
    unit: ClassVar[str] = "ms"
    title: ClassVar[str] = "latency in ms (p95)"
    changed_by: ClassVar[frozenset[Effect] | None] = frozenset({"answering"})

    def read(self, reading: Reading) -> float:
        return typical_ms(reading.measurement.latency_ms) * reading.measurement.latency_tail

    def of_option(self, option: Option, name: str) -> float:
        return option.latency_p95_ms if option.latency_p95_ms is not None else option.latency_p50_ms
