"""Optimism of the best option, learning curves, intervals over seeds: against known truths."""

import numpy as np
import pytest

from autoadapt.shelves import METRICS
from autoadapt.verdict.growth import curve, trained_again
from autoadapt.verdict.optimism import expected_optimism

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
