"""The cost of one option under a scenario, computed from its usage; nothing is run."""

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from autoadapt.domain.comparison import Cell, Priced, Terms
from autoadapt.domain.load import Load
from autoadapt.domain.option import Option, RawOption
from autoadapt.economics import costs
from autoadapt.economics.batching import completed, estimated_runs
from autoadapt.economics.queueing import (
    Capacity,
    answered_share,
    capacity,
    latencies_at,
    most_within,
    with_cold_starts,
)
from autoadapt.economics.rates import least_samples, percentile

ONE, ZERO = Decimal(1), Decimal(0)
BUSY = 0.02
"""Share of the time that a replica answers below which requests hardly ever wait for each other."""


@dataclass(frozen=True)
class Service:
    """Serving an option for a month."""

    month_usd: Decimal
    requests_per_s: Decimal
    """Rate by which replicas are counted: the greatest of one replica, or where it meets the latency target at no rate,
    the throughput of its batches; of a provider, the rate that was measured."""
    replicas: int
    """0 where a provider answers."""
    peak_rate: Decimal
    """Requests per second at the peak, of all that share the replicas."""
    on: costs.ScaleToZero | None = None
    """None: the replicas are never switched off."""

    @property
    def rate_each(self) -> float:
        """Peak rate of one replica, or of the provider."""
        return float(self.peak_rate) / max(1, self.replicas)


@dataclass(frozen=True)
class Loaded:
    """Requests to a replica under load.

    Args:
        latency_ms: of those that were answered, or quantiles of it.
        measured: samples from which that follows.
        answered: share of the requests that were answered.
    """

    latency_ms: Sequence[float]
    measured: int
    answered: float


class Pricer:
    """One option's cost under a scenario, for any volume, price and length of answers.

    Device-seconds of a query are those of the batched evaluation; the share of them spent decoding grows with the
    length of answers. The rate of a replica is the one measured under load; of an option without such a measurement,
    the throughput of its batches times the share of theirs that other options reached under load. Training is paid for
    at the price of the device that trained, serving at the scenario's.

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
        self._shares = scenario.hosting == "shared" and option.shares_base
        """Whether it is one of several adapters on the same replicas."""
        unmerged = Decimal(repr(scenario.unmerged_slowdown)) if self._shares and option.train_seconds else ONE
        self._slowdown = unmerged / Decimal(repr(scenario.device_speed or 1.0))
        """Time of an answer of the same length over that measured."""
        self._slower, self._loaded_share = slower, loaded_share
        self._capacities: dict[Decimal, Capacity | None] = {}
        self._loads: dict[tuple[str, Decimal, float, Decimal, float], Loaded] = {}

    def training_usd(self) -> Decimal:
        """USD of one training."""
        return costs.training_usd(1, self._train_hours, self.terms.training_hour_usd) + self._train_usd

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
            training_usd=self.training_usd(),
            floor_usd_per_1k=self._floor_usd_per_1k(cell, service),
            kwh_per_1k=self._kwh_per_1k(),
            replicas=service.replicas,
            requests_per_s=self._stated_rate(cell, service),
            rate_measured=self._rate_is_measured(cell),
            latency_p95_ms=self._latency_p95_ms(cell, service),
            within_target=self._within_target(cell, service),
        )

    def as_option(self, cell: Cell) -> Option:
        """The option with the cost and latency of a scenario's numbers."""
        service = self._service(cell)
        figures = {
            "cost_usd_per_1k": float(self._usd_per_1k(cell, service)),
            "inference_usd_per_1k": float(self._answer_usd(cell) * 1000),
            "training_usd": float(self.training_usd()),
            "latency_p95_ms": self._latency_p95_ms(cell, service),
            "latency_p95_high_ms": self._latency_p95_ms(cell, service, self.option.p95_high),
            "requests_per_s": self._stated_rate(cell, service) if self._rate_is_measured(cell) else None,
            "within_target": self._within_target(cell, service),
        }
        return self._unpriced.model_copy(update=figures)

    def _answer_usd(self, cell: Cell) -> Decimal:
        """USD of an answer: its device time, and what a provider bills."""
        return self._row_seconds * self._time(cell) * cell.hour_usd / 3600 + self._row_usd * self._longer(cell)

    def _rate_is_measured(self, cell: Cell) -> bool:
        found = self._capacity(self._answer_time(cell)) if self._tested is not None else None
        return found is not None and found.measured and found.rate is not None

    def _stated_rate(self, cell: Cell, service: Service) -> float | None:
        """Greatest rate of one replica; None: it meets the latency target at no rate."""
        found = self._capacity(self._answer_time(cell))
        return None if found is not None and found.rate is None else float(service.requests_per_s)

    def _longer(self, cell: Cell) -> Decimal:
        """Device time of an answer over that of the answers measured, on the same device."""
        return 1 + self._decode * (cell.output - 1)

    def _time(self, cell: Cell) -> Decimal:
        """Device time of an answer over that measured: on the scenario's device, with weights as they are served."""
        return self._longer(cell) * self._slowdown

    def _answer_time(self, cell: Cell) -> Decimal:
        """The same, or that of a provider, which depends on the length of answers alone."""
        return self._time(cell) if self._row_seconds else self._longer(cell)

    def _capacity(self, time: Decimal) -> Capacity | None:
        """What a replica can take whose answers take `time` times as long; None: not measured under load.

        Rates are those of the measurement, against a target that is as much shorter.
        """
        if time not in self._capacities:
            target = self.terms.constraints.latency_p95_ms
            load = self._tested or (self._estimated if target else None)
            shorter = target / float(time) if target else None
            self._capacities[time] = None if load is None else capacity(load, shorter)
        return self._capacities[time]

    def _rate(self, time: Decimal) -> Decimal | None:
        """Requests per second that a replica can take; None: not measured, or it meets the target at no rate."""
        found = self._capacity(time)
        return None if found is None or found.rate is None else Decimal(repr(found.rate)) / time / self._slower

    def _service(self, cell: Cell) -> Service:
        time, longer = self._time(cell), self._longer(cell)
        peak = costs.peak_rate(cell.volume, self._peak)
        billed = cell.volume * self._row_usd * longer
        if not self._row_seconds:
            rate = self._rate(longer) or self._provider_rate / longer
            return Service(billed + self.scenario.ops_usd, rate, 0, peak)
        seconds = self._row_seconds * time
        rate = self._rate(time) or self._loaded_share / seconds
        # every adapter has this scenario's use: together they need as many replicas as their requests do
        together = peak * self.scenario.adapters if self._shares else peak
        count = costs.replicas(together, rate, self._headroom, self.scenario.replicas)
        on = None
        if self.scenario.hosting == "scale_to_zero":
            on = costs.scale_to_zero(cell.volume / count, seconds, self._cold, self._idle)
        devices_usd = self._devices_usd(cell, cell.volume * seconds / 3600, count, on)
        return Service(billed + devices_usd, rate, count, together, on)

    @functools.cached_property
    def _provider_rate(self) -> Decimal:
        seconds = self.option.inference_seconds
        return self.option.rows / Decimal(repr(seconds)) if seconds else ONE

    def _devices_usd(self, cell: Cell, busy_hours: Decimal, count: int, on: costs.ScaleToZero | None) -> Decimal:
        """USD a month of the devices that answer, and of operations.

        Args:
            cell: the scenario's numbers.
            busy_hours: in which this option's queries are answered.
            count: replicas.
            on: when they are on; None: always.
        """
        scenario = self.scenario
        if scenario.hosting == "per_use":
            return costs.month_usd(1, 1, cell.hour_usd, busy_hours, scenario.ops_usd)
        hours_on = costs.HOURS_A_MONTH if on is None else on.hours_on
        # a machine of one's own loses its value while it is off, too
        off_usd = self.terms.off_hour_usd * cell.hour_usd / self.terms.hour_usd[1] if self.terms.off_hour_usd else ZERO
        off = costs.month_usd(count, 1, off_usd, costs.HOURS_A_MONTH - hours_on)
        month = costs.month_usd(count, 1, cell.hour_usd, hours_on, scenario.ops_usd) + off
        return costs.adapter_usd(month, busy_hours, busy_hours * scenario.adapters) if self._shares else month

    def _usd_per_1k(self, cell: Cell, service: Service) -> Decimal:
        training, scenario = self.training_usd(), self.scenario
        # the search has trained the option once already
        times = max(0, self._trainings - 1) if self.terms.search_usd else self._trainings
        return costs.total_usd_per_1k(
            costs.usd_per_1k(service.month_usd, cell.volume),
            costs.invested_usd(training, times, self.terms.search_usd, scenario.label_usd),
            cell.volume,
            self.terms.horizon_months,
            scenario.monitoring_usd_per_1k,
        )

    def _floor_usd_per_1k(self, cell: Cell, service: Service) -> Decimal:
        billed = self._row_usd * self._longer(cell) * 1000
        if self.scenario.hosting == "per_use":
            return self._answer_usd(cell) * 1000
        if not service.replicas:
            return billed
        used = 1 / (1 + self._headroom) / self._peak
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

    def _latency_p95_ms(self, cell: Cell, service: Service, stretch: float = 1.0) -> float | None:
        """p95 of requests; None: too few were timed.

        Args:
            cell: the scenario's numbers.
            service: how the option is served.
            stretch: factor on the time of waiting for others and answering, but not on that of a cold start.
        """
        option, loaded = self.option, self._loaded(cell, service, stretch)
        if loaded is not None:
            return percentile(loaded.latency_ms, 95)
        if option.latency_p95_ms is None:
            return None
        busy = service.rate_each * float(self._row_seconds * self._time(cell))
        if busy > BUSY and self._estimated is not None:
            return percentile(self._at_rate(self._estimated, cell, service, stretch).latency_ms, 95)
        alone = option.latency_p95_ms * float(self._time(cell)) * stretch
        return float(np.percentile(with_cold_starts([alone], service.on), 95))

    def _within_target(self, cell: Cell, service: Service) -> float | None:
        """Share of requests within the latency target, waits for cold starts included; None as in `Priced`."""
        target, loaded = self.terms.constraints.latency_p95_ms, self._loaded(cell, service)
        if target is None:
            return None
        if loaded is None:
            return None if service.on is None else most_within(service.on, target)
        return float((np.array(loaded.latency_ms) <= target).mean()) * loaded.answered

    def _loaded(self, cell: Cell, service: Service, stretch: float = 1.0) -> Loaded | None:
        """Requests at the rate of a replica, cold starts included; None: too few were measured to state a p95.

        Those of a provider are as measured, whatever the device of the scenario.
        """
        loaded = None if self._tested is None else self._at_rate(self._tested, cell, service, stretch)
        return loaded if loaded is not None and loaded.measured >= least_samples(95) else None

    def _at_rate(self, load: Load, cell: Cell, service: Service, stretch: float) -> Loaded:
        time, on = self._answer_time(cell), service.on
        key = load.engine, time, service.rate_each, ZERO if on is None else on.switching_share, stretch
        if key not in self._loads:
            # a rate of answers that take longer fills a replica as a greater rate of those measured would
            rate = service.rate_each * float(time * self._slower)
            at_rate = latencies_at(load, rate)
            latency_ms = with_cold_starts([ms * float(time) * stretch for ms in at_rate], on)
            measured = min(len(at_rate), load.single_requests) if load.clock == "simulated" else len(at_rate)
            self._loads[key] = Loaded(latency_ms, measured, answered_share(load, rate))
        return self._loads[key]

    @functools.cached_property
    def _tested(self) -> Load | None:
        return load_test(self.option)

    @functools.cached_property
    def _estimated(self) -> Load | None:
        """Of an option that was not measured under load: what its single requests and its batches let expect."""
        option = self.option
        if option.latency_p95_ms is None or not option.latency_p50_ms or not self._row_seconds:
            return None
        row_seconds = option.answering.total_device_seconds / option.rows
        runs = estimated_runs(option.latency_p50_ms / 1000, option.latency_p95_ms / 1000, row_seconds)
        return Load(runs=runs, engine="estimated", clock="simulated", hardware=option.hardware)


def loaded_share(raws: Sequence[RawOption], terms: Terms) -> Decimal:
    """Median over options of the rate under load over the throughput of batches; 1 where none was measured."""
    shares = []
    for raw in raws:
        load = load_test(raw)
        found = None if load is None else capacity(load, terms.constraints.latency_p95_ms)
        rate = found.rate if found is not None and found.measured else None
        if rate is not None and raw.answering.total_device_seconds:
            shares.append(rate * raw.answering.total_device_seconds / raw.rows)
    return Decimal(repr(statistics.median(shares))) if shares else ONE


def load_test(option: RawOption) -> Load | None:
    """An option's load test; None: it has none, or none that has sent requests.

    What one that ran out of time has not measured is estimated from single requests and from the batched evaluation.
    """
    load, median, p95 = option.load, option.latency_p50_ms, option.latency_p95_ms
    if load is None or not load.runs:
        return None
    single = None if p95 is None or not median else (median / 1000, p95 / 1000)
    return completed(load, option.answering.total_device_seconds / option.rows, single)


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))
