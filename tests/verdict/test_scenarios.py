"""Scenarios: costs of a made-up study under other volumes, prices and latency targets, by hand and by property."""

import decimal
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.comparison import Cell, Priced, Terms
from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Constraints, Task
from autoadapt.domain.usage import Usage
from autoadapt.economics.pricer import Pricer
from autoadapt.errors import UserError
from autoadapt.shelves import OBJECTIVES
from autoadapt.tasks.prices import terms
from autoadapt.verdict.break_evens import break_even
from autoadapt.verdict.option_values import option_value, option_values
from autoadapt.verdict.preferences import recommend_by_weights
from autoadapt.verdict.recommendation import binding_for, recommend
from autoadapt.verdict.scenarios import compare, options_under

D = decimal.Decimal

TASK = Task.model_validate(
    {
        "name": "made-up",
        "data": {"path": "data.jsonl"},
        "metric": {"name": "accuracy"},
        "models": ["m"],
        "budget": {"trials": 4},
        "economics": {"usd_per_hour": D("3.6"), "queries_per_month": 100_000, "horizon_months": 10.0},
    }
)


def device(seconds: float, **more: Any) -> Usage:
    return Usage(device_seconds={"x": seconds}, **more)


def raw(trial: int, method: str, **changes: Any) -> RawOption:
    """100 rows in 2 seconds: at $3.60 an hour a tenth of a cent a second, $0.02 per 1,000."""
    fields: dict[str, Any] = {
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
        "values": {},
        **changes,
    }
    fields.setdefault("quality_expected", fields["quality"])
    fields.setdefault("training", device(fields["train_seconds"]))
    fields.setdefault("answering", device(fields["inference_seconds"]))
    return RawOption(**fields)


def under(constraints: Constraints | None = None, **scenario: Any) -> Terms:
    task = TASK.model_copy(update={"constraints": constraints or Constraints()})
    return terms("s", Scenario(**scenario), task, "the task", 12.0, None)[0]


def price(option: RawOption, terms: Terms, cell: Cell) -> Priced:
    return Pricer(option, terms).price(cell)


def usd(option: RawOption, **scenario: Any) -> D:
    found = under(**scenario)
    return price(option, found, found.cell()).usd_per_1k


def test_per_use_is_device_time_plus_training_over_the_horizon() -> None:
    assert usd(raw(0, "prompt")) == D("0.02")
    # $1 of training over 100,000 * 10 queries: a tenth of a cent per 1,000
    assert usd(raw(0, "lora")) == D("0.021")
    assert usd(raw(0, "lora"), volume=1000, horizon_months=1.0) == D("1.02")
    assert usd(raw(0, "lora"), retrain_months=4.0) == D("0.023")
    assert usd(raw(0, "lora"), with_search=True, label_usd=D(8), monitoring_usd_per_1k=D("0.1")) == D("0.14")


def test_energy_and_the_floor() -> None:
    # 100 rows drew 3,600 J: 36 kJ per 1,000, a hundredth of a kWh, at a PUE of 1.5
    owned = {"kilowatts": 0.4, "usd_per_kwh": 0.25, "pue": 1.5}
    found = under(owned=owned, headroom=0.25, hosting="always_on")
    priced = price(raw(0, "prompt", answering=device(2.0, joules=3600.0)), found, found.cell())
    assert priced.kwh_per_1k == pytest.approx(0.015)
    # 50 a second, a fifth of it kept free, at 15 cents an hour
    assert float(priced.floor_usd_per_1k) == pytest.approx(1000 * 0.15 / 3600 / 40)


def test_an_always_on_replica_costs_its_rent_whatever_its_use() -> None:
    # 730 h at $3.60 for 100,000: $26.28 per 1,000
    assert usd(raw(0, "prompt"), hosting="always_on") == D("26.28")
    # 50 a second is what it can answer; 131.4 million a month are 50 a second, one more needs a second replica
    edge = 50 * 730 * 3600
    one = under(hosting="always_on", volume=edge)
    two = under(hosting="always_on", volume=edge + 1)
    assert price(raw(0, "prompt"), one, one.cell()).replicas == 1
    assert price(raw(0, "prompt"), two, two.cell()).replicas == 2


def test_scale_to_zero_lies_between_use_and_rent() -> None:
    option = raw(0, "prompt")
    asleep = usd(option, hosting="scale_to_zero", volume=2000, cold_s=30.0)
    assert usd(option, volume=2000) < asleep < usd(option, hosting="always_on", volume=2000)
    assert usd(option, hosting="scale_to_zero", volume=50_000_000) <= usd(
        option, hosting="always_on", volume=50_000_000
    )


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


def test_the_latency_target_determines_rate_and_replicas() -> None:
    option = raw(0, "prompt", load=loaded((1, 50), (10, 100), (20, 300), (40, 900)))
    volume = 30 * 730 * 3600  # 30 a second
    for target, replicas in ((1000.0, 1), (400.0, 2), (120.0, 3), (60.0, 30)):
        found = under(volume=volume, latency_p95_ms=target, hosting="always_on")
        priced = price(option, found, found.cell())
        assert (priced.replicas, priced.rate_measured) == (replicas, True), target
    found = under(volume=volume, latency_p95_ms=400.0)
    assert price(option, found, found.cell()).latency_p95_ms == 300


def test_options_not_measured_under_load_get_the_loaded_share_of_others() -> None:
    option = raw(0, "prompt", load=loaded((10, 50), (20, 60)))
    other = raw(1, "prompt", quality=0.81)
    found = under(hosting="always_on", volume=30 * 730 * 3600)
    column = compare([option, other], found)
    rates = {p.trial: p.requests_per_s for p in column.priced}
    assert rates[0] == 20
    assert rates[1] == pytest.approx(20), "the same share of its batches' throughput, 50 a second"


def test_longer_answers_cost_more_only_where_answers_are_written() -> None:
    written = raw(0, "prompt", free_text=True, decode_share=0.5)
    assert usd(written, output=2) == D("0.03")
    assert usd(raw(0, "prompt"), output=2) == D("0.02")


STUDY = [
    raw(0, "prompt", quality=0.6, quality_ci=(0.5, 0.7), inference_seconds=1.0),
    raw(1, "lora", quality=0.8, quality_ci=(0.78, 0.82), train_seconds=3600.0),
    raw(2, "full", quality=0.83, quality_ci=(0.81, 0.85), train_seconds=36_000.0, inference_seconds=1.9),
]


def test_a_comparison_recommends_and_counts_cells_and_binding_constraints() -> None:
    column = compare(STUDY, under(volume=1_000_000))
    assert column.recommended == 2
    assert sum(column.winners.values()) == column.cells == 9, "labels do not grow"
    assert column.wins == column.winners[2]
    limited = compare(STUDY, under(volume=1_000_000, training_usd=5.0))
    assert limited.recommended == 1
    assert limited.binding == ["training_usd"]
    none = compare(STUDY, under(quality=0.99))
    assert (none.recommended, none.wins) == (None, 0)
    assert none.binding == ["quality"]


@pytest.mark.parametrize("volume", ["0.001", "0.5", "1000000000000"])
def test_any_volume_is_priced_as_the_formulas_of_a_month_say(volume: str) -> None:
    column = compare(STUDY, under(volume=D(volume)))
    # $3.60 an hour: a second costs a tenth of a cent; a training of one hour or ten is paid off over ten months
    training = {0: D(0), 1: D("3.6"), 2: D(36)}
    a_query = {r.trial: D(str(r.inference_seconds)) / 100 / 1000 for r in STUDY}
    bills = {p.trial: p.usd_per_month for p in column.priced}
    for trial, bill in bills.items():
        assert float(bill) == pytest.approx(float(D(volume) * a_query[trial] + training[trial] / 10))
    assert sum(column.winners.values()) == column.cells == 9


def test_a_difference_in_cost_counts_in_the_cells_where_it_comes_to_a_cent_a_month() -> None:
    # of the same serving class; a hundredth of a second a query apart, so that a cent a month is 1,000 queries
    better = raw(0, "prompt", quality=0.82, inference_seconds=3.0, serving_class="one")
    cheaper = raw(1, "prompt", quality=0.80, inference_seconds=2.0, serving_class="one")
    found = under(volume=[500, 600, 2000])
    for cell, counts in ((found.cell(0), False), (found.cell(1), False), (found.cell(2), True)):
        assert options_under([better, cheaper], found, cell)[1].on_frontier is counts


def test_length_of_answers_counts_where_answers_are_written() -> None:
    written = [r.model_copy(update={"free_text": True, "decode_share": 0.5}) for r in STUDY]
    column = compare(written, under(volume=1_000_000))
    assert sum(column.winners.values()) == column.cells == 27


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
    expensive = raw(3, "full", train_seconds=36_000.0, inference_seconds=1.0)
    found = break_even(STUDY[1], expensive, under())
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


def test_the_same_tokens_at_an_api() -> None:
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


EQUAL = {"quality": 1.0, "cost_usd_per_1k": 1.0, "latency_ms": 1.0}


def test_weights_and_the_knee() -> None:
    options = options_under(STUDY, found := under(), found.cell())
    assert recommend_by_weights(options, Constraints(), {"quality": 1}).trial == 2
    assert recommend_by_weights(options, Constraints(), {"cost_usd_per_1k": 1}).trial == 0
    knee = recommend_by_weights(options, Constraints(), EQUAL)
    assert "knee" in knee.reason
    assert recommend_by_weights(options, Constraints(quality=0.99), EQUAL).trial is None


def test_limits_on_training_memory_and_artifact() -> None:
    small = raw(4, "lora", quality=0.5, quality_ci=(0.4, 0.6), peak_memory_bytes=100_000_000)
    options = options_under([*STUDY, small], found := under(Constraints(memory_mb=200)), found.cell())
    assert recommend(options, Constraints(memory_mb=200), None).trial == 4, (
        "though others dominate it in all objectives"
    )
    nothing = recommend(options, Constraints(artifact_mb=0.1), None)
    assert nothing.trial is None
    assert "artifact of 1 MB is above 0.1 MB" in nothing.reason


def remote(trial: int, **changes: Any) -> RawOption:
    """100 rows billed at $0.03: $0.30 per 1,000; no device is used."""
    usage = Usage(usd=0.03, usd_estimated=False)
    return raw(trial, "prompt", **{"answering": usage, "load": None, **changes})


def test_a_provider_bills_the_same_whatever_hosting_and_price_of_devices() -> None:
    assert usd(remote(0)) == D("0.3")
    for hosting in ("always_on", "scale_to_zero", "shared"):
        assert usd(remote(0), hosting=hosting) == D("0.3")
    found = under(price=100)
    assert price(remote(0), found, found.cell()).usd_per_1k == D("0.3")
    busy = under(volume=1_000_000_000)
    priced = price(remote(0), busy, busy.cell())
    assert (priced.replicas, priced.floor_usd_per_1k, priced.kwh_per_1k) == (0, D("0.3"), None)
    # a tuning of $5 at the provider over 100,000 * 10 queries: half a cent per 1,000
    assert usd(remote(0, training=Usage(usd=5.0))) == D("0.305")


def test_slower_devices_do_not_change_what_a_provider_bills() -> None:
    found = under()
    assert Pricer(remote(0), found, slower=D(2)).month_usd(found.cell()) == D(30)
    assert Pricer(raw(0, "prompt"), found, slower=D(2)).month_usd(found.cell()) == D(4)


def test_training_on_several_devices_costs_its_device_seconds() -> None:
    # 1,000 s on 4 devices: $4 over 100,000 * 10 queries
    assert usd(raw(0, "full", devices=4, training=device(4000.0))) == D("0.024")


def test_break_even_of_a_device_and_a_provider_by_hand() -> None:
    # rent of 730 h at $3.60 against $0.30 per 1,000: 8.76 million queries a month
    found = break_even(raw(0, "prompt"), remote(1), under(hosting="always_on"))
    assert (found.trial, found.other) == (1, 0)
    assert float(found.volumes[0]) == pytest.approx(8_760_000, rel=0.002)
    assert found.low is not None
    assert found.high is not None
    # low and high prices of a device-hour are two thirds of the likely one and one and a half times it
    assert float(found.low) == pytest.approx(8_760_000 / 1.5, rel=0.002)
    assert float(found.high) == pytest.approx(8_760_000 * 1.5, rel=0.002)


MEMORY = Goal(name="memory_mb", direction="minimize", unit="MB", title="peak memory in MB")


def test_an_option_that_is_best_in_a_further_objective_stays_on_the_frontier() -> None:
    small = raw(4, "lora", quality=0.5, peak_memory_bytes=100_000_000, values={"memory_mb": 100.0}, on_frontier=False)
    study = [*(r.model_copy(update={"values": {"memory_mb": 500.0}}) for r in STUDY), small]
    goals = (*DEFAULT_GOALS, MEMORY)
    flags = {o.trial: o.on_frontier for o in options_under(study, under(), under().cell(), goals)}
    assert flags[4]
    assert not {o.trial: o.on_frontier for o in options_under(study, under(), under().cell())}[4]
    assert 4 in {o.trial for o in compare(study, under(), goals=goals).options}
    options = options_under(study, under(), under().cell(), goals)
    assert recommend_by_weights(options, Constraints(), {"memory_mb": 1}, goals).trial == 4


def test_weights_of_unknown_objectives_or_none_at_all_are_refused() -> None:
    options = options_under(STUDY, found := under(), found.cell())
    with pytest.raises(UserError, match="memory_mb"):
        recommend_by_weights(options, Constraints(), {"memory_mb": 1.0})
    with pytest.raises(UserError, match="not all 0"):
        recommend_by_weights(options, Constraints(), {"quality": 0.0})
    with pytest.raises(UserError, match="negative"):
        recommend_by_weights(options, Constraints(), {"quality": -1.0})


def test_cold_starts_are_part_of_p95_and_of_the_latency_target() -> None:
    """3,000 queries a month, 300 s idle, 20 s to start: 71 % of the gaps outlast the idle time."""
    option = raw(0, "prompt", load=loaded((0.01, 14), (42.8, 55)))
    found = under(hosting="scale_to_zero", volume=3000, idle_s=300.0, cold_s=20.0, latency_p95_ms=400.0)
    priced = price(option, found, found.cell())
    assert priced.latency_p95_ms == pytest.approx(20_014, abs=1)
    assert priced.within_target == pytest.approx(0.286, abs=0.002)
    assert compare([option], found).recommended is None
    awake = under(hosting="always_on", volume=3000, latency_p95_ms=400.0)
    assert price(option, awake, awake.cell()).within_target == 1.0
    # without a load test the p95 of single requests is what cold starts are added to
    assert price(raw(0, "prompt"), found, found.cell()).latency_p95_ms == pytest.approx(20_050, abs=1)


@pytest.mark.parametrize("load", [None, loaded((0.01, 50), (42.8, 55))])
@pytest.mark.parametrize("cold_s", [5.0, 20.0])
def test_the_upper_bound_of_a_p95_lengthens_answers_and_no_cold_start(load: Load | None, cold_s: float) -> None:
    """71 % of the requests wait for a start: their p95 is that of an answer and the start, which is no estimate."""
    found = under(hosting="scale_to_zero", volume=3000, idle_s=300.0, cold_s=cold_s)
    option = Pricer(raw(0, "prompt", load=load, p95_high=1.3), found).as_option(found.cell())
    assert option.latency_p95_ms == pytest.approx(1000 * cold_s + 50)
    assert option.latency_p95_high_ms == pytest.approx(1000 * cold_s + 1.3 * 50)
    awake = under(hosting="always_on", volume=3000)
    option = Pricer(raw(0, "prompt", load=load, p95_high=1.3), awake).as_option(awake.cell())
    assert option.latency_p95_high_ms == pytest.approx(1.3 * 50)


def test_tiny_rate_of_the_task_is_not_the_capacity_of_a_replica() -> None:
    """A target that lies between the task's own rate and the next one measured needs one replica, not a thousand."""
    option = raw(0, "prompt", load=loaded((0.00076, 14), (42.8, 120)))
    found = under(hosting="always_on", volume=2_000_000, latency_p95_ms=60.0)
    priced = price(option, found, found.cell())
    assert (priced.replicas, priced.rate_measured) == (1, False)
    assert priced.serving_usd_per_month == D("3.6") * 730
    assert priced.latency_p95_ms is not None
    assert priced.latency_p95_ms < 60


def test_target_that_is_met_at_no_rate_is_not_met() -> None:
    """96.7 % within the target are not 99 %."""
    ms = [14.0] * 97 + [500.0] * 3
    runs = [LoadRun(rate=r, sent_seconds=100 / r, seconds=100 / r, e2el_ms=ms) for r in (0.01, 10.0)]
    option = raw(0, "prompt", load=Load(runs=runs, engine="made up", hardware="x"))
    found = under(hosting="always_on", latency_p95_ms=400.0)
    priced = price(option, found, found.cell())
    assert priced.latency_p95_ms == 14.0
    assert not priced.rate_measured
    column = compare([option], found)
    assert column.recommended is None
    assert "97.0 % of its requests, not 99 %, are within 400 ms" in column.reason


def test_adapters_that_share_replicas_are_priced_with_the_load_of_all() -> None:
    """20 adapters at 3 requests a second each, 25 a second a replica with merged weights."""
    option = raw(0, "lora", load=loaded((3, 31.6), (25, 80), (26, 900)))
    more: dict[str, Any] = {"hosting": "shared", "volume": 3 * 730 * 3600, "latency_p95_ms": 200.0}
    one, twenty = under(**more), under(adapters=20, **more)
    assert price(option, one, one.cell()).replicas == 1
    priced = price(option, twenty, twenty.cell())
    assert (priced.replicas, priced.latency_p95_ms) == (3, 80)
    slow = under(adapters=20, unmerged_slowdown=2.0, **more)
    priced = price(option, slow, slow.cell())
    assert (priced.replicas, priced.requests_per_s) == (5, 12.5), "60 a second at half the rate"
    assert priced.latency_p95_ms == 160


def test_owned_machine_that_is_always_on_costs_its_price_over_its_life() -> None:
    """$10,000 over 35,040 hours are $208.33 a month, whatever share of them it works."""
    owned = {"capex_usd": 10_000, "life_hours": 35_040, "utilisation": 0.25, "kilowatts": 0, "usd_per_kwh": 0}
    found = under(owned=owned, hosting="always_on")
    assert float(price(raw(0, "prompt"), found, found.cell()).serving_usd_per_month) == pytest.approx(208.33, abs=0.01)
    per_use = under(owned=owned)
    assert float(per_use.hour_usd[1]) == pytest.approx(10_000 / 35_040 / 0.25)


def test_training_is_paid_for_at_the_price_of_the_device_that_trained() -> None:
    option = raw(0, "lora")  # 1,000 s at $3.60 an hour: $1
    found = under(price=0.16)
    assert price(option, found, found.cell()).training_usd == 1
    given = under(price=0.16, training_price=D("7.2"))
    assert price(option, given, given.cell()).training_usd == 2


def test_times_on_another_device_need_a_factor() -> None:
    scenario = Scenario(owned={"kilowatts": 0.4, "usd_per_kwh": 0.25})
    warnings = terms("s", scenario, TASK, "the task", 0.0, None)[1]
    assert any("device_speed" in line for line in warnings)
    half = under(price=3.6, device_speed=0.5)
    assert price(raw(0, "prompt"), half, half.cell()).usd_per_1k == D("0.04")
    assert price(raw(0, "prompt"), half, half.cell()).latency_p95_ms == 100


def test_floor_counts_the_hours_off_the_peak() -> None:
    found = under(headroom=0.25, peak_factor=4.0, hosting="always_on")
    # 50 a second at the peak, a fifth kept free: 10 on average
    assert float(price(raw(0, "prompt"), found, found.cell()).floor_usd_per_1k) == pytest.approx(1000 * 3.6 / 3600 / 10)


def test_knee_does_not_stretch_what_hardly_differs() -> None:
    """Five percent of cost and three of latency are no reason to give up twenty points."""
    cheap = raw(0, "prompt", quality=0.2, quality_ci=(0.1, 0.3), inference_seconds=2.0, latency_p95_ms=50.0)
    good = raw(1, "prompt", quality=0.4, quality_ci=(0.3, 0.5), inference_seconds=2.1, latency_p95_ms=51.5)
    options = options_under([cheap, good], found := under(), found.cell())
    assert recommend_by_weights(options, Constraints(), EQUAL).trial == 1
    # at a tenth of the cost and the latency it is another matter
    tenth = raw(0, "prompt", quality=0.35, quality_ci=(0.3, 0.4), inference_seconds=0.2, latency_p95_ms=5.0)
    options = options_under([tenth, good], found, found.cell())
    assert recommend_by_weights(options, Constraints(), EQUAL).trial == 0


def test_option_that_comes_nearest_to_the_constraints_is_named() -> None:
    """Of two that miss one constraint each, the one that misses it by less."""
    far = raw(0, "prompt", quality=0.635, quality_ci=(0.6, 0.7), inference_seconds=1.0)
    near = raw(1, "prompt", quality=0.694, quality_ci=(0.6, 0.7))
    limits = Constraints(quality=0.7)
    options = options_under([far, near], found := under(limits), found.cell())
    assert "trial 1 (prompt) comes nearest" in recommend(options, limits, None).reason


def test_training_may_be_excluded_by_a_limit_of_0() -> None:
    column = compare(STUDY, under(volume=1_000_000, training_usd=0))
    assert column.recommended == 0
    assert column.binding == ["training_usd"]


QUOTE = TokenPrice(model="small", provider="p", source="here", input=D("0.40"), cached=D("0.10"), output=D("1.60"))


def test_prompt_that_a_prompted_model_needs_is_priced_at_an_api() -> None:
    """The tuned option reads 18 tokens; a model without tuning needs the instruction too: 48."""
    more = {"tokens_in": 4800, "tokens_in_ci": (48.0, 48.0), "inference_seconds": 9.0, "on_frontier": False}
    prompt = raw(0, "prompt", quality=0.6, quality_ci=(0.5, 0.7), **more)
    tuned = raw(1, "lora", tokens_in=1800, tokens_in_ci=(18.0, 18.0))
    priced = compare([prompt, tuned], under(volume=1_000_000), [QUOTE]).api[0]
    assert (priced.prompt_of, priced.tokens_in, priced.measured) == (0, 48.0, False)
    assert priced.usd_per_1k == D("0.0272"), "48 * 0.40 / 1000 + 5 * 1.60 / 1000"
    reasoned = compare([prompt, tuned], under(api_reasoning_tokens=100), [QUOTE]).api[0]
    assert reasoned.usd_per_1k == D("0.0272") + D("0.16")


def test_both_sides_of_an_api_comparison_pay_for_monitoring() -> None:
    plain = compare(STUDY, under(volume=1_000_000), [QUOTE]).api[0]
    monitored = compare(STUDY, under(volume=1_000_000, monitoring_usd_per_1k=D("0.5")), [QUOTE]).api[0]
    assert monitored.usd_per_month == plain.usd_per_month + 500
    assert monitored.cheaper_from == plain.cheaper_from


def test_model_that_was_measured_is_priced_by_what_it_billed() -> None:
    hosted = remote(7, model="small", quality=0.7)
    priced = compare([*STUDY, hosted], under(), [QUOTE]).api[0]
    assert (priced.prompt_of, priced.measured, priced.usd_per_1k) == (7, True, D("0.3"))


def test_break_evens_are_of_options_that_somebody_would_choose_between() -> None:
    """A prompt 23 points below the best is no alternative at any volume."""
    pairs = [(b.trial, b.other) for b in compare(STUDY, under(volume=1_000_000)).break_even]
    assert pairs == [(1, 2)]


def test_option_that_was_loaded_at_the_rate_of_the_task_alone_needs_one_replica() -> None:
    """A load test for which no time was left has one run, at a request in 22 minutes."""
    alone = raw(0, "prompt", load=loaded((0.00076, 14)))
    other = raw(1, "prompt", quality=0.81)
    found = under(hosting="always_on", volume=30_000, latency_p95_ms=400.0)
    for priced in compare([alone, other], found).priced:
        assert (priced.replicas, priced.rate_measured) == (1, False)
        assert priced.requests_per_s > 10


@pytest.mark.parametrize("samples", [0, 40, 60])
def test_fewer_samples_do_not_meet_a_target_that_cold_starts_miss(samples: int) -> None:
    """At 30,000 a month, 20 s to start and 300 s idle 3.97 % of the requests wait for a start."""
    load = Load(runs=[LoadRun(rate=1.0, sent_seconds=1, seconds=1, e2el_ms=[10.0] * samples)], engine="e", hardware="x")
    option = raw(0, "prompt", load=load if samples else None)
    found = under(hosting="scale_to_zero", volume=30_000, idle_s=300.0, cold_s=20.0, latency_p95_ms=400.0)
    priced = price(option, found, found.cell())
    assert priced.within_target == pytest.approx(0.960, abs=0.002)
    assert compare([option], found).recommended is None


def test_requests_without_an_answer_are_not_within_the_target() -> None:
    run = LoadRun(rate=1.0, sent_seconds=100, seconds=100, e2el_ms=[10.0] * 70, failed=30)
    option = raw(0, "prompt", load=Load(runs=[run], engine="e", hardware="x"))
    found = under(hosting="always_on", latency_p95_ms=400.0)
    assert price(option, found, found.cell()).within_target == pytest.approx(0.7)
    assert compare([option], found).recommended is None


def test_owned_machine_loses_its_value_while_it_is_switched_off() -> None:
    """2,000 over 26,280 h are $55.56 a month; no watt is drawn."""
    owned = {"capex_usd": 2000, "life_hours": 26_280, "utilisation": 0.25, "kilowatts": 0, "usd_per_kwh": 0}
    for hosting in ("always_on", "scale_to_zero"):
        found = under(owned=owned, hosting=hosting, volume=3000)
        assert float(price(raw(0, "prompt"), found, found.cell()).serving_usd_per_month) == pytest.approx(
            55.56, abs=0.01
        )


def test_floor_per_use_is_the_device_time_of_an_answer() -> None:
    option = raw(0, "prompt", load=loaded((5, 50), (10, 900)))
    found = under()
    assert price(option, found, found.cell()).floor_usd_per_1k == D("0.02")


def test_no_output_that_cannot_be_read_is_taken() -> None:
    with pytest.raises(ValueError, match="'abc' is no number: give one, or low, likely and high"):
        Scenario(output="abc")  # type: ignore[arg-type]


def test_price_of_an_api_that_was_measured_grows_with_its_answers() -> None:
    hosted = remote(7, model="small", quality=0.9, free_text=True, decode_share=0.5)
    column = compare([hosted], under(output=3), [QUOTE])
    assert column.api[0].usd_per_1k == D("0.6")
    assert column.recommended == column.api[0].prompt_of == 7


@pytest.mark.parametrize("fault", [ValueError("no power"), math.nan, math.inf])
def test_an_objective_that_gives_no_number_for_an_option_has_that_of_its_measurement(
    monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    def of_option(self: Any, option: Any, name: str) -> float:
        if isinstance(fault, Exception):
            raise fault
        return float(fault)

    monkeypatch.setattr(type(OBJECTIVES.get("energy_wh")), "of_option", of_option)
    found = under()
    goals = (*DEFAULT_GOALS, OBJECTIVES.get("energy_wh").goal("energy_wh"))
    options = options_under([raw(0, "prompt", values={"energy_wh": 3.5})], found, found.cell(), goals)
    assert option_value(options[0], "energy_wh") == 3.5
    assert option_values(options, goals)[0, -1] == 3.5


def test_knee_is_no_constant_answer() -> None:
    nothing = raw(0, "majority", quality=0.12, quality_ci=(0.1, 0.2), inference_seconds=0.001, latency_p95_ms=0.01)
    worse = raw(1, "prompt", quality=0.1, quality_ci=(0.05, 0.2), inference_seconds=0.01, latency_p95_ms=0.1)
    good = raw(2, "lora", quality=0.86, quality_ci=(0.8, 0.9))
    options = options_under([nothing, worse, good], found := under(), found.cell())
    assert recommend_by_weights(options, Constraints(), EQUAL).trial == 2
    assert recommend_by_weights(options[:1], Constraints(), EQUAL).trial == 0, "where there is nothing else"


def test_binding_constraints_are_those_of_the_choice_that_was_made() -> None:
    """By quality alone the limit on latency decides; by cost alone it changes nothing."""
    fast = raw(0, "prompt", quality=0.6, quality_ci=(0.5, 0.7), inference_seconds=1.0, latency_p95_ms=20.0)
    good = raw(1, "lora", quality=0.9, quality_ci=(0.8, 0.95), latency_p95_ms=90.0)
    limits = Constraints(latency_p95_ms=50.0)
    options = options_under([fast, good], found := under(limits), found.cell())
    for weights, binding in (({"quality": 1.0}, ["latency_p95_ms"]), ({"cost_usd_per_1k": 1.0}, [])):
        chosen = binding_for(limits, lambda c, w=weights: recommend_by_weights(options, c, w).trial)  # type: ignore[misc]
        assert chosen == binding
