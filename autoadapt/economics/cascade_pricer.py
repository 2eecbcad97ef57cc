"""The cost of any option under a scenario: of a trial, or of a cascade of two, both of which must be served."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from autoadapt.domain.comparison import Cell, Terms
from autoadapt.domain.option import RawOption
from autoadapt.economics.pricer import ONE, Loaded, Pricer, Service, loaded_share
from autoadapt.economics.queueing import most_within, with_cold_starts
from autoadapt.economics.rates import mixed_latency, mixture_share

LEAST_VOLUME, MOST_VOLUME, VOLUMES = 100, 10**9, 71
"""Queries a month of cost curves, and the number of their points."""


def pricer_of(option: RawOption, terms: Terms, share: Decimal = ONE, slower: Decimal = ONE) -> Pricer:
    """The pricer of a trial or a cascade.

    Args:
        option: raw figures.
        terms: the scenario.
        share: see `economics.pricer.loaded_share`.
        slower: factor on the measured device-seconds of answering.
    """
    kind = Pricer if option.cascade is None else CascadePricer
    return kind(option, terms, share, slower)


class CascadePricer(Pricer):
    """A cascade's cost under a scenario: every query goes to its first part, a share of them to its second part too.

    Both parts are trained, and each has its own replicas, so that costs that do not depend on use add up. Its latency
    is that of the mixture, from both parts' load tests where both have one (their queues are taken to be independent),
    else from single requests.

    Args:
        as of `Pricer`; the option has its parts.
    """

    def __init__(self, option: RawOption, terms: Terms, loaded_share: Decimal = ONE, slower: Decimal = ONE) -> None:
        super().__init__(option, terms, loaded_share, slower)
        if option.cascade is None or option.parts is None:
            raise ValueError(f"trial {option.trial} is no cascade with its parts")
        self._kept = option.cascade.kept
        self._passed = 1 - Decimal(repr(self._kept))
        """Share of queries that the second part answers too."""
        self._first, self._second = (Pricer(part, terms, loaded_share, slower) for part in option.parts)
        self._mixed: dict[tuple[float, float, Decimal, float], float | None] = {}

    def training_usd(self) -> Decimal:
        return self._first.training_usd() + self._second.training_usd()

    def _answer_usd(self, cell: Cell) -> Decimal:
        return self._first._answer_usd(cell) + self._passed * self._second._answer_usd(cell)

    def _rate_is_measured(self, cell: Cell) -> bool:
        return self._first._rate_is_measured(cell) and self._second._rate_is_measured(cell)

    def _stated_rate(self, cell: Cell, service: Service) -> float | None:
        services = self._services(cell)
        first = self._first._stated_rate(cell, services[0])
        second = self._second._stated_rate(self._second_cell(cell), services[1])
        return None if first is None or second is None else float(service.requests_per_s)

    def _second_cell(self, cell: Cell) -> Cell:
        return cell.model_copy(update={"volume": cell.volume * self._passed})

    def _services(self, cell: Cell) -> tuple[Service, Service]:
        return self._first._service(cell), self._second._service(self._second_cell(cell))

    def _service(self, cell: Cell) -> Service:
        first, second = self._services(cell)
        # operations are paid once; an adapter among several pays its share of them
        twice = self.scenario.ops_usd / (self.scenario.adapters if self._second._shares else 1)
        return Service(
            month_usd=first.month_usd + second.month_usd - twice,
            requests_per_s=min(first.requests_per_s, second.requests_per_s / self._passed),
            replicas=first.replicas + second.replicas,
            peak_rate=first.peak_rate,
        )

    def _floor_usd_per_1k(self, cell: Cell, service: Service) -> Decimal:
        first, second = self._services(cell)
        floor = self._second._floor_usd_per_1k(self._second_cell(cell), second)
        return self._first._floor_usd_per_1k(cell, first) + self._passed * floor

    def _latency_p95_ms(self, cell: Cell, service: Service, stretch: float = 1.0) -> float | None:
        first, second = self._services(cell)
        key = (first.rate_each, second.rate_each, cell.output, stretch)
        if key not in self._mixed:
            self._mixed[key] = self._mixture_p95_ms(cell, first, second, stretch)
        return self._mixed[key]

    def _mixture_p95_ms(self, cell: Cell, first: Service, second: Service, stretch: float) -> float | None:
        loads = self._loads_of_parts(cell, first, second, stretch)
        if loads is not None:
            return mixed_latency(loads[0].latency_ms, loads[1].latency_ms, self._kept, 95)
        if self.option.parts_latency_ms is None:
            return None
        parts = zip((self._first, self._second), (first, second), self.option.parts_latency_ms, strict=True)
        a, b = (
            with_cold_starts([ms * float(part._time(cell)) * stretch for ms in samples], service.on)
            for part, service, samples in parts
        )
        return mixed_latency(a, b, self._kept, 95, aligned=first.on is None and second.on is None)

    def _within_target(self, cell: Cell, service: Service) -> float | None:
        target, (first, second) = self.terms.constraints.latency_p95_ms, self._services(cell)
        if target is None:
            return None
        loads = self._loads_of_parts(cell, first, second)
        if loads is None:
            return None if first.on is None else most_within(first.on, target)
        answered = loads[0].answered * (self._kept + (1 - self._kept) * loads[1].answered)
        return answered * mixture_share(loads[0].latency_ms, loads[1].latency_ms, self._kept, target)

    def _loads_of_parts(
        self, cell: Cell, first: Service, second: Service, stretch: float = 1.0
    ) -> tuple[Loaded, Loaded] | None:
        """Both parts under load, at the rates that reach each; None: one of them was not measured."""
        a = self._first._loaded(cell, first, stretch)
        b = self._second._loaded(self._second_cell(cell), second, stretch)
        return (a, b) if a is not None and b is not None else None


def monthly_costs(
    raws: Sequence[RawOption], terms: Terms, volumes: Sequence[float] = ()
) -> dict[int, list[tuple[float, float]]]:
    """(Queries a month, USD a month) of each option by trial.

    Args:
        raws: options.
        terms: the scenario.
        volumes: queries a month; empty: from 100 to 1,000,000,000 on a logarithmic scale.
    """
    share, curves = loaded_share(raws, terms), {}
    volumes = list(volumes) or [float(v) for v in np.geomspace(LEAST_VOLUME, MOST_VOLUME, VOLUMES)]
    cells = [terms.cell().model_copy(update={"volume": Decimal(repr(round(v)))}) for v in volumes]
    for raw in raws:
        pricer = pricer_of(raw, terms, share)
        curves[raw.trial] = [(v, float(pricer.month_usd(c))) for v, c in zip(volumes, cells, strict=True)]
    return curves
