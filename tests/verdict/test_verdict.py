"""Costs from usage, the shelf of objectives, intervals, recommendation."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.metric import AnsweredRow
from autoadapt.domain.objective import DEFAULT_GOALS, Reading
from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.task import Constraints, Economics
from autoadapt.domain.usage import Usage
from autoadapt.domain.verdict import Paired
from autoadapt.economics.usage_costs import cost_usd_per_1k, device_usd, inference_usd_per_1k, usage_usd
from autoadapt.row_statistics import stats_array
from autoadapt.shelves import METRICS, OBJECTIVES
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.recommendation import recommend


def measurement(
    *,
    rows: int = 100,
    right: int = 80,
    train: float = 0.0,
    inference: float = 2.0,
    requests: int = 100,
    usd: float = 0.0,
) -> Measurement:
    return Measurement(
        rows=[RowResult(id=i, stats=[float(i < right)], tokens_in=5, tokens_out=1) for i in range(rows)],
        training=Usage(device_seconds={"x": train}),
        answering=Usage(device_seconds={"x": inference}, usd=usd),
        inference_seconds=inference,
        latency_ms=[float(i) for i in range(1, requests + 1)],
        train_seconds=train,
        peak_memory_bytes=2_000_000,
        artifact_bytes=500_000,
        parameters_total=1,
    )


def test_cost_by_hand() -> None:
    # 2 s for 100 rows is 20 s per 1k; at $3.60 an hour a second costs $0.001: $0.02
    # training: 500 s on 2 devices is $1; spread over 1000 * 10 queries: $0.10 per 1k
    economics = Economics(usd_per_hour=Decimal("3.6"), queries_per_month=1000, horizon_months=10)
    assert device_usd(3600, 2, economics) == Decimal("7.2")
    assert cost_usd_per_1k(measurement(train=1000), economics) == Decimal("0.12")
    assert cost_usd_per_1k(measurement(), economics) == Decimal("0.02")
    # half of the training steps were done: all of them will cost $2
    assert cost_usd_per_1k(measurement(train=1000), economics, share_trained=0.5) == Decimal("0.22")


def test_what_a_provider_billed_is_added_to_device_time() -> None:
    economics = Economics(usd_per_hour=Decimal("3.6"))
    assert usage_usd(Usage(device_seconds={"x": 1000.0, "y": 500.0}, usd=0.25), economics) == Decimal("1.75")
    # $0.02 of device time per 1k, and $0.05 billed for 100 rows
    assert inference_usd_per_1k(measurement(usd=0.05), economics) == Decimal("0.52")


@given(st.floats(0.001, 1e5), st.floats(0, 1e6), st.integers(1, 10**9), st.floats(0.1, 100))
def test_cost_falls_with_volume_and_rises_with_time(inference: float, train: float, volume: int, months: float) -> None:
    economics = Economics(usd_per_hour=Decimal(2), queries_per_month=volume, horizon_months=months)
    more = economics.model_copy(update={"queries_per_month": volume * 2})
    base = cost_usd_per_1k(measurement(inference=inference, train=train), economics)
    assert base >= 0
    assert cost_usd_per_1k(measurement(inference=inference, train=train), more) <= base
    assert cost_usd_per_1k(measurement(inference=inference * 2, train=train), economics) >= base


def read(name: str, measured: Measurement) -> float:
    economics = Economics(usd_per_hour=Decimal("3.6"))
    return OBJECTIVES.get(name).read(Reading(measured, METRICS.get("accuracy"), economics))


def test_objectives_of_a_measurement_by_hand() -> None:
    assert read("quality", measurement()) == 0.8
    assert read("cost_usd_per_1k", measurement()) == pytest.approx(0.02)
    assert read("latency_ms", measurement()) == pytest.approx(95.05)
    assert read("latency_ms", measurement(requests=58)) == 29.5, "the median of too few samples for p95"
    assert read("memory_mb", measurement()) == 2.0
    assert read("artifact_mb", measurement()) == 0.5


def test_default_goals_are_those_of_the_shelf() -> None:
    assert tuple(OBJECTIVES.get(g.name).goal(g.name) for g in DEFAULT_GOALS) == DEFAULT_GOALS


def test_objectives_of_an_option() -> None:
    one = option(1, 0.9, 5.0, latency=None, peak_memory_bytes=3_000_000, artifact_bytes=1_000_000)
    one = one.model_copy(update={"quality_expected": 0.85})
    of_option = {name: OBJECTIVES.get(name).of_option(one, name) for name in OBJECTIVES.names() if name in SHELF}
    assert of_option == {
        "quality": 0.85, "cost_usd_per_1k": 5.0, "latency_ms": 5.0, "memory_mb": 3.0, "artifact_mb": 1.0
    }  # fmt: skip


SHELF = {"quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "artifact_mb"}


def test_statistics_of_rows_are_an_array() -> None:
    assert stats_array(measurement(rows=3, right=2)).tolist() == [[1.0], [1.0], [0.0]]


def test_wilson_by_the_book() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    stats = np.array([[1.0]] * 81 + [[0.0]] * 182)
    low, high = interval(METRICS.get("accuracy"), stats)
    assert low == pytest.approx(0.2553, abs=1e-4)
    assert high == pytest.approx(0.3662, abs=1e-4)


def test_bootstrap_intervals_cover_the_true_mean() -> None:
    rng = np.random.default_rng(0)
    metric, covered = METRICS.get("rouge_l"), 0
    for seed in range(60):
        low, high = interval(metric, rng.beta(2, 3, size=(80, 1)), seed)
        covered += low <= 0.4 <= high
    assert covered >= 52


@pytest.mark.parametrize("name", ["rouge_l", "macro_f1"])
def test_an_interval_of_equal_rows_has_a_width(name: str) -> None:
    stats = np.zeros((30, 3)) if name == "macro_f1" else np.zeros((30, 1))
    low, high = interval(METRICS.get(name), stats)
    assert low <= 1e-9
    assert high > 0.05


def test_an_interval_has_a_width_where_every_resample_is_equal() -> None:
    metric = METRICS.get("bleu")
    stats = np.array(
        [
            metric.row(AnsweredRow("?", a, ("something else entirely, in many words",)))
            for a in ["blue", "1", "a b", "c"] * 8
        ]
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
        values={},
        **{"artifact_bytes": 0, "peak_memory_bytes": 0, **more},  # type: ignore[arg-type]
    )


FREE = Constraints()


def test_the_best_option_is_recommended_where_nothing_shows_a_cheaper_one_to_be_as_good() -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.88, 1.0), option(3, 0.70, 0.1)]
    advice = recommend(options, FREE, baseline=3)
    assert (advice.trial, advice.best_quality, advice.cheapest, advice.baseline) == (1, 1, 3, 3)


def test_of_options_that_may_all_be_recommended_and_cost_about_the_same_the_best_is() -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.88, 1.0), option(3, 0.89, 1.1)]
    pairs = [Paired(trial=t, other=1, rows=900, difference=0.0, low=-0.006, high=0.006, p=1.0) for t in (2, 3)]
    assert recommend(options, FREE, None, pairs).trial == 3


def test_an_option_outside_the_interval_of_the_best_is_not_recommended() -> None:
    assert recommend([option(1, 0.90, 5.0), option(2, 0.80, 1.0)], FREE, None).trial == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"cost_usd_per_1k": 2.0}, 2),
        ({"latency_p95_ms": 8.0}, 3),
        ({"quality": 0.89}, 1),
    ],
)
def test_recommended_options_satisfy_the_constraints(limits: dict[str, float], expected: int) -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.80, 1.0), option(3, 0.70, 3.0, latency=7.0)]
    advice = recommend(options, Constraints(**limits), None)
    assert advice.trial == expected
    assert advice.meets_constraints


def test_without_a_fitting_option_the_reason_names_the_violation() -> None:
    advice = recommend([option(1, 0.90, 5.0), option(2, 0.80, 1.0, latency=None)], Constraints(latency_p95_ms=5), None)
    assert advice.trial is None
    assert not advice.meets_constraints
    assert "above 5 ms" in advice.reason


def test_a_dominated_baseline_is_not_recommended() -> None:
    options = [option(1, 0.90, 5.0), option(2, 0.90, 6.0, on_frontier=False)]
    assert recommend(options, FREE, 2).trial == 1


def test_without_a_measured_option_the_reason_says_so() -> None:
    assert "nothing can be recommended" in recommend([], FREE, None).reason


def test_a_floor_that_dominates_everything_is_said_to_be_beaten_by_nothing() -> None:
    floor = option(1, 0.55, 0.1).model_copy(update={"floor": True, "method": "tfidf"})
    head = option(2, 0.54, 5.0, on_frontier=False).model_copy(update={"method": "head"})
    assert recommend([floor, head], FREE, None).reason.startswith(
        "Nothing beats the floor, trial 1 (tfidf): trial 2 (head) gives -1.0 points on validation rows and is dominated."
    )
    assert recommend([floor], FREE, None).reason.startswith("Nothing else was measured beside the floor")
