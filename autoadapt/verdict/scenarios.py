"""A finished study under another use: every option is priced anew from its raw figures; nothing is run."""

import functools
import statistics
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations, pairwise

import numpy as np

from autoadapt.domain.comparison import ApiPrice, BreakEven, Cell, Column, Priced, Terms
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.option import Option, RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.domain.verdict import Paired
from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.frontier import directions
from autoadapt.verdict import costs
from autoadapt.verdict.latency import percentile, run_at, service_rate
from autoadapt.verdict.recommendation import binding, broken, latency, recommend

CACHED_FROM = 1024
"""Tokens at the beginning of a prompt from which providers keep them (OpenAI's and others' documentation)."""
TIMES_WITHIN = Decimal("1.1")
"""Measured times of answering are taken to be right to within this factor (see `recommendation.SAME_COST`)."""
ONE = Decimal(1)


class Pricer:
    """One option's cost under a scenario, for any volume, price and length of answers.

    Device-seconds of a query are those of the batched evaluation, grown with the length of answers as far as decoding
    takes part in them. The rate of a replica is the one measured under load; of an option that was not, the throughput
    of its batches times the share that others reached of theirs.

    Args:
        option: raw figures.
        terms: the scenario.
        loaded_share: see the function of that name.
        slower: factor on the measured times of answering, to see what their uncertainty means.
    """

    def __init__(self, option: RawOption, terms: Terms, loaded_share: Decimal = ONE, slower: Decimal = ONE) -> None:
        self.option, self.terms, self.scenario = option, terms, terms.scenario
        self._row_seconds = Decimal(repr(option.inference_seconds)) / option.rows * slower
        self._train_hours = Decimal(repr(option.train_seconds)) / 3600
        self._decode = Decimal(repr(option.decode_share))
        scenario = self.scenario
        self._peak, self._headroom = Decimal(repr(scenario.peak_factor)), Decimal(repr(scenario.headroom))
        self._times = costs.trainings(terms.horizon_months, _decimal(scenario.retrain_months))
        self._idle = Decimal(repr(scenario.idle_s))
        cold = scenario.cold_s if scenario.cold_s is not None else option.load.cold_start_s if option.load else None
        self._cold = Decimal(repr(cold or 0.0))
        self._unmerged = Decimal(repr(scenario.unmerged_slowdown)) if option.train_seconds else ONE
        self._slower, self._loaded_share = slower, loaded_share
        self._rates: dict[Decimal, Decimal | None] = {}
        self._p95s: dict[float, float | None] = {}

    def _longer(self, cell: Cell) -> Decimal:
        """How many times longer an answer takes than those measured."""
        return 1 + self._decode * (cell.output - 1)

    def _rate(self, longer: Decimal) -> Decimal | None:
        """Greatest measured rate at which answers `longer` times as long keep the promise."""
        if longer not in self._rates:
            promise = self.terms.constraints.latency_p95_ms
            load = self.option.load
            rate = service_rate(load, promise / float(longer) if promise else None) if load else None
            self._rates[longer] = None if rate is None else Decimal(repr(rate)) / longer / self._slower
        return self._rates[longer]

    def _served(self, cell: Cell) -> tuple[Decimal, Decimal, int, Decimal]:
        """USD a month of serving, requests per second of a replica, replicas, and the busiest rate."""
        longer = self._longer(cell)
        seconds = self._row_seconds * longer
        per_replica = self._rate(longer) or self._loaded_share / seconds
        busiest = costs.peak_rate(cell.volume, self._peak)
        count = costs.replicas(busiest, per_replica, self._headroom, self.scenario.replicas)
        return self._serving(cell, seconds, per_replica, busiest, count), per_replica, count, busiest

    def _serving(self, cell: Cell, seconds: Decimal, per_replica: Decimal, busiest: Decimal, count: int) -> Decimal:
        scenario, hosting = self.scenario, self.scenario.hosting
        busy_hours = cell.volume * seconds / 3600
        if hosting == "per_use":
            return costs.month_usd(1, 1, cell.hour_usd, busy_hours, scenario.ops_usd)
        if hosting == "scale_to_zero":
            starts, waited = costs.poisson_idle(cell.volume / count, self._idle)
            hours = costs.scale_to_zero_hours(busy_hours / count + waited, starts, self._cold, self._idle)
            return costs.month_usd(count, 1, cell.hour_usd, hours, scenario.ops_usd)
        if hosting == "shared" and self.option.shares_base:
            # every adapter has this scenario's use: together they need as many replicas as their requests do
            together = busiest * scenario.adapters
            count = costs.replicas(together, per_replica / self._unmerged, self._headroom, scenario.replicas)
            month = costs.month_usd(count, 1, cell.hour_usd, operations=scenario.ops_usd)
            return costs.adapter_usd(month, busy_hours, busy_hours * scenario.adapters)
        return costs.month_usd(count, 1, cell.hour_usd, operations=scenario.ops_usd)

    def _per_1k(self, cell: Cell, serving: Decimal) -> Decimal:
        return costs.total_usd_per_1k(
            costs.usd_per_1k(serving, cell.volume),
            self.training_usd(cell),
            cell.volume,
            self.terms.horizon_months,
            times=self._times,
            search=self.terms.search_usd,
            labels=self.scenario.label_usd,
            monitoring=self.scenario.monitoring_usd_per_1k,
        )

    def training_usd(self, cell: Cell) -> Decimal:
        """USD of one training."""
        return costs.training_usd(self.option.devices, self._train_hours, cell.hour_usd)

    def month_usd(self, cell: Cell) -> Decimal:
        """USD a month in all."""
        return self._per_1k(cell, self._served(cell)[0]) * cell.volume / 1000

    def price(self, cell: Cell) -> Priced:
        """What the option costs and can do."""
        serving, per_replica, count, busiest = self._served(cell)
        per_1k, longer = self._per_1k(cell, serving), self._longer(cell)
        return Priced.model_construct(
            trial=self.option.trial,
            serving_usd_per_month=serving,
            usd_per_month=per_1k * cell.volume / 1000,
            usd_per_1k=per_1k,
            training_usd=self.training_usd(cell),
            floor_usd_per_1k=costs.floor_usd_per_1k(1, cell.hour_usd, per_replica, 1 / (1 + self._headroom)),
            kwh_per_1k=self._kwh_per_1k(),
            replicas=count,
            requests_per_s=float(per_replica),
            rate_measured=self._rate(longer) is not None,
            latency_p95_ms=self._p95(float(busiest) / count, float(longer)),
        )

    def as_option(self, cell: Cell) -> Option:
        """The option with the cost and latency of a scenario's numbers."""
        serving, per_replica, count, busiest = self._served(cell)
        longer = self._longer(cell)
        inference = self._row_seconds * longer * cell.hour_usd / 3600 * 1000
        change = {
            "cost_usd_per_1k": float(self._per_1k(cell, serving)),
            "inference_usd_per_1k": float(inference),
            "training_usd": float(self.training_usd(cell)),
            "latency_p95_ms": self._p95(float(busiest) / count, float(longer)),
            "requests_per_s": None if self._rate(longer) is None else float(per_replica),
        }
        return self._template.model_copy(update=change)

    @functools.cached_property
    def _template(self) -> Option:
        told = {name: getattr(self.option, name) for name in Option.model_fields if name in RawOption.model_fields}
        priced = {"cost_usd_per_1k": 0.0, "inference_usd_per_1k": 0.0, "training_usd": 0.0}
        return Option(**{**told, **priced, "on_frontier": True})

    def _kwh_per_1k(self) -> float | None:
        joules, owned = self.option.energy_joules, self.scenario.owned
        if joules is None:
            return None
        per_1k = Decimal(repr(joules)) / self.option.rows * 1000
        return float(costs.energy_kwh(per_1k, Decimal(repr(owned.pue if owned else 1.0))))

    def _p95(self, rate: float, longer: float) -> float | None:
        option = self.option
        if option.load is not None and option.load.runs:
            run = run_at(option.load, rate)
            if run.rate not in self._p95s:
                self._p95s[run.rate] = percentile(run.e2el_ms, 95)
            p95 = self._p95s[run.rate]
            if p95 is not None:
                return p95 * longer
        return None if option.latency_p95_ms is None else option.latency_p95_ms * longer


def loaded_share(raws: Sequence[RawOption], terms: Terms) -> Decimal:
    """Median share of the throughput of batches that options keep up under load; 1 where none was measured."""
    shares = []
    for raw in raws:
        rate = service_rate(raw.load, terms.constraints.latency_p95_ms) if raw.load else None
        if rate is not None:
            shares.append(rate * raw.inference_seconds / raw.rows)
    return Decimal(repr(statistics.median(shares))) if shares else ONE


LEAST_VOLUME, MOST_VOLUME, VOLUMES = 100, 10**9, 71


def monthly_costs(raws: Sequence[RawOption], terms: Terms) -> dict[int, list[tuple[float, float]]]:
    """(Queries a month, USD a month) of each option, by trial, from a hundred queries to a thousand million."""
    share, found = loaded_share(raws, terms), {}
    volumes = [float(v) for v in np.geomspace(LEAST_VOLUME, MOST_VOLUME, VOLUMES)]
    for raw in raws:
        pricer, cell = Pricer(raw, terms, share), terms.cell()
        at = [cell.model_copy(update={"volume": Decimal(repr(round(v)))}) for v in volumes]
        found[raw.trial] = [(v, float(pricer.month_usd(c))) for v, c in zip(volumes, at, strict=True)]
    return found


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def options_under(raws: Sequence[RawOption], terms: Terms, cell: Cell) -> list[Option]:
    """Every option under a scenario's numbers, those marked that no other beats in everything."""
    share = loaded_share(raws, terms)
    return _options([Pricer(raw, terms, share) for raw in raws], terms, cell)


def _options(pricers: Sequence[Pricer], terms: Terms, cell: Cell) -> list[Option]:
    options = [p.as_option(cell) for p in pricers]
    kept = {*_frontier(options, range(len(options)))}
    fitting = [i for i, o in enumerate(options) if not broken(o, terms.constraints)]
    if len(fitting) < len(options):  # these compete among themselves too: memory and artifact are no objectives
        kept |= {*_frontier(options, fitting)}
    return [o if i in kept else o.model_copy(update={"on_frontier": False}) for i, o in enumerate(options)]


def _frontier(options: Sequence[Option], among: Sequence[int]) -> list[int]:
    points = [(options[i].quality_expected, options[i].cost_usd_per_1k, latency(options[i])) for i in among]
    flags = non_dominated(points, directions(DEFAULT_GOALS))
    return [i for i, flag in zip(among, flags, strict=True) if flag]


def contenders(raws: Sequence[RawOption], terms: Terms) -> list[RawOption]:
    """Options that could win: no other is as good in every raw figure that counts in this scenario, and better in one.

    Cost rises with every figure compared, under any price and volume, so the others need not be priced. What was
    measured under load is kept.
    """
    limits = terms.constraints

    def figures(r: RawOption) -> tuple[float, ...]:
        return (
            -r.quality_expected,
            r.inference_seconds / r.rows,
            r.train_seconds * r.devices,
            r.latency_p95_ms if r.latency_p95_ms is not None else r.latency_p50_ms,
            r.peak_memory_bytes if limits.memory_mb is not None else 0,
            r.artifact_bytes if limits.artifact_mb is not None else 0,
            r.decode_share if r.free_text else 0,
            -float(r.shares_base) if terms.scenario.hosting == "shared" else 0,
            -r.quality if limits.quality is not None else 0,
        )

    if not raws:
        return []
    table = np.array([figures(r) for r in raws])
    kept = []
    for i, raw in enumerate(raws):
        beaten = ((table <= table[i]).all(1) & (table < table[i]).any(1)).any()
        if not beaten or raw.on_frontier or raw.load is not None:
            kept.append(raw)
    return kept


def compare(
    raws: Sequence[RawOption], terms: Terms, api: Sequence[TokenPrice] = (), pairs: Sequence[Paired] = ()
) -> Column:
    """One scenario: what to choose, what it costs, how sure that is, and from which volume another would be cheaper.

    Args:
        raws: the options of a finished study.
        terms: the scenario.
        api: prices of models behind an API to tell beside.
        pairs: options compared on test rows.
    """
    raws, share = contenders(raws, terms), loaded_share(raws, terms)
    pricers = [Pricer(raw, terms, share) for raw in raws]
    options = _options(pricers, terms, terms.cell())
    advice = recommend(options, terms.constraints, None, pairs)
    winners: dict[int, int] = {}
    lengths = range(3) if any(r.free_text for r in raws) else (1,)  # labels do not grow
    for cell in [terms.cell(v, p, o) for v in range(3) for p in range(3) for o in lengths]:
        found = recommend(_options(pricers, terms, cell), terms.constraints, None, pairs).trial
        if found is not None:
            winners[found] = winners.get(found, 0) + 3 // len(lengths)
    chosen = next((r for r in raws if r.trial == advice.trial), None)
    return Column(
        terms=terms,
        recommended=advice.trial,
        reason=advice.reason,
        binding=binding(options, terms.constraints, pairs),
        wins=winners.get(advice.trial, 0) if advice.trial is not None else 0,
        winners=dict(sorted(winners.items(), key=lambda item: -item[1])),
        priced=[p.price(terms.cell()) for p in pricers],
        options=options,
        break_even=_break_evens(raws, options, terms, share, pairs),
        api=[_behind_api(raws, chosen, terms, share, p) for p in api] if raws else [],
    )


def _break_evens(
    raws: Sequence[RawOption], options: Sequence[Option], terms: Terms, share: Decimal, pairs: Sequence[Paired]
) -> list[BreakEven]:
    """Between what would be recommended of each method and model alone, neighbours by their monthly cost."""
    by_trial = {r.trial: r for r in raws}
    groups: dict[tuple[str, str], list[Option]] = {}
    for option in options:
        groups.setdefault((option.method, option.model), []).append(option.model_copy(update={"on_frontier": True}))
    best = []
    for group in groups.values():
        found = recommend(group, terms.constraints, None, pairs)
        best.append(found.trial if found.trial is not None else found.best_quality)
    cost = {o.trial: o.cost_usd_per_1k for o in options}
    ordered = sorted((t for t in best if t is not None), key=lambda t: cost[t])
    # of three all pairs: the dearest may be the first's rival
    rivals = list(combinations(ordered, 2)) if len(ordered) <= 3 else list(pairwise(ordered))
    return [break_even(by_trial[a], by_trial[b], terms, share) for a, b in rivals]


def break_even(a: RawOption, b: RawOption, terms: Terms, share: Decimal = ONE) -> BreakEven:
    """The volumes at which two options cost the same a month, with a range.

    Prices of device-hours cancel, for training and serving pay the same one. What the range comes from are the times of
    answering, each taken to be known to within 10 %, and the length of written answers.
    """

    def crossings(slower: Decimal, output: int) -> tuple[list[Decimal], int]:
        first, second = Pricer(a, terms, share, slower), Pricer(b, terms, share, 1 / slower)

        def difference(volume: Decimal) -> Decimal:
            cell = terms.cell(output=output).model_copy(update={"volume": volume})
            return first.month_usd(cell) - second.month_usd(cell)

        return costs.break_even(difference), _sign(difference(Decimal(100)))

    likely, sign = crossings(ONE, 1)
    first, second = (b, a) if sign > 0 else (a, b)
    if not likely:
        cheaper = None if sign == 0 else first.trial
        return BreakEven(trial=first.trial, other=second.trial, volumes=[], low=None, high=None, cheaper=cheaper)
    lengths = (0, 2) if a.free_text or b.free_text else (1,)
    around = [crossings(slower, o)[0] for slower in (TIMES_WITHIN, 1 / TIMES_WITHIN) for o in lengths]
    firsts = [v[0] for v in (likely, *around) if v]
    whole = all(around)
    return BreakEven(
        trial=first.trial,
        other=second.trial,
        volumes=likely,
        low=min(firsts) if whole else None,
        high=max(firsts) if whole else None,
    )


def _sign(value: Decimal) -> int:
    return (value > 0) - (value < 0)


def _behind_api(
    raws: Sequence[RawOption], chosen: RawOption | None, terms: Terms, share: Decimal, quote: TokenPrice
) -> ApiPrice:
    # the tokens of the recommended option's prompt, or of the best one's: another model counts them otherwise
    raw = chosen or max(raws, key=lambda r: r.quality_expected)
    fresh = quote.input
    prices = costs.TokenPrices(
        fresh=fresh,
        cache_read=fresh if quote.cached is None else quote.cached,
        cache_write=fresh if quote.cache_write is None else quote.cache_write,
        output=quote.output,
    )
    shared = Decimal(raw.tokens_shared if raw.tokens_shared >= CACHED_FROM else 0)

    def per_1k(read: Decimal, written: Decimal, output: Decimal) -> Decimal:
        use = costs.TokenUse(
            max(read - shared, Decimal(0)), written * (output if raw.free_text else 1), cache_read=shared
        )
        return costs.api_usd_per_1k(use, prices)

    cell = terms.cell()
    likely = per_1k(Decimal(raw.tokens_in) / raw.rows, Decimal(raw.tokens_out) / raw.rows, cell.output)
    ends = [
        per_1k(Decimal(repr(raw.tokens_in_ci[i])), Decimal(repr(raw.tokens_out_ci[i])), terms.outputs[2 * i])
        for i in (0, 1)
    ]
    cheaper_from = None
    if chosen is not None:
        pricer = Pricer(chosen, terms, share)

        def difference(volume: Decimal) -> Decimal:
            at = cell.model_copy(update={"volume": volume})
            return pricer.month_usd(at) - likely * volume / 1000

        crossings = costs.break_even(difference)
        if crossings:
            cheaper_from = crossings[-1] if difference(Decimal(10) ** 10) < 0 else None
        elif difference(Decimal(100)) < 0:
            cheaper_from = Decimal(0)
    return ApiPrice(
        model=quote.name,
        usd_per_1k=likely,
        low=ends[0],
        high=ends[1],
        usd_per_month=likely * cell.volume / 1000,
        source=quote.source,
        cheaper_from=cheaper_from,
    )
