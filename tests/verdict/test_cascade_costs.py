"""Costs of a cascade under scenarios, by hand: every query goes to the first part, four of ten to the second too."""

import decimal
from typing import Any

import numpy as np
import pytest

from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.option import Cascade, RawOption, cascade_number, number_text, trial_name, trials_of
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Task
from autoadapt.domain.usage import Usage
from autoadapt.domain.verdict import Paired
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.study.cascade_options import Parts, Scores, together
from autoadapt.tasks.prices import terms
from autoadapt.verdict.break_evens import break_even
from autoadapt.verdict.scenarios import compare, contenders

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
KEPT = 0.6


def raw(trial: int, seconds: float, train_seconds: float, quality: float, **more: Any) -> RawOption:
    """100 rows in so many seconds, at a tenth of a cent a second."""
    return RawOption(
        **{
            "trial": trial,
            "method": "lora",
            "model": f"m{trial}",
            "params": {},
            "quality": quality,
            "quality_ci": (quality - 0.02, quality + 0.02),
            "quality_expected": quality,
            "hardware": "x",
            "devices": 1,
            "training": Usage(device_seconds={"x": train_seconds}),
            "answering": Usage(device_seconds={"x": seconds}),
            "train_seconds": train_seconds,
            "inference_seconds": seconds,
            "rows": 100,
            "tokens_in": 5000,
            "tokens_shared": 0,
            "tokens_out": 100,
            "tokens_in_ci": (50.0, 50.0),
            "tokens_out_ci": (1.0, 1.0),
            "free_text": False,
            "decode_share": 0.0,
            "latency_p50_ms": 10.0,
            "latency_p95_ms": 10.0,
            "artifact_bytes": 1,
            "peak_memory_bytes": 1,
            "shares_base": False,
            "on_frontier": True,
            "weights_kept": True,
            "values": {},
            **more,
        }
    )


def loaded(milliseconds: float, rate: float) -> Load:
    run = LoadRun(
        rate=rate, sent_seconds=60 / rate, seconds=60 / rate, e2el_ms=[milliseconds + i / 60 for i in range(60)]
    )
    return Load(runs=[run], engine="e", hardware="x")


def cascade(first: RawOption, second: RawOption) -> RawOption:
    return raw(
        cascade_number(first.trial, second.trial),
        first.inference_seconds + (1 - KEPT) * second.inference_seconds,
        first.train_seconds + second.train_seconds,
        second.quality,
        method="cascade",
        parts=(first, second),
        parts_latency_ms=([10.0] * 60, [100.0] * 60),
        cascade=Cascade(
            first=first.trial,
            second=second.trial,
            first_method="lora",
            second_method="lora",
            temperature=1.0,
            threshold=0.8,
            kept_validation=KEPT,
            kept=KEPT,
            difference=0.0,
            difference_low=-0.01,
            difference_high=0.01,
            under_load=False,
            saved=0.5,
        ),
    )


CHEAP, DEAR = raw(3, 1.0, 100.0, 0.8), raw(12, 10.0, 1000.0, 0.9)
BOTH = cascade(CHEAP, DEAR)


def priced(option: RawOption, **scenario: Any) -> Any:
    found = terms("s", Scenario(**scenario), TASK, "the task", 0.0, None)[0]
    return pricer_of(option, found).price(found.cell())


def test_names_tell_both_trials() -> None:
    assert (trial_name(BOTH.trial), number_text(12)) == ("cascade 3 > 12", "12")
    assert (trials_of(BOTH.trial), trials_of(0)) == ((3, 12), (0,))
    assert (BOTH.title, CHEAP.name) == ("Cascade 3 > 12", "trial 3 (lora)")


def test_per_use_is_the_expected_device_time_and_both_trainings() -> None:
    # 1 + 0.4 * 10 = 5 seconds per 100 queries, 5 cents per 1,000; $1.10 of training over a million queries
    assert float(priced(BOTH).usd_per_1k) == pytest.approx(0.05 + 0.0011)
    assert float(priced(BOTH).training_usd) == pytest.approx(1.1)


def test_parts_that_are_always_on_need_a_replica_each_and_operations_once() -> None:
    alone = priced(DEAR, hosting="always_on", ops_usd=D(7))
    both = priced(BOTH, hosting="always_on", ops_usd=D(7))
    assert (alone.replicas, both.replicas) == (1, 2)
    assert float(both.serving_usd_per_month) == pytest.approx(2 * 3.6 * 730 + 7)
    assert float(alone.serving_usd_per_month) == pytest.approx(3.6 * 730 + 7)


def test_at_great_volumes_fewer_replicas_of_the_second_part_pay() -> None:
    # 10 requests a second and replica of the dear one, 100 of the cheap one; 100 a second arrive
    volume = 100 * 730 * 3600
    assert priced(DEAR, hosting="always_on", volume=volume).replicas == 10
    assert priced(BOTH, hosting="always_on", volume=volume).replicas == 1 + 4
    found = terms("s", Scenario(hosting="always_on"), TASK, "the task", 0.0, None)[0]
    crossing = break_even(DEAR, BOTH, found)
    assert crossing.trial == DEAR.trial, "one replica is cheaper than two at small volumes"
    assert crossing.volumes


def test_latency_is_the_mixture_of_single_requests_or_of_both_load_tests() -> None:
    assert priced(BOTH).latency_p95_ms == 110.0
    under_load = cascade(
        CHEAP.model_copy(update={"load": loaded(20.0, 1.0)}), DEAR.model_copy(update={"load": loaded(200.0, 0.5)})
    )
    random = np.random.default_rng(0)
    drawn = 20 + random.random(100_000) + np.where(random.random(100_000) < KEPT, 0, 200 + random.random(100_000))
    assert priced(under_load).latency_p95_ms == pytest.approx(np.percentile(drawn, 95), rel=0.01)
    half = cascade(CHEAP, DEAR.model_copy(update={"load": loaded(200.0, 0.5)}))
    assert priced(half).latency_p95_ms == 110.0


def test_the_upper_bound_of_the_p95_of_a_mixture_lengthens_answers_and_no_cold_start() -> None:
    scenario = Scenario(hosting="scale_to_zero", volume=3, idle_s=300.0, cold_s=5.0)  # hardly a query without a start
    found = terms("s", scenario, TASK, "the task", 0.0, None)[0]
    option = pricer_of(BOTH.model_copy(update={"p95_high": 1.2}), found).as_option(found.cell())
    assert option.latency_p95_ms == pytest.approx(2 * 5000 + 110)
    assert option.latency_p95_high_ms == pytest.approx(2 * 5000 + 1.2 * 110)


def test_a_comparison_weighs_it_and_keeps_what_it_seems_to_dominate() -> None:
    # a better cascade with smaller figures; alone, the other trial needs one replica where the cascade needs two
    free = raw(0, 0.1, 0.0, 0.7, method="prompt")
    hidden = raw(5, 9.0, 1000.0, 0.85, on_frontier=False)
    both = cascade(free, raw(6, 9.5, 900.0, 0.9)).model_copy(update={"latency_p95_ms": 5.0})
    found = terms("s", Scenario(hosting="always_on"), TASK, "the task", 0.0, None)[0]
    assert hidden.trial in {r.trial for r in contenders([free, hidden, both], found)}
    as_good = Paired(trial=BOTH.trial, other=DEAR.trial, rows=900, difference=0.0, low=-0.006, high=0.006, p=1.0)
    column = compare([CHEAP, DEAR, BOTH], terms("s", Scenario(), TASK, "the task", 0.0, None)[0], pairs=[as_good])
    assert column.recommended == BOTH.trial


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.9])
def test_objectives_read_the_latency_of_the_mixture(kept: float) -> None:
    """A percentile that is interpolated between its quantiles is that of many simulated queries."""
    random = np.random.default_rng(1)
    first, second = random.gamma(4.0, 1.0, 400), random.gamma(9.0, 4.0, 400)
    drawn = random.integers(400, size=200_000)
    simulated = first[drawn] + np.where(random.random(len(drawn)) < kept, 0.0, second[drawn])
    quantiles = together_latency(first.tolist(), second.tolist(), kept)
    assert len(quantiles) == 400
    for percent in (5, 50, 90, 95):
        assert np.percentile(quantiles, percent) == pytest.approx(np.percentile(simulated, percent), rel=0.03)


def together_latency(first: list[float], second: list[float], kept: float) -> list[float]:
    """Latencies of the measurement that a cascade of two parts would have given."""

    def measured(latency_ms: list[float], tokens: int) -> Measurement:
        rows = [RowResult(id=i, stats=[1.0], tokens_in=tokens, tokens_out=tokens) for i in range(2)]
        return Measurement(
            rows=rows, inference_seconds=1.0, latency_ms=latency_ms, peak_memory_bytes=1, parameters_total=1
        )

    parts = Parts((raw(0, 1.0, 0.0, 0.7), raw(1, 4.0, 0.0, 0.8)), (measured(first, 3), measured(second, 5)))
    scores = Scores(np.array([True, False]), 0.8, (0.7, 0.9), 0.8, (0.7, 0.9), 2)
    known = {
        "first": 0,
        "second": 1,
        "first_method": "lora",
        "second_method": "lora",
        "temperature": 1.0,
        "threshold": 0.8,
        "kept_validation": kept,
        "kept": kept,
        "difference": 0.0,
        "difference_low": 0.0,
        "difference_high": 0.0,
        "under_load": False,
        "saved": 0.0,
    }
    measurement = together(Cascade.model_validate(known), scores, parts)
    assert [(row.tokens_in, row.tokens_out) for row in measurement.rows] == [(3, 3), (8, 8)]
    return measurement.latency_ms


def test_operations_of_a_cascade_of_shared_adapters_are_paid_once() -> None:
    both = cascade(*(part.model_copy(update={"shares_base": True}) for part in (CHEAP, DEAR)))
    with_operations, without = (priced(both, ops_usd=D(usd), hosting="shared", adapters=10) for usd in (100, 0))
    assert with_operations.serving_usd_per_month - without.serving_usd_per_month == D(10)
