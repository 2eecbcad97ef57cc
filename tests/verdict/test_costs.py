"""The cost sheet: every formula by hand, exact to $0.0001, and properties for any numbers."""

import decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.economics import costs
from autoadapt.economics.costs import TokenPrices, TokenUse

D = decimal.Decimal
MONTH = D(730 * 3600)
"""Seconds."""

MINI = TokenPrices(fresh=D("0.40"), cache_read=D("0.10"), cache_write=D("0.40"), output=D("1.60"))
HAIKU = TokenPrices(fresh=D(1), cache_read=D("0.10"), cache_write=D("1.25"), output=D(5))
SONNET_LIKE = TokenUse(fresh=D(500), output=D(200), cache_read=D(1500), cache_write=D(100))

# name, what is computed, what it is by hand
SHEET = [
    # 500 in, 50 out: 1000 * (500 * .40 + 50 * 1.60) / 1e6 = 1000 * 280 / 1e6
    ("api, plain", lambda: costs.api_usd_per_1k(TokenUse(D(500), D(50)), MINI), "0.28"),
    # 1,500 of 2,000 cached: (500*.40 + 1500*.10 + 50*1.60) = 200 + 150 + 80 = 430
    ("api, cached", lambda: costs.api_usd_per_1k(TokenUse(D(500), D(50), cache_read=D(1500)), MINI), "0.43"),
    # half of it in the batch tier
    ("api, batch tier", lambda: costs.api_usd_per_1k(TokenUse(D(500), D(50)), MINI, tier=D("0.5")), "0.14"),
    # 2 % retried: .28 * 1.02
    ("api, retries", lambda: costs.api_usd_per_1k(TokenUse(D(500), D(50)), MINI, retry_rate=D("0.02")), "0.2856"),
    # 500*1 + 1500*.1 + 100*1.25 + 200*5 = 500 + 150 + 125 + 1000 = 1775
    ("api, cache written", lambda: costs.api_usd_per_1k(SONNET_LIKE, HAIKU), "1.775"),
    # 4 GPUs for 2.5 h at 2.69
    ("training, rented", lambda: costs.training_usd(4, D("2.5"), D("2.69")), "26.90"),
    # 1 GPU 0.5 h at 3.99 plus 40 GB for 3 months at 0.07: 1.995 + 8.4
    ("training, with disk", lambda: costs.training_usd(1, D("0.5"), D("3.99"), D(120), D("0.07")), "10.395"),
    # the same half hour with 20 % overhead: 2.394
    ("training, overhead", lambda: costs.training_usd(1, D("0.5"), D("3.99"), overhead=D("1.2")), "2.394"),
    # 2 million tokens, 3 epochs, $25 a million
    ("training, hosted", lambda: costs.hosted_training_usd(D(2_000_000), D(3), D(25)), "150"),
    # 2,628,000 queries in 2,628,000 seconds: 1 a second
    ("peak rate", lambda: costs.peak_rate(D(2_628_000)), "1"),
    # 10 million, five times the mean at the peak: 10e6 * 5 / 2,628,000
    ("peak rate, factor", lambda: costs.peak_rate(D(10_000_000), D(5)), "19.0259"),
    # 19.0259 * 1.3 / 8 = 3.09: four
    ("replicas", lambda: D(costs.replicas(D("19.0259"), D(8), D("0.3"))), "4"),
    # 16 / 8 = 2 exactly: two
    ("replicas, just full", lambda: D(costs.replicas(D(16), D(8))), "2"),
    ("replicas, least", lambda: D(costs.replicas(D("0.001"), D(8), least=2)), "2"),
    # 2 replicas of 1 GPU at 2.69, 730 h, $100 of operations: 3927.40 + 100
    ("month, always on", lambda: costs.month_usd(2, 1, D("2.69"), operations=D(100)), "4027.40"),
    # a request every 300 s, 300 s idle, 30 s to start, answers at once: on for 1 - 1 / (0.1 + e) of 730 h, at 2.69
    (
        "month, scale to zero",
        lambda: costs.month_usd(1, 1, D("2.69"), costs.scale_to_zero(MONTH / 300, D(0), D(30), D(300)).hours_on),
        "1266.92795",
    ),
    # 4027.40 for 5 million queries
    ("self-hosted per 1k", lambda: costs.usd_per_1k(D("4027.40"), D(5_000_000)), "0.80548"),
    # 1 GPU at 2.69, 8 a second, 70 % used: 2690 / (3600 * 8 * .7)
    ("floor per 1k", lambda: costs.floor_usd_per_1k(1, D("2.69"), D(8), D("0.7")), "0.13343"),
    # 5 of 40 GPU-seconds of a month of 1963.70
    ("adapter's share", lambda: costs.adapter_usd(D("1963.70"), D(5), D(40)), "245.4625"),
    # 12 months, every 5: three trainings
    ("trainings", lambda: D(costs.trainings(D(12), D(5))), "3"),
    # .80 + (50 + 400 + 26.90 * 3) * 1000 / (100,000 * 12) + .01 = .80 + .44225 + .01
    (
        "total cost of ownership",
        lambda: costs.total_usd_per_1k(
            D("0.80"), costs.invested_usd(D("26.90"), 3, D(50), D(400)), D(100_000), D(12), monitoring=D("0.01")
        ),
        "1.25225",
    ),
    # 7.2 MJ at a PUE of 1.2: 2 kWh * 1.2
    ("energy", lambda: costs.energy_kwh(D(7_200_000), D("1.2")), "2.4"),
    # 30,000 over 35,040 h, half used: 1.71233; .7 kW * 1.2 * .25 = .21; .05 operations
    (
        "owned hour",
        lambda: costs.owned_usd_per_hour(
            costs.Machine(D(30_000), D(35_040), D("0.5"), D("0.7"), D("0.25"), D("1.2"), D("0.05"))
        ),
        "1.97233",
    ),
    # rent 730 a month against 0.365 per 1,000: 2,000,000 queries (found within one in a thousand)
    (
        "break-even, in thousands",
        lambda: (costs.break_even(lambda v: D(730) - v * D("0.000365"))[0] / 100_000).quantize(D(1)),
        "20",
    ),
]


@pytest.mark.parametrize(("name", "computed", "by_hand"), SHEET, ids=[row[0] for row in SHEET])
def test_cost_sheet(name: str, computed: object, by_hand: str) -> None:
    assert abs(computed() - D(by_hand)) <= D("0.0001"), name  # type: ignore[operator]


def test_scale_to_zero_by_hand() -> None:
    # one request every 300 s on average, waited for 300 s, ready at once: a share 1/e of the gaps ends in a cold start
    volume = costs.SECONDS_A_MONTH / 300
    found = costs.scale_to_zero(volume, D(0), D(0), D(300))
    assert abs(found.cold_starts / volume - D("0.3678794")) < D("1e-6")
    # off for the rest of each of these gaps: 300 s on average, in a cycle of 300 e seconds
    assert abs(found.hours_on / 730 - (1 - D("0.3678794"))) < D("1e-6")
    # with a start of 300 s one more request comes in a cycle
    assert abs(costs.scale_to_zero(volume, D(0), D(300), D(300)).switching_share - D("0.2689414")) < D("1e-6")


def test_a_replica_needs_a_positive_rate() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        costs.replicas(D(1), D(0))


AMOUNT = st.decimals(D("0.001"), D(10_000), places=3)
TOKENS = st.integers(0, 100_000).map(D)


@given(TOKENS, TOKENS, TOKENS, AMOUNT, st.decimals(0, 1, places=2))
def test_api_cost_is_positive_and_rises_with_tokens_and_prices(i: D, h: D, o: D, price: D, retries: D) -> None:
    prices = TokenPrices(price, price / 10, price, price * 4)
    cost = costs.api_usd_per_1k(TokenUse(i, o, cache_read=h), prices, retries)
    assert cost >= 0
    assert costs.api_usd_per_1k(TokenUse(i, o + 1, cache_read=h), prices, retries) > cost
    dearer = TokenPrices(price * 2, price / 5, price * 2, price * 8)
    assert costs.api_usd_per_1k(TokenUse(i, o, cache_read=h), dearer, retries) >= cost


@given(AMOUNT, AMOUNT, st.integers(1, 10**9), st.integers(1, 60), AMOUNT, AMOUNT)
def test_parts_sum_to_the_total(serving: D, training: D, volume: int, months: int, search: D, labels: D) -> None:
    v, h = D(volume), D(months)
    total = costs.total_usd_per_1k(serving, costs.invested_usd(training, 2, search, labels), v, h)
    parts = serving + sum(p * 1000 / (v * h) for p in (training, training, search, labels))
    assert abs(total - parts) < D("1e-12") * max(1, total)


@given(AMOUNT, AMOUNT, st.integers(1, 10**8))
def test_monthly_cost_rises_with_volume_and_cost_per_query_falls_to_its_floor(price: D, rate: D, volume: int) -> None:
    def per_1k(v: D) -> D:
        return costs.usd_per_1k(costs.month_usd(costs.replicas(costs.peak_rate(v), rate), 1, price), v)

    def month(v: D) -> D:
        return costs.month_usd(costs.replicas(costs.peak_rate(v), rate), 1, price)

    v = D(volume)
    assert month(v * 2) >= month(v)
    floor = costs.floor_usd_per_1k(1, price, rate)
    assert per_1k(v) >= floor * D("0.999999")
    full = rate * costs.SECONDS_A_MONTH * 1000
    assert per_1k(full) <= floor * D("1.002")


@given(AMOUNT, st.integers(1, 10**7), st.integers(1, 3600), st.integers(0, 600))
def test_scaling_to_zero_never_costs_more_than_always_on(price: D, volume: int, idle: int, cold: int) -> None:
    hours = costs.scale_to_zero(D(volume), D(0), D(cold), D(idle)).hours_on
    assert 0 <= costs.month_usd(1, 1, price, hours) <= costs.month_usd(1, 1, price)


def test_break_even_may_not_exist_or_exist_several_times() -> None:
    assert costs.break_even(lambda v: D(1)) == []
    assert costs.break_even(lambda v: D(0)) == []
    # a staircase of 1,000 each 1,000,000 queries against 0.8 per 1,000: crossed on the first steps, then above for good
    steps = costs.break_even(lambda v: D(1000) * (v // 1_000_000 + 1) - v * D("0.0012"))
    assert len(steps) >= 2
    assert all(a < b for a, b in pairwise(steps))


if __name__ == "__main__":  # the figures for the record
    errors = [abs(computed() - D(by_hand)) for _, computed, by_hand in SHEET]
    print(f"{len(SHEET)} cases, largest error ${max(errors):.7f}")
