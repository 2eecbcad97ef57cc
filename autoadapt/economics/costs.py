"""The cost model: costs of training, serving and owning, in exact decimals.

Symbols. V: queries a month; H: months over which investments are paid off; R: replicas; g: devices of a replica;
P: a price; q: a rate in requests per second. A month has 730 hours. Sources are named where a formula is not plain
arithmetic. Every function takes and returns `Decimal`; USD unless said otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise

HOURS_A_MONTH = Decimal(730)
SECONDS_A_MONTH = HOURS_A_MONTH * 3600
MILLION = Decimal(1_000_000)
ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True)
class TokenPrices:
    """USD per million tokens."""

    fresh: Decimal
    """Input tokens read for the first time."""
    cache_read: Decimal
    """Input tokens found in the provider's cache."""
    cache_write: Decimal
    """Input tokens put into it; providers that do not charge for it have the price of fresh ones."""
    output: Decimal
    """Tokens written, reasoning included."""


@dataclass(frozen=True)
class TokenUse:
    """Tokens of a query, or their mean over real rows."""

    fresh: Decimal
    output: Decimal
    cache_read: Decimal = ZERO
    cache_write: Decimal = ZERO


def api_usd_per_1k(use: TokenUse, prices: TokenPrices, retry_rate: Decimal = ZERO, tier: Decimal = ONE) -> Decimal:
    """1,000 queries to a model behind an API: ``1000 (1+rho) b (i P_in + h P_cr + w P_cw + o P_out) / 1e6``.

    Args:
        use: i, h, w, o: tokens of a query.
        prices: P_in, P_cr, P_cw, P_out in USD per million tokens.
        retry_rate: rho, queries sent once more per query.
        tier: b, the price's share in this tier; batch tiers have 0.5.
    """
    tokens = (
        use.fresh * prices.fresh
        + use.cache_read * prices.cache_read
        + use.cache_write * prices.cache_write
        + use.output * prices.output
    )
    return 1000 * (1 + retry_rate) * tier * tokens / MILLION


def training_usd(
    devices: int,
    hours: Decimal,
    usd_per_hour: Decimal,
    gb_months: Decimal = ZERO,
    usd_per_gb_month: Decimal = ZERO,
    overhead: Decimal = ONE,
) -> Decimal:
    """A training on rented devices: ``f g t P_gpu + gb_month P_disk``.

    Args:
        devices: g.
        hours: t, wall-clock.
        usd_per_hour: P_gpu of one device.
        gb_months: gigabytes kept times months.
        usd_per_gb_month: P_disk.
        overhead: f, 1.0 to 1.5: real over listed price of a device-hour.
    """
    return overhead * devices * hours * usd_per_hour + gb_months * usd_per_gb_month


def hosted_training_usd(tokens: Decimal, epochs: Decimal, usd_per_million: Decimal) -> Decimal:
    """A training at a provider that charges by the token: ``tokens epochs P_train / 1e6``."""
    return tokens * epochs * usd_per_million / MILLION


def peak_rate(queries_per_month: Decimal, peak_factor: Decimal = ONE) -> Decimal:
    """Requests per second at the busiest: ``q_peak = V peak_factor / (730 * 3600)``."""
    return queries_per_month * peak_factor / SECONDS_A_MONTH


def replicas(rate: Decimal, per_replica: Decimal, headroom: Decimal = ZERO, least: int = 1) -> int:
    """Replicas needed: ``R = max(R_min, ceil(q_peak (1+headroom) / lambda_slo))``; whole ones, so costs rise in steps.

    Args:
        rate: q_peak in requests per second.
        per_replica: lambda_slo, the greatest rate at which one replica meets the latency target.
        headroom: share of capacity kept free at the peak.
        least: R_min.

    Raises:
        ValueError: `per_replica` is not positive.
    """
    if per_replica <= 0:
        raise ValueError(f"the rate of a replica must be positive, not {per_replica}")
    return max(least, int((rate * (1 + headroom) / per_replica).to_integral_value(ROUND_CEILING)))


MOST_IDLE = Decimal(700)
"""Requests expected within the time of waiting from which a replica is never switched off: e^-700 is no probability."""


@dataclass(frozen=True)
class ScaleToZero:
    """A replica that is switched off when it is idle."""

    hours_on: Decimal
    """A month."""
    cold_starts: Decimal
    """A month."""
    switching_share: Decimal
    """Share of requests that find it off and wait for the whole start."""
    during_share: Decimal
    """Share of requests that come while it starts, and wait for the rest of the start."""
    cold_seconds: Decimal
    """From switching on to being ready."""


def scale_to_zero(
    queries_per_month: Decimal, query_seconds: Decimal, cold_seconds: Decimal, idle_seconds: Decimal
) -> ScaleToZero:
    """A replica that is switched off after a time without requests, at Poisson arrivals.

    A cycle begins with the request that switches the replica on and ends when it is switched on again. With arrival
    rate ``l``, utilisation ``p = l s`` and ``x = l t_idle``, every gap without work is exponential and outlasts
    ``t_idle`` with probability ``exp(-x)``, so that a cycle has ``exp(x)`` gaps on average and lasts
    ``L = (t_cold + exp(x) / l) / (1 - p)``. It is off for ``1 / l`` of that, for exponential gaps have no memory: the
    hours on are ``730 (1 - 1 / (l L))``, and one in ``l L`` requests switches it on (a queue with setup times and
    delayed off; Gandhi, Harchol-Balter and Adan 2010, "Server farms with setup costs").

    Args:
        queries_per_month: that reach the replica.
        query_seconds: s, time that one answer takes.
        cold_seconds: t_cold, from being asked for to being ready.
        idle_seconds: t_idle, waited without a request before it is switched off.
    """
    rate = queries_per_month / SECONDS_A_MONTH
    busy, waited = rate * query_seconds, rate * idle_seconds
    if busy >= 1 or waited > MOST_IDLE:
        return ScaleToZero(HOURS_A_MONTH, ZERO, ZERO, ZERO, cold_seconds)
    starting = rate * cold_seconds
    share = (1 - busy) / (starting + waited.exp())
    return ScaleToZero(HOURS_A_MONTH * (1 - share), queries_per_month * share, share, starting * share, cold_seconds)


def month_usd(
    replica_count: int,
    devices: int,
    usd_per_hour: Decimal,
    hours_on: Decimal = HOURS_A_MONTH,
    operations: Decimal = ZERO,
) -> Decimal:
    """A month of serving on owned or rented machines: ``M = R g P_gpu h_on + ops``.

    Args:
        replica_count: R.
        devices: g, of one replica.
        usd_per_hour: P_gpu of one device.
        hours_on: h_on of every replica: 730 always on, fewer when it scales to zero.
        operations: ops, further USD a month.
    """
    return replica_count * devices * usd_per_hour * hours_on + operations


def usd_per_1k(month: Decimal, queries_per_month: Decimal) -> Decimal:
    """1,000 queries out of a month's bill: ``M / (V / 1000)``."""
    return month * 1000 / queries_per_month


def floor_usd_per_1k(devices: int, usd_per_hour: Decimal, rate: Decimal, utilisation: Decimal = ONE) -> Decimal:
    """The cost that 1,000 queries approach as V grows: ``1000 g P_gpu / (3600 lambda_slo u)``.

    Args:
        devices: g, of one replica.
        usd_per_hour: P_gpu.
        rate: lambda_slo in requests per second.
        utilisation: u, share of that rate really used on average; 1 / (peak_factor (1+headroom)) of whole replicas.
    """
    return 1000 * devices * usd_per_hour / (3600 * rate * utilisation)


def adapter_usd(month: Decimal, adapter_seconds: Decimal, all_seconds: Decimal) -> Decimal:
    """The share of one of several adapters on a base: ``M gpu_s_j / sum(gpu_s)``, by device-seconds used."""
    return month * adapter_seconds / all_seconds


def trainings(horizon_months: Decimal, retrain_months: Decimal | None) -> int:
    """How often an option is trained within the horizon: ``ceil(H / retrain_months)``, or once."""
    return 1 if retrain_months is None else int((horizon_months / retrain_months).to_integral_value(ROUND_CEILING))


def invested_usd(training: Decimal, times: int = 1, search: Decimal = ZERO, labels: Decimal = ZERO) -> Decimal:
    """What is paid off over the horizon: ``C_search + C_label + C_train n``.

    Args:
        training: C_train of one training of the option.
        times: n, trainings within the horizon.
        search: C_search, the sum over all trials, failed and stopped ones included.
        labels: C_label, cost of labelling the data.
    """
    return search + labels + training * times


def total_usd_per_1k(
    serving: Decimal,
    invested: Decimal,
    queries_per_month: Decimal,
    horizon_months: Decimal,
    monitoring: Decimal = ZERO,
) -> Decimal:
    """Total cost of ownership: ``c_serve + C_invested / (V H / 1000) + c_monitor``.

    Args:
        serving: c_serve per 1,000 queries.
        invested: C_invested, see `invested_usd`.
        queries_per_month: V.
        horizon_months: H.
        monitoring: c_monitor per 1,000 queries.
    """
    return serving + invested * 1000 / (queries_per_month * horizon_months) + monitoring


def energy_kwh(joules: Decimal, pue: Decimal = ONE) -> Decimal:
    """Energy drawn from the grid: ``dE / 3.6e6 * PUE``; PUE is the building's power over the machine's."""
    return joules / Decimal(3_600_000) * pue


@dataclass(frozen=True)
class Machine:
    """An owned machine."""

    capex: Decimal
    """Price of the machine in USD."""
    life_hours: Decimal
    """Hours until it is replaced."""
    utilisation: Decimal
    """u, share of them in which it works."""
    kilowatts: Decimal
    """Power while it works."""
    usd_per_kwh: Decimal
    """P_kWh."""
    pue: Decimal = ONE
    """Power usage effectiveness of the building."""
    operations: Decimal = ZERO
    """USD an hour for housing and operations."""


def owned_usd_per_hour(machine: Machine, always_on: bool = False) -> Decimal:
    """An hour of an owned machine: ``capex / (life_h u) + kW PUE P_kWh + ops``.

    Args:
        machine: the machine.
        always_on: whether every hour of its life is paid for by this use; then u is 1, for no other use shares it.
    """
    used = ONE if always_on else machine.utilisation
    depreciation = machine.capex / (machine.life_hours * used)
    return depreciation + machine.kilowatts * machine.pue * machine.usd_per_kwh + machine.operations


SCAN_STEPS = 160
"""Volumes evaluated between the least and the greatest, evenly spaced on a logarithmic scale."""


def break_even(
    difference: Callable[[Decimal], Decimal], least: Decimal = Decimal(100), most: Decimal = Decimal(10) ** 10
) -> list[Decimal]:
    """Volumes at which two options cost the same a month, by scan and bisection to one query in a thousand.

    Costs rise in steps, so there may be several; two crossings between neighbouring volumes are not found.

    Args:
        difference: V -> USD a month of one option less that of the other.
        least, most: range of V.

    Returns:
        Volumes where the sign changes, rising; empty: one option is cheaper in the whole range, or they cost the same.
    """
    ratio = (most / least) ** (ONE / SCAN_STEPS)
    volumes = [least * ratio**i for i in range(SCAN_STEPS + 1)]
    crossings = []
    values = [difference(v) for v in volumes]
    known = [(v, d) for v, d in zip(volumes, values, strict=True) if d != 0]
    for (low, at_low), (high, _) in pairwise(known):
        if (at_low > 0) == (difference(high) > 0):
            continue
        while high / low > Decimal("1.001"):
            middle = (low * high).sqrt()
            if (difference(middle) > 0) == (at_low > 0):
                low = middle
            else:
                high = middle
        crossings.append((low * high).sqrt())
    return crossings


LEAST_USD_A_MONTH = Decimal("0.01")
"""Under a cent a month no difference in cost decides anything."""


def least_usd_per_1k(queries_per_month: Decimal | int) -> Decimal:
    """The difference in USD per 1,000 queries that comes to a cent a month."""
    return LEAST_USD_A_MONTH * 1000 / queries_per_month
