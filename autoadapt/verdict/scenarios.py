"""A finished study under another use: every option is priced anew from its raw figures; nothing is run."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from autoadapt.domain.comparison import ApiPrice, BreakEven, Cell, Column, Priced, Terms
from autoadapt.domain.option import Objectives, Option, RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.verdict import costs
from autoadapt.verdict.frontier import non_dominated
from autoadapt.verdict.latency import percentile, run_at, service_rate
from autoadapt.verdict.recommendation import binding, broken, latency, recommend

CACHED_FROM = 1024
"""Tokens at the beginning of a prompt from which providers keep them (OpenAI's and others' documentation)."""
MOST_PAIRS = 6
"""Pairs of neighbours whose break-even is looked for."""


def price(option: RawOption, terms: Terms, cell: Cell) -> Priced:
    """What an option costs a month under a scenario.

    Device-seconds of a query are those of the batched evaluation, grown with the length of answers as far as decoding
    takes part in them. The rate of a replica is the one measured under load, else the throughput of batches.
    """
    scenario = terms.scenario
    longer = 1 + Decimal(repr(option.decode_share)) * (cell.output - 1)
    training = costs.training_usd(option.devices, Decimal(repr(option.train_seconds)) / 3600, cell.hour_usd)
    batch_seconds = Decimal(repr(option.inference_seconds)) * longer
    promise = terms.constraints.latency_p95_ms
    rate = service_rate(option.load, promise / float(longer) if promise else None) if option.load else None
    per_replica = (Decimal(repr(rate)) if rate is not None else option.rows / batch_seconds * longer) / longer
    busiest = costs.peak_rate(cell.volume, Decimal(repr(scenario.peak_factor)))
    count = costs.replicas(busiest, per_replica, Decimal(repr(scenario.headroom)), scenario.replicas)
    serving = _serving(option, terms, cell, batch_seconds, count)
    times = costs.trainings(terms.horizon_months, _decimal(scenario.retrain_months))
    per_1k = costs.total_usd_per_1k(
        costs.usd_per_1k(serving, cell.volume),
        training,
        cell.volume,
        terms.horizon_months,
        times=times,
        search=terms.search_usd,
        labels=scenario.label_usd,
        monitoring=scenario.monitoring_usd_per_1k,
    )
    return Priced(
        trial=option.trial,
        serving_usd_per_month=serving,
        usd_per_month=per_1k * cell.volume / 1000,
        usd_per_1k=per_1k,
        training_usd=training,
        replicas=count,
        requests_per_s=float(per_replica),
        rate_measured=rate is not None,
        latency_p95_ms=_p95(option, float(busiest) / count, float(longer)),
    )


def _serving(option: RawOption, terms: Terms, cell: Cell, batch_seconds: Decimal, count: int) -> Decimal:
    """USD a month of serving."""
    scenario, hosting = terms.scenario, terms.scenario.hosting
    busy_hours = cell.volume * batch_seconds / option.rows / 3600
    if hosting == "per_use":
        return costs.month_usd(1, 1, cell.hour_usd, busy_hours, scenario.ops_usd)
    if hosting == "scale_to_zero":
        idle = Decimal(repr(scenario.idle_s))
        starts, waited = costs.poisson_idle(cell.volume / count, idle)
        cold = _decimal(scenario.cold_s)
        if cold is None:
            cold = Decimal(repr((option.load.cold_start_s if option.load else None) or 0.0))
        hours = costs.scale_to_zero_hours(busy_hours / count + waited, starts, cold, idle)
        return costs.month_usd(count, 1, cell.hour_usd, hours, scenario.ops_usd)
    if hosting == "shared" and option.shares_base:
        # every adapter has this scenario's use: together they need as many replicas as their requests do
        slower = Decimal(repr(scenario.unmerged_slowdown)) if option.train_seconds else Decimal(1)
        per_replica = option.rows / batch_seconds / slower
        if option.load and (rate := service_rate(option.load, terms.constraints.latency_p95_ms)) is not None:
            per_replica = Decimal(repr(rate)) / slower
        together = costs.peak_rate(cell.volume, Decimal(repr(scenario.peak_factor))) * scenario.adapters
        needed = costs.replicas(together, per_replica, Decimal(repr(scenario.headroom)), scenario.replicas)
        month = costs.month_usd(needed, 1, cell.hour_usd, operations=scenario.ops_usd)
        return costs.adapter_usd(month, busy_hours, busy_hours * scenario.adapters)
    return costs.month_usd(count, 1, cell.hour_usd, operations=scenario.ops_usd)


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def _p95(option: RawOption, rate: float, longer: float) -> float | None:
    if option.load is not None and option.load.runs:
        p95 = percentile(run_at(option.load, rate).e2el_ms, 95)
        if p95 is not None:
            return p95 * longer
    return None if option.latency_p95_ms is None else option.latency_p95_ms * longer


def as_option(raw: RawOption, priced: Priced, cell: Cell, rate: float | None) -> Option:
    """An option with the cost and latency of a scenario."""
    inference = Decimal(repr(raw.inference_seconds)) * cell.hour_usd / 3600 * 1000 / raw.rows
    return Option(
        trial=raw.trial,
        method=raw.method,
        model=raw.model,
        params=raw.params,
        quality=raw.quality,
        quality_ci=raw.quality_ci,
        quality_expected=raw.quality_expected,
        test_quality=raw.test_quality,
        test_quality_ci=raw.test_quality_ci,
        test_rows=raw.test_rows,
        cost_usd_per_1k=float(priced.usd_per_1k),
        inference_usd_per_1k=float(inference),
        training_usd=float(priced.training_usd),
        latency_p50_ms=raw.latency_p50_ms,
        latency_p95_ms=priced.latency_p95_ms,
        train_seconds=raw.train_seconds,
        artifact_bytes=raw.artifact_bytes,
        peak_memory_bytes=raw.peak_memory_bytes,
        requests_per_s=rate,
    )


def options_under(raws: Sequence[RawOption], terms: Terms, cell: Cell) -> tuple[list[Option], list[Priced]]:
    """Every option under a scenario's numbers, those marked that no other beats in everything."""
    priced = [price(raw, terms, cell) for raw in raws]
    options = [
        as_option(raw, p, cell, p.requests_per_s if p.rate_measured else None)
        for raw, p in zip(raws, priced, strict=True)
    ]
    # what holds the constraints competes among itself too: memory and artifact are no objectives
    kept = {*_frontier(options, range(len(options)))}
    kept |= {*_frontier(options, [i for i, o in enumerate(options) if not broken(o, terms.constraints)])}
    return [o if i in kept else o.model_copy(update={"on_frontier": False}) for i, o in enumerate(options)], priced


def _frontier(options: Sequence[Option], among: Sequence[int]) -> list[int]:
    points = [
        Objectives(
            quality=options[i].quality_expected,
            cost_usd_per_1k=options[i].cost_usd_per_1k,
            latency_ms=latency(options[i]),
        )
        for i in among
    ]
    return [among[i] for i in non_dominated(points)]


def contenders(raws: Sequence[RawOption]) -> list[RawOption]:
    """Options that could win somewhere: no other is as good in every raw figure and better in one, with equal hosting.

    Cost rises with every figure compared, under any price and volume, so the others need not be priced.
    """

    def figures(r: RawOption) -> tuple[float, ...]:
        latency = r.latency_p95_ms if r.latency_p95_ms is not None else r.latency_p50_ms
        loaded = service_rate(r.load, None) if r.load else None
        return (
            -r.quality_expected,
            r.inference_seconds / r.rows,
            r.train_seconds * r.devices,
            latency,
            r.peak_memory_bytes,
            r.artifact_bytes,
            r.decode_share,
            -(loaded or 0.0),
            -float(r.shares_base),
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


def compare(raws: Sequence[RawOption], terms: Terms, api: Sequence[TokenPrice] = ()) -> Column:
    """One scenario: what to choose, what it costs, how sure that is, and from which volume another would be cheaper.

    Args:
        raws: the options of a finished study.
        terms: the scenario.
        api: prices of models behind an API to tell beside.
    """
    raws = contenders(raws)
    options, priced = options_under(raws, terms, terms.cell())
    advice = recommend(options, terms.constraints, None)
    winners: dict[int, int] = {}
    for cell in [terms.cell(v, p, o) for v in range(3) for p in range(3) for o in range(3)]:
        # without a cell's change the answer is known
        found = recommend(options_under(raws, terms, cell)[0], terms.constraints, None).trial
        if found is not None:
            winners[found] = winners.get(found, 0) + 1
    chosen = next((r for r in raws if r.trial == advice.trial), None)
    return Column(
        terms=terms,
        recommended=advice.trial,
        reason=advice.reason,
        binding=binding(options, terms.constraints),
        wins=winners.get(advice.trial, 0) if advice.trial is not None else 0,
        winners=dict(sorted(winners.items(), key=lambda item: -item[1])),
        priced=priced,
        options=options,
        break_even=_break_evens(raws, options, terms),
        api=[_behind_api(raws, chosen, terms, p) for p in api] if raws else [],
    )


def _break_evens(raws: Sequence[RawOption], options: Sequence[Option], terms: Terms) -> list[BreakEven]:
    """Between neighbours by quality on the scenario's frontier, those that hold the constraints first."""
    by_trial = {r.trial: r for r in raws}
    frontier = sorted((o for o in options if o.on_frontier), key=lambda o: o.quality_expected)
    pairs = list(zip(frontier, frontier[1:], strict=False))[-MOST_PAIRS:]
    return [break_even(by_trial[a.trial], by_trial[b.trial], terms) for a, b in pairs]


def break_even(a: RawOption, b: RawOption, terms: Terms) -> BreakEven:
    """The volumes at which two options cost the same a month, with the range over the uncertain inputs."""

    def volumes(price_level: int, output_level: int) -> tuple[list[Decimal], int]:
        def difference(volume: Decimal) -> Decimal:
            cell = terms.cell(price=price_level, output=output_level).model_copy(update={"volume": volume})
            return price(a, terms, cell).usd_per_month - price(b, terms, cell).usd_per_month

        at_least = difference(Decimal(100))
        sign = 0 if at_least == 0 else (1 if at_least > 0 else -1)
        return costs.break_even(difference), sign

    likely, sign = volumes(1, 1)
    first, second = (b, a) if sign > 0 else (a, b)
    if not likely:
        cheaper = None if sign == 0 else first.trial
        return BreakEven(trial=first.trial, other=second.trial, volumes=[], low=None, high=None, cheaper=cheaper)
    around = [volumes(p, o)[0] for p in (0, 2) for o in ((0, 2) if a.free_text or b.free_text else (1,))]
    firsts = [v[0] for v in (likely, *around) if v]
    whole = all(around)
    return BreakEven(
        trial=first.trial,
        other=second.trial,
        volumes=likely,
        low=min(firsts) if whole else None,
        high=max(firsts) if whole else None,
    )


def _behind_api(raws: Sequence[RawOption], chosen: RawOption | None, terms: Terms, quote: TokenPrice) -> ApiPrice:
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

    def per_1k(output: Decimal) -> Decimal:
        read = Decimal(raw.tokens_in) / raw.rows
        written = Decimal(raw.tokens_out) / raw.rows * (output if raw.free_text else 1)
        return costs.api_usd_per_1k(costs.TokenUse(read - shared, written, cache_read=shared), prices)

    cell = terms.cell()
    likely = per_1k(cell.output)
    cheaper_from = None
    if chosen is not None:

        def difference(volume: Decimal) -> Decimal:
            at = cell.model_copy(update={"volume": volume})
            return price(chosen, terms, at).usd_per_month - likely * volume / 1000

        crossings = costs.break_even(difference)
        if crossings:
            cheaper_from = crossings[-1] if difference(Decimal(10) ** 10) < 0 else None
        elif difference(Decimal(100)) < 0:
            cheaper_from = Decimal(0)
    return ApiPrice(
        model=quote.name,
        usd_per_1k=likely,
        low=per_1k(terms.outputs[0]),
        high=per_1k(terms.outputs[2]),
        usd_per_month=likely * cell.volume / 1000,
        source=quote.source,
        cheaper_from=cheaper_from,
    )
