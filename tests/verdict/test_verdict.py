"""Objectives, intervals, recommendation."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Measurement, Outcome, RowResult
from autoadapt.domain.task import Constraints, Economics
from autoadapt.domain.trial import Devices
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.objectives import cost_usd_per_1k, device_usd, objectives
from autoadapt.verdict.recommendation import recommend
from autoadapt.worker.run import METRICS


def outcome(
    *, rows: int = 100, right: int = 80, train: float = 0.0, inference: float = 2.0, devices: int = 1
) -> Outcome:
    return Outcome(
        trial=0,
        rung=0,
        attempt=0,
        devices=Devices(kind="x", count=devices, accelerator="cpu"),
        seconds=10.0,
        measurement=Measurement(
            rows=[RowResult(id=i, stats=[float(i < right)], tokens_in=5, tokens_out=1) for i in range(rows)],
            inference_seconds=inference,
            latency_ms=[float(i) for i in range(1, 101)],
            train_seconds=train,
            peak_memory_bytes=1,
            parameters_total=1,
        ),
    )


def test_cost_by_hand() -> None:
    # 2 s for 100 rows is 20 s per 1k; at $3.60 an hour a second costs $0.001: $0.02
    # training: 500 s on 2 devices is $1; spread over 1000 * 10 queries: $0.10 per 1k
    economics = Economics(usd_per_hour=Decimal("3.6"), queries_per_month=1000, horizon_months=10)
    assert device_usd(3600, 2, economics) == Decimal("7.2")
    assert cost_usd_per_1k(outcome(train=500, devices=2), economics) == Decimal("0.12")
    assert cost_usd_per_1k(outcome(), economics) == Decimal("0.02")


@given(st.floats(0.001, 1e5), st.floats(0, 1e6), st.integers(1, 10**9), st.floats(0.1, 100))
def test_cost_falls_with_volume_and_rises_with_time(inference: float, train: float, volume: int, months: float) -> None:
    economics = Economics(usd_per_hour=Decimal(2), queries_per_month=volume, horizon_months=months)
    more = economics.model_copy(update={"queries_per_month": volume * 2})
    base = cost_usd_per_1k(outcome(inference=inference, train=train), economics)
    assert base >= 0
    assert cost_usd_per_1k(outcome(inference=inference, train=train), more) <= base
    assert cost_usd_per_1k(outcome(inference=inference * 2, train=train), economics) >= base


def test_objectives_state_p95_only_with_enough_samples() -> None:
    economics = Economics(usd_per_hour=Decimal(1))
    found = objectives(outcome(), METRICS.get("accuracy"), economics)
    assert found.quality == 0.8
    assert found.latency_ms == pytest.approx(95.05)


def test_wilson_by_the_book() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    stats = np.array([[1.0]] * 81 + [[0.0]] * 182)
    low, high = interval(METRICS.get("accuracy"), stats)
    assert low == pytest.approx(0.2553, abs=1e-4)
    assert high == pytest.approx(0.3662, abs=1e-4)


def test_bootstrap_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    metric, covered = METRICS.get("rouge_l"), 0
    for seed in range(60):
        low, high = interval(metric, rng.beta(2, 3, size=(80, 1)), seed)
        covered += low <= 0.4 <= high
    assert covered >= 52


@pytest.mark.parametrize("name", ["rouge_l", "macro_f1"])
def test_an_interval_of_equal_rows_is_not_a_point(name: str) -> None:
    stats = np.zeros((30, 3)) if name == "macro_f1" else np.zeros((30, 1))
    low, high = interval(METRICS.get(name), stats)
    assert low <= 1e-9
    assert high > 0.05


def test_an_interval_has_a_width_although_every_resample_gives_the_same() -> None:
    metric = METRICS.get("bleu")
    stats = np.array(
        [metric.row(a, ["something else entirely, in many words"], []) for a in ["blue", "1", "a b", "c"] * 8]
    )
    low, high = interval(metric, stats)
    assert low == 0
    assert high > 0.05


def option(trial: int, quality: float, cost: float, latency: float | None = 10.0, **more: object) -> Option:
    return Option(
        trial=trial,
        method="prompt",
        model="m",
        params={},
        quality=quality,
        quality_ci=(quality - 0.05, quality + 0.05),
        quality_expected=quality,
        cost_usd_per_1k=cost,
        inference_usd_per_1k=cost,
        training_usd=0,
        latency_p50_ms=5,
        latency_p95_ms=latency,
        train_seconds=0,
        artifact_bytes=0,
        peak_memory_bytes=0,
        **more,  # type: ignore[arg-type]
    )


FREE = Constraints()


def test_a_gain_that_may_be_chance_is_not_paid_for() -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.88, 1.0), option(3, 0.70, 0.1)]
    advice = recommend(options, FREE, baseline=3)
    assert (advice.trial, advice.best_quality, advice.cheapest, advice.baseline) == (2, 1, 3, 3)
    assert "5 times less" in advice.reason


def test_of_options_that_cost_the_same_the_better_is_taken() -> None:
    assert recommend([option(1, 0.90, 1.1), option(2, 0.88, 1.0)], FREE, None).trial == 1


def test_a_real_gain_is_paid_for() -> None:
    assert recommend([option(1, 0.90, 5.0), option(2, 0.80, 1.0)], FREE, None).trial == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cost_usd_per_1k": 2.0}, 2),
        ({"latency_p95_ms": 8.0}, 3),
        ({"quality": 0.89}, 1),
    ],
)
def test_constraints_are_held(limits: dict[str, float], expected: int) -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.80, 1.0), option(3, 0.70, 3.0, latency=7.0)]
    advice = recommend(options, Constraints(**limits), None)
    assert advice.trial == expected
    assert advice.meets_constraints


def test_when_nothing_fits_it_says_what_is_missed() -> None:
    advice = recommend([option(1, 0.90, 5.0), option(2, 0.80, 1.0, latency=None)], Constraints(latency_p95_ms=5), None)
    assert advice.trial is None
    assert not advice.meets_constraints
    assert "above 5 ms" in advice.reason


def test_a_beaten_baseline_is_not_recommended() -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.90, 6.0, on_frontier=False)]
    assert recommend(options, FREE, 2).trial == 1


def test_nothing_measured_is_said() -> None:
    assert "nothing can be recommended" in recommend([], FREE, None).reason
