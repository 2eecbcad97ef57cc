"""Scenarios: what a made-up study costs under other volumes, prices and promises, by hand and by property."""

import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.comparison import Cell, Priced, Terms
from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.option import RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Constraints, Economics
from autoadapt.tasks.prices import terms
from autoadapt.verdict.recommendation import recommend, recommend_by_weights
from autoadapt.verdict.scenarios import Pricer, break_even, compare, options_under

D = decimal.Decimal

ECONOMICS = Economics(usd_per_hour=D("3.6"), queries_per_month=100_000, horizon_months=10)


def raw(trial: int, method: str, **changes: Any) -> RawOption:
    """100 rows in 2 seconds: at $3.60 an hour a tenth of a cent a second, $0.02 per 1,000."""
    told: dict[str, Any] = {
        "trial": trial,
        "method": method,
        "model": "m",
        "params": {},
        "quality": 0.8,
        "quality_ci": (0.7, 0.9),
        "hardware": "x",
        "devices": 1,
        "train_seconds": 0.0 if method == "prompt" else 1000.0,
        "inference_seconds": 2.0,
        "rows": 100,
        "tokens_in": 50_000,
        "tokens_shared": 0,
        "tokens_out": 500,
        "tokens_in_ci": (480.0, 520.0),
        "tokens_out_ci": (5.0, 5.0),
        "free_text": False,
        "decode_share": 0.0,
        "latency_p50_ms": 40.0,
        "latency_p95_ms": 50.0,
        "artifact_bytes": 1_000_000,
        "peak_memory_bytes": 500_000_000,
        "shares_base": method != "full",
        "on_frontier": True,
        "weights_kept": True,
        **changes,
    }
    told.setdefault("quality_expected", told["quality"])
    return RawOption(**told)


def under(constraints: Constraints | None = None, **scenario: Any) -> Terms:
    return terms("s", Scenario(**scenario), ECONOMICS, constraints or Constraints(), "the task", 12.0, None)[0]


def price(option: RawOption, terms: Terms, cell: Cell) -> Priced:
    return Pricer(option, terms).price(cell)


def usd(option: RawOption, **scenario: Any) -> D:
    found = under(**scenario)
    return price(option, found, found.cell()).usd_per_1k


def test_per_use_is_device_time_and_training_spread() -> None:
    assert usd(raw(0, "prompt")) == D("0.02")
    # $1 of training over 100,000 * 10 queries: a tenth of a cent per 1,000
    assert usd(raw(0, "lora")) == D("0.021")
    assert usd(raw(0, "lora"), volume=1000, horizon_months=1.0) == D("1.02")
    assert usd(raw(0, "lora"), retrain_months=4.0) == D("0.023")
    assert usd(raw(0, "lora"), with_search=True, label_usd=D(8), monitoring_usd_per_1k=D("0.1")) == D("0.141")


def test_energy_and_the_floor() -> None:
    # 100 rows drew 3,600 J: 36 kJ per 1,000, a hundredth of a kWh, at a PUE of 1.5
    owned = {"kilowatts": 0.4, "usd_per_kwh": 0.25, "pue": 1.5}
    found = under(owned=owned, headroom=0.25)
    priced = price(raw(0, "prompt", energy_joules=3600.0), found, found.cell())
    assert priced.kwh_per_1k == pytest.approx(0.015)
    # 50 a second, a fifth of it kept free, at 15 cents an hour
    assert float(priced.floor_usd_per_1k) == pytest.approx(1000 * 0.15 / 3600 / 40)


def test_an_always_on_replica_pays_its_rent_whatever_its_use() -> None:
    # 730 h at $3.60 for 100,000: $26.28 per 1,000
    assert usd(raw(0, "prompt"), hosting="always_on") == D("26.28")
    # 50 a second is what it can answer; 131.4 million a month are 50 a second, one more needs a second replica
    edge = 50 * 730 * 3600
    one = under(hosting="always_on", volume=edge)
    two = under(hosting="always_on", volume=edge + 1)
    assert price(raw(0, "prompt"), one, one.cell()).replicas == 1
    assert price(raw(0, "prompt"), two, two.cell()).replicas == 2


def test_scale_to_zero_lies_between_use_and_rent() -> None:
    own = raw(0, "prompt")
    slept = usd(own, hosting="scale_to_zero", volume=2000, cold_s=30.0)
    assert usd(own, volume=2000) < slept < usd(own, hosting="always_on", volume=2000)
    assert usd(own, hosting="scale_to_zero", volume=50_000_000) <= usd(own, hosting="always_on", volume=50_000_000)


def test_adapters_share_a_base_and_full_models_do_not() -> None:
    ten: dict[str, Any] = {"hosting": "shared", "adapters": 10, "volume": 1000}
    alone: dict[str, Any] = {"hosting": "always_on", "volume": 1000}
    training = usd(raw(0, "lora"), volume=1000) - D("0.02")
    assert usd(raw(0, "lora"), **ten) - training == (usd(raw(0, "lora"), **alone) - training) / 10
    assert usd(raw(0, "full"), **ten) == usd(raw(0, "full"), **alone)
    # ten times the requests on one replica may need a second
    busy = under(hosting="shared", adapters=10, volume=6 * 730 * 3600)
    assert price(raw(0, "lora"), busy, busy.cell()).usd_per_1k > 0


def loaded(*rates: tuple[float, float]) -> Load:
    runs = [LoadRun(rate=r, sent_seconds=100 / r, seconds=100 / r, e2el_ms=[ms] * 100) for r, ms in rates]
    return Load(runs=runs, engine="made up", hardware="x", cold_start_s=5.0)


def test_the_promise_decides_the_rate_and_the_replicas() -> None:
    own = raw(0, "prompt", load=loaded((1, 50), (10, 100), (20, 300), (40, 900)))
    volume = 30 * 730 * 3600  # 30 a second
    for promise, replicas in ((1000.0, 1), (400.0, 2), (120.0, 3), (60.0, 30)):
        found = under(volume=volume, p95=promise, hosting="always_on")
        priced = price(own, found, found.cell())
        assert (priced.replicas, priced.rate_measured) == (replicas, True), promise
    found = under(volume=volume, p95=400.0)
    assert price(own, found, found.cell()).latency_p95_ms == 300


def test_options_not_measured_under_load_are_not_better_for_it() -> None:
    own = raw(0, "prompt", load=loaded((10, 50), (20, 60)))
    other = raw(1, "prompt", quality=0.81)
    found = under(hosting="always_on", volume=30 * 730 * 3600)
    column = compare([own, other], found)
    rates = {p.trial: p.requests_per_s for p in column.priced}
    assert rates[0] == 20
    assert rates[1] == pytest.approx(20), "it is taken to keep the same share of its batches' throughput, 50 a second"


def test_longer_answers_cost_more_only_where_answers_are_written() -> None:
    written = raw(0, "prompt", free_text=True, decode_share=0.5)
    assert usd(written, output=2) == D("0.03")
    assert usd(raw(0, "prompt"), output=2) == D("0.02")


STUDY = [
    raw(0, "prompt", quality=0.6, quality_ci=(0.5, 0.7), inference_seconds=1.0),
    raw(1, "lora", quality=0.8, quality_ci=(0.78, 0.82), train_seconds=3600.0),
    raw(2, "full", quality=0.83, quality_ci=(0.81, 0.85), train_seconds=36_000.0, inference_seconds=1.9),
]


def test_a_comparison_says_what_to_choose_why_and_how_sure() -> None:
    column = compare(STUDY, under(volume=1_000_000))
    assert column.recommended == 2
    assert sum(column.winners.values()) == 27
    assert column.wins == column.winners[2]
    held = compare(STUDY, under(volume=1_000_000, training_usd=5.0))
    assert held.recommended == 1
    assert held.binding == ["training_usd"]
    none = compare(STUDY, under(quality=0.99))
    assert (none.recommended, none.wins) == (None, 0)
    assert none.binding == ["quality"]


def test_break_even_by_hand() -> None:
    # training of 2 costs $36 against $3.60, answers 0.019 against 0.020 per 1,000; over ten months:
    # 3.24 a month = V * 0.000001: V = 3.24 million
    found = break_even(STUDY[1], STUDY[2], under())
    assert (found.trial, found.other) == (1, 2)
    assert float(found.volumes[0]) == pytest.approx(3_240_000, rel=0.002)
    assert found.low is None, "with answers of 1 ten percent faster there is none"
    apart = break_even(STUDY[0], STUDY[1], under())
    assert (apart.volumes, apart.cheaper) == ([], 0)


def test_a_break_even_lies_within_its_range() -> None:
    dear = raw(3, "full", train_seconds=36_000.0, inference_seconds=1.0)
    found = break_even(STUDY[1], dear, under())
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.volumes[0] < found.high


@given(st.integers(100, 10**9), st.sampled_from(["per_use", "always_on", "scale_to_zero", "shared"]))
def test_a_month_rises_with_volume_and_price(volume: int, hosting: Any) -> None:
    found = under(hosting=hosting, volume=volume)
    for option in STUDY:
        pricer = Pricer(option, found)
        low = pricer.month_usd(found.cell())
        assert low >= 0
        assert pricer.month_usd(found.cell(price=2)) >= low
        assert pricer.month_usd(found.cell(volume=2)) >= low * D("0.999999")


def test_the_same_tokens_behind_an_api() -> None:
    quote = TokenPrice(model="small", provider="p", source="here", input=D("0.40"), cached=D("0.10"), output=D("1.60"))
    column = compare(STUDY, under(volume=1_000_000), [quote])
    # 500 in, 5 out: (500 * .40 + 5 * 1.60) / 1000
    assert column.api[0].usd_per_1k == D("0.208")
    assert column.api[0].usd_per_month == D(208)
    assert (column.api[0].low, column.api[0].high) == (D("0.200"), D("0.216"))
    assert column.api[0].cheaper_from is not None
    shared = [
        r.model_copy(update={"tokens_in": 200_000, "tokens_in_ci": (1900.0, 2100.0), "tokens_shared": 1500})
        for r in STUDY
    ]
    # 2,000 in of which 1,500 are shared: (500 * .40 + 1500 * .10 + 8) / 1000
    assert compare(shared, under(), [quote]).api[0].usd_per_1k == D("0.358")


def test_preferences_and_the_knee() -> None:
    options = options_under(STUDY, found := under(), found.cell())
    assert recommend_by_weights(options, Constraints(), (1, 0, 0)).trial == 2
    assert recommend_by_weights(options, Constraints(), (0, 1, 0)).trial == 0
    knee = recommend_by_weights(options, Constraints(), (1, 1, 1))
    assert "knee" in knee.reason
    assert recommend_by_weights(options, Constraints(quality=0.99), (1, 1, 1)).trial is None


def test_limits_on_training_memory_and_artifact() -> None:
    small = raw(4, "lora", quality=0.5, quality_ci=(0.4, 0.6), peak_memory_bytes=100_000_000)
    options = options_under([*STUDY, small], found := under(Constraints(memory_mb=200)), found.cell())
    assert recommend(options, Constraints(memory_mb=200), None).trial == 4, "though others beat it in all objectives"
    nothing = recommend(options, Constraints(artifact_mb=0.1), None)
    assert nothing.trial is None
    assert "artifact of 1 MB is above 0.1 MB" in nothing.reason
