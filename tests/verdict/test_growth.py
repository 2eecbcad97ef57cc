"""Optimism of an option, learning curves, intervals over seeds and of rare labels: against known truths."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoadapt.domain.option import Option
from autoadapt.shelves import METRICS, OBJECTIVES
from autoadapt.verdict.growth import curve, trained_again
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.optimism import expected_optimism, optimism, rivals

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "verdict"))
from rare_labels import Case  # type: ignore[import-not-found]

ACCURACY = METRICS.get("accuracy")


def answers(quality: float, rows: int, random: np.random.Generator) -> np.ndarray:
    return (random.random(rows) < quality).astype(float)[:, None]


def test_expected_optimism_of_the_best_of_many_equal_options() -> None:
    found, true = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        stats = {t: answers(0.7, 150, random) for t in range(20)}
        true.append(max(s.mean() for s in stats.values()) - 0.7)
        found.append(expected_optimism(ACCURACY, stats, seed))
    assert np.mean(true) > 0.05, "chance alone lifts the best of twenty by so much"
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.01)


def test_an_option_far_ahead_has_little_optimism() -> None:
    random = np.random.default_rng(0)
    stats = {0: answers(0.95, 400, random), **{t: answers(0.5, 400, random) for t in range(1, 10)}}
    assert expected_optimism(ACCURACY, stats) < 0.01
    assert expected_optimism(ACCURACY, {0: stats[0]}) == 0, "one option was not chosen"


def test_optimism_is_that_of_the_option_and_not_of_the_best() -> None:
    goals = [OBJECTIVES.get(name).goal(name) for name in ("quality", "cost_usd_per_1k", "latency_ms")]

    def values(quality: float, cost: float, latency: float = 10.0) -> dict[str, float]:
        return {"quality": quality, "cost_usd_per_1k": cost, "latency_ms": latency}

    known = {0: values(0.9, 5.0), 1: values(0.8, 1.0), 2: values(0.7, 0.5), 3: values(0.75, 0.9, 90.0)}
    assert rivals(0, known, goals) == [0, 1, 2, 3], "the best has beaten all"
    assert rivals(1, known, goals) == [1, 2], "a cheaper one those that cost no more and are no slower"
    assert rivals(2, known, goals) == [2]


def test_the_range_of_optimism_covers_by_how_much_a_score_is_too_high() -> None:
    """Of twenty equally good options the best is chosen: by validation rows alone, and by test rows."""
    by_validation = by_test = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        stats = {t: answers(0.75, 150, random) for t in range(20)}
        chosen = max(stats, key=lambda t: stats[t].mean())
        test, score = answers(0.75, 300, random), float(stats[chosen].mean())
        option = plain_option(
            trial=chosen,
            quality=score,
            quality_ci=interval(ACCURACY, stats[chosen]),
            test_quality=float(test.mean()),
            test_quality_ci=interval(ACCURACY, test),
        )
        found = optimism(option, ACCURACY, stats, seed)
        by_validation += found.expected_low <= score - 0.75 <= found.expected_high
        by_test += found.observed_low <= score - 0.75 <= found.observed_high
    assert by_validation >= 55
    assert by_test >= 52
    alone = optimism(option, ACCURACY, {chosen: stats[chosen]})
    assert (alone.expected, alone.options) == (0.0, 1)
    assert alone.expected_low < 0 < alone.expected_high, "not chosen, but measured on few rows"
    assert optimism(option, ACCURACY, {}).expected is None


def plain_option(**fields: Any) -> Option:
    """An option of which only qualities matter."""
    zeros = ("train_seconds", "artifact_bytes", "peak_memory_bytes", "latency_p50_ms", "latency_p95_ms")
    costs = ("cost_usd_per_1k", "inference_usd_per_1k", "training_usd")
    fields = {**dict.fromkeys((*zeros, *costs), 0), "quality_expected": fields["quality"], **fields}
    return Option(method="lora", model="m", params={}, test_rows=300, values={}, **fields)


def test_the_interval_of_macro_f1_holds_the_truth_where_a_label_has_two_rows() -> None:
    """Resampled rows covered it in two of three studies (`benchmarks/verdict/rare_labels.py`)."""
    case, metric = Case(rows=200, labels=3, rare=0.01, right=0.85, rare_right=0.6), METRICS.get("macro_f1")
    covered = 0
    for seed in range(80):
        low, high = interval(metric, case.draw(np.random.default_rng(seed)), seed)
        covered += low <= case.true <= high
    assert covered >= 71
    largest = case.draw(np.random.default_rng(0))
    draws = metric.draws(np.tile(largest, (50, 1)), 400, np.random.default_rng(0))
    rows = np.random.default_rng(1).integers(len(largest), size=(400, 50 * len(largest)))
    resampled = [metric.value(largest[drawn]) for drawn in rows]
    assert draws.mean() == pytest.approx(np.mean(resampled), abs=0.005), "with many rows the two methods agree"
    assert draws.std() == pytest.approx(np.std(resampled), rel=0.2)


def test_a_learning_curve_covers_the_gain_of_more_rows() -> None:
    sizes, covered, gains = (100, 200, 400, 800), 0, []

    def quality(rows: float) -> float:
        return 1 - 3.0 * rows**-0.4

    for seed in range(60):
        random = np.random.default_rng(seed)
        hard = random.random(1000)  # the same test rows, some hard for every size
        stats = {n: (hard < quality(n)).astype(float)[:, None] for n in sizes}
        found = curve(ACCURACY, stats, 3, more_rows=400, seed=seed)
        true = quality(1200) - quality(800)
        covered += found.gain_low <= true <= found.gain_high
        gains.append(found.gain)
    assert covered >= 54
    assert np.mean(gains) == pytest.approx(true, abs=0.01)
    assert [p.rows for p in found.points] == list(sizes)
    assert found.forecast[-1].rows == 1200
    assert all(p.low <= p.quality <= p.high for p in found.forecast)


def test_a_band_holds_curves_that_flatten_and_curves_that_do_not() -> None:
    """A power law without a floor covered none of these 30."""
    covered = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        floor, exponent = random.uniform(0.4, 0.9), random.uniform(0.6, 1.2)

        def quality(share: float, floor: float = floor, exponent: float = exponent) -> float:
            return float(1 - 0.2 * (floor + (1 - floor) * share**-exponent))

        hard = random.random(4000)
        stats = {n: (hard < quality(n / 800)).astype(float)[:, None] for n in (100, 200, 400, 800)}
        found = curve(ACCURACY, stats, 0, more_rows=800, seed=seed)
        covered += found.gain_low <= quality(2.0) - quality(1.0) <= found.gain_high
    assert covered >= 27


def test_scatter_widens_the_band_and_two_points_are_too_few() -> None:
    random = np.random.default_rng(0)
    smooth = {n: answers(q, 2000, random) for n, q in ((100, 0.6), (200, 0.7), (400, 0.775), (800, 0.83))}
    rough = {n: answers(q, 2000, random) for n, q in ((100, 0.75), (200, 0.6), (400, 0.85), (800, 0.8))}

    def width(stats: dict[int, np.ndarray]) -> float:
        found = curve(ACCURACY, stats, 0)
        return found.gain_high - found.gain_low

    assert width(rough) > 2 * width(smooth)
    with pytest.raises(ValueError, match="at least three points"):
        curve(ACCURACY, {100: smooth[100], 800: smooth[800]}, 0)


def test_an_interval_with_seeds_covers_the_mean_over_seeds_and_rows() -> None:
    covered = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        qualities = np.clip(random.normal(0.75, 0.04, 3), 0, 1)  # every training run has another quality
        found = trained_again(ACCURACY, [answers(q, 300, random) for q in qualities], 0, seed)
        covered += found.low <= 0.75 <= found.high
        assert found.mean == pytest.approx(np.mean(found.qualities))
    assert 0.9 <= covered / 120 <= 0.995
    with pytest.raises(ValueError, match="at least two seeds"):
        trained_again(ACCURACY, [answers(0.7, 10, np.random.default_rng(0))], 0)
