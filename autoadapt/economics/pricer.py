"""The cost of one option under a scenario, computed from its usage; nothing is run."""

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from autoadapt.domain.comparison import Cell, Priced, Terms
from autoadapt.domain.option import Option, RawOption
from autoadapt.economics import costs
from autoadapt.economics.rates import percentile, run_at, service_rate

ONE, ZERO = Decimal(1), Decimal(0)


@dataclass(frozen=True)
class Service:
    """Serving an option for a month."""

    month_usd: Decimal
    requests_per_s: Decimal
    """Greatest rate of one replica; of a provider, the rate that was measured."""
    replicas: int
    """0 where a provider answers."""
    peak_rate: Decimal
    """Requests per second at the peak."""

    @property
    def rate_each(self) -> float:
        """Peak rate of one replica, or of the provider."""
        return float(self.peak_rate) / max(1, self.replicas)


class Pricer:
    """One option's cost under a scenario, for any volume, price and length of answers.

    Device-seconds of a query are those of the batched evaluation; the share of them spent decoding grows with the
    length of answers. The rate of a replica is the one measured under load; of an option without such a measurement,
    the throughput of its batches times the share of theirs that other options reached under load.

    What a provider bills per query grows with the length of answers in the same way, but depends neither on the price
    of a device-hour nor on hosting; an option that uses no device needs no replica.

    Args:
        option: raw figures.
        terms: the scenario.
        loaded_share: see the function of that name.
        slower: factor on the measured device-seconds of answering, to propagate their error.
    """

    def __init__(self, option: RawOption, terms: Terms, loaded_share: Decimal = ONE, slower: Decimal = ONE) -> None:
        self.option, self.terms, self.scenario = option, terms, terms.scenario
        self._row_seconds = Decimal(repr(option.answering.total_device_seconds)) / option.rows * slower
        self._row_usd = Decimal(repr(option.answering.usd)) / option.rows
        self._train_hours = Decimal(repr(option.training.total_device_seconds)) / 3600
        self._train_usd = Decimal(repr(option.training.usd))
        self._decode = Decimal(repr(option.decode_share))
        scenario = self.scenario
        self._peak, self._headroom = Decimal(repr(scenario.peak_factor)), Decimal(repr(scenario.headroom))
        self._trainings = costs.trainings(terms.horizon_months, _decimal(scenario.retrain_months))
        self._idle = Decimal(repr(scenario.idle_s))
        cold = scenario.cold_s if scenario.cold_s is not None else option.load.cold_start_s if option.load else None
        self._cold = Decimal(repr(cold or 0.0))
        self._unmerged = Decimal(repr(scenario.unmerged_slowdown)) if option.train_seconds else ONE
        self._slower, self._loaded_share = slower, loaded_share
        self._rates: dict[Decimal, Decimal | None] = {}
        self._p95s: dict[float, float | None] = {}

    def training_usd(self, cell: Cell) -> Decimal:
        """USD of one training."""
        return costs.training_usd(1, self._train_hours, cell.hour_usd) + self._train_usd

    def month_usd(self, cell: Cell) -> Decimal:
        """USD a month in all."""
        return self._usd_per_1k(cell, self._service(cell)) * cell.volume / 1000

    def price(self, cell: Cell) -> Priced:
        """Cost, replicas and latency of the option."""
        service = self._service(cell)
        per_1k = self._usd_per_1k(cell, service)
        return Priced.model_construct(
            trial=self.option.trial,
            serving_usd_per_month=service.month_usd,
            usd_per_month=per_1k * cell.volume / 1000,
            usd_per_1k=per_1k,
            training_usd=self.training_usd(cell),
            floor_usd_per_1k=self._floor_usd_per_1k(cell, service),
            kwh_per_1k=self._kwh_per_1k(),
            replicas=service.replicas,
            requests_per_s=float(service.requests_per_s),
            rate_measured=self._rate_is_measured(cell),
            latency_p95_ms=self._latency_p95_ms(cell, service),
        )

    def as_option(self, cell: Cell) -> Option:
        """The option with the cost and latency of a scenario's numbers."""
        service = self._service(cell)
        figures = {
            "cost_usd_per_1k": float(self._usd_per_1k(cell, service)),
            "inference_usd_per_1k": float(self._answer_usd(cell) * 1000),
            "training_usd": float(self.training_usd(cell)),
            "latency_p95_ms": self._latency_p95_ms(cell, service),
            "requests_per_s": float(service.requests_per_s) if self._rate_is_measured(cell) else None,
        }
        return self._unpriced.model_copy(update=figures)

    def _answer_usd(self, cell: Cell) -> Decimal:
        """USD of an answer: its device time, and what a provider bills."""
        return (self._row_seconds * cell.hour_usd / 3600 + self._row_usd) * self._longer(cell)

    def _rate_is_measured(self, cell: Cell) -> bool:
        return self._measured_rate(self._longer(cell)) is not None

    def _longer(self, cell: Cell) -> Decimal:
        """Device time of an answer over that of the answers measured."""
        return 1 + self._decode * (cell.output - 1)

    def _measured_rate(self, longer: Decimal) -> Decimal | None:
        """Greatest measured rate at which answers that take `longer` times the time meet the latency target."""
        if longer not in self._rates:
            target, load = self.terms.constraints.latency_p95_ms, self.option.load
            rate = service_rate(load, target / float(longer) if target else None) if load else None
            self._rates[longer] = None if rate is None else Decimal(repr(rate)) / longer / self._slower
        return self._rates[longer]

    def _service(self, cell: Cell) -> Service:
        longer = self._longer(cell)
        peak = costs.peak_rate(cell.volume, self._peak)
        billed = cell.volume * self._row_usd * longer
        if not self._row_seconds:
            rate = self._measured_rate(longer) or self._provider_rate / longer
            return Service(billed + self.scenario.ops_usd, rate, 0, peak)
        seconds = self._row_seconds * longer
        rate = self._measured_rate(longer) or self._loaded_share / seconds
        count = costs.replicas(peak, rate, self._headroom, self.scenario.replicas)
        devices_usd = self._devices_usd(cell, seconds, Service(ZERO, rate, count, peak))
        return Service(billed + devices_usd, rate, count, peak)

    @functools.cached_property
    def _provider_rate(self) -> Decimal:
        seconds = self.option.inference_seconds
        return self.option.rows / Decimal(repr(seconds)) if seconds else ONE

    def _devices_usd(self, cell: Cell, seconds: Decimal, service: Service) -> Decimal:
        """USD a month of the devices that answer, each query taking `seconds`, and of operations."""
        scenario, hosting, count = self.scenario, self.scenario.hosting, service.replicas
        busy_hours = cell.volume * seconds / 3600
        if hosting == "per_use":
            return costs.month_usd(1, 1, cell.hour_usd, busy_hours, scenario.ops_usd)
        if hosting == "scale_to_zero":
            starts, waited = costs.poisson_idle(cell.volume / count, self._idle)
            hours = costs.scale_to_zero_hours(busy_hours / count + waited, starts, self._cold, self._idle)
            return costs.month_usd(count, 1, cell.hour_usd, hours, scenario.ops_usd)
        if hosting == "shared" and self.option.shares_base:
            # every adapter has this scenario's use: together they need as many replicas as their requests do
            together = service.peak_rate * scenario.adapters
            rate = service.requests_per_s / self._unmerged
            count = costs.replicas(together, rate, self._headroom, scenario.replicas)
            month = costs.month_usd(count, 1, cell.hour_usd, operations=scenario.ops_usd)
            return costs.adapter_usd(month, busy_hours, busy_hours * scenario.adapters)
        return costs.month_usd(count, 1, cell.hour_usd, operations=scenario.ops_usd)

    def _usd_per_1k(self, cell: Cell, service: Service) -> Decimal:
        training, scenario = self.training_usd(cell), self.scenario
        return costs.total_usd_per_1k(
            costs.usd_per_1k(service.month_usd, cell.volume),
            costs.invested_usd(training, self._trainings, self.terms.search_usd, scenario.label_usd),
            cell.volume,
            self.terms.horizon_months,
            scenario.monitoring_usd_per_1k,
        )

    def _floor_usd_per_1k(self, cell: Cell, service: Service) -> Decimal:
        billed = self._row_usd * self._longer(cell) * 1000
        if not service.replicas:
            return billed
        used = 1 / (1 + self._headroom)
        return costs.floor_usd_per_1k(1, cell.hour_usd, service.requests_per_s, used) + billed

    @functools.cached_property
    def _unpriced(self) -> Option:
        shared = {name: getattr(self.option, name) for name in Option.model_fields if name in RawOption.model_fields}
        priced = {"cost_usd_per_1k": 0.0, "inference_usd_per_1k": 0.0, "training_usd": 0.0}
        return Option(**{**shared, **priced, "on_frontier": True})

    def _kwh_per_1k(self) -> float | None:
        joules, owned = self.option.answering.joules, self.scenario.owned
        if joules is None:
            return None
        per_1k = Decimal(repr(joules)) / self.option.rows * 1000
        return float(costs.energy_kwh(per_1k, Decimal(repr(owned.pue if owned else 1.0))))

    def _latency_p95_ms(self, cell: Cell, service: Service) -> float | None:
        option, rate, longer = self.option, service.rate_each, float(self._longer(cell))
        if option.load is not None and option.load.runs:
            run = run_at(option.load, rate)
            if run.rate not in self._p95s:
                self._p95s[run.rate] = percentile(run.e2el_ms, 95)
            p95 = self._p95s[run.rate]
            if p95 is not None:
                return p95 * longer
        return None if option.latency_p95_ms is None else option.latency_p95_ms * longer


def loaded_share(raws: Sequence[RawOption], terms: Terms) -> Decimal:
    """Median over options of the rate under load over the throughput of batches; 1 where none was measured."""
    shares = []
    for raw in raws:
        rate = service_rate(raw.load, terms.constraints.latency_p95_ms) if raw.load else None
        if rate is not None and raw.answering.total_device_seconds:
            shares.append(rate * raw.answering.total_device_seconds / raw.rows)
    return Decimal(repr(statistics.median(shares))) if shares else ONE


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))
