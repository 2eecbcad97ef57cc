"""Serving classes: the times of options that are served alike, against made-up classes whose truth is known."""

import math

import numpy as np
import pytest

from autoadapt.economics.serving_classes import Sample, ServingClass


def sample(fresh: float, shared: float, seconds: float, single_ms: list[float]) -> Sample:
    return Sample(fresh=fresh, shared=shared, written=0.0, row_seconds=seconds, single_ms=single_ms)


def truth(fresh: float, shared: float) -> float:
    """Seconds per row of the made-up class."""
    return 0.004 + 0.0002 * fresh + 0.00001 * shared


def noisy(random: np.random.Generator, noise: float) -> list[Sample]:
    """Options of one class as they are measured: each has its own minute of the machine."""
    samples = []
    for fresh, shared in (
        (15.0, 0.0),
        (15.0, 0.0),
        (15.0, 30.0),
        (120.0, 0.0),
        (15.0, 200.0),
        (60.0, 30.0),
        (15.0, 0.0),
    ):
        slow = float(np.exp(random.normal(0, noise)))
        seconds = truth(fresh, shared) * slow
        single = (3000 * truth(fresh, shared) * slow * np.exp(random.normal(0, 0.1, 30))).tolist()
        samples.append(sample(fresh, shared, seconds, single))
    return samples


def test_a_single_option_has_the_times_that_were_measured() -> None:
    served = ServingClass([sample(15, 0, 0.01, [10.0, 20.0, 30.0])]).served(sample(15, 0, 0.01, []))
    assert served.row_seconds == pytest.approx(0.01)
    assert served.median_ms == pytest.approx(20.0)
    assert 0.05 < served.row_error < 0.15, "one measurement is no certainty"


def test_options_of_the_same_tokens_have_the_same_times() -> None:
    times = (0.010, 0.011, 0.013, 0.010)
    model = ServingClass([sample(15, 0, seconds, [1000 * seconds] * 9) for seconds in times])
    served = [model.served(sample(15, 0, seconds, [])) for seconds in times]
    assert len({one.row_seconds for one in served}) == 1
    assert served[0].row_seconds == pytest.approx(float(np.median(times)), rel=0.05)


def test_more_tokens_never_take_less_time() -> None:
    # the longer prompt happened to be measured in a quieter minute
    model = ServingClass([sample(15, 0, 0.012, [12.0]), sample(30, 0, 0.010, [10.0])])
    short, long = (model.served(sample(fresh, 0, 0.01, [])) for fresh in (15.0, 30.0))
    assert short.row_seconds <= long.row_seconds


def test_modelled_times_are_nearer_to_the_truth_than_single_measurements() -> None:
    random = np.random.default_rng(0)
    measured, modelled = [], []
    for _ in range(60):
        samples = noisy(random, 0.15)
        model = ServingClass(samples)
        for one in samples:
            right = math.log(truth(one.fresh, one.shared))
            measured.append(math.log(one.row_seconds) - right)
            modelled.append(math.log(model.served(one).row_seconds) - right)
    assert np.std(modelled) < 0.75 * np.std(measured)
    assert abs(np.mean(modelled)) < 0.02


@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_the_error_that_is_stated_covers_the_truth(noise: float) -> None:
    random, inside = np.random.default_rng(1), []
    for _ in range(80):
        samples = noisy(random, noise)
        model = ServingClass(samples)
        for one in samples:
            served = model.served(one)
            off = abs(math.log(served.row_seconds) - math.log(truth(one.fresh, one.shared)))
            inside.append(off <= 1.96 * served.row_error)
    assert np.mean(inside) > 0.85


def test_one_busy_minute_hardly_moves_the_class() -> None:
    times = [0.0100, 0.0102, 0.0099, 0.0101, 0.0200]
    model = ServingClass([sample(15 + i, 0, seconds, [1.0]) for i, seconds in enumerate(times)])
    assert model.served(sample(16, 0, 0.0102, [])).row_seconds == pytest.approx(0.0101, rel=0.05)


def test_single_requests_have_the_spread_of_the_class_and_keep_their_order() -> None:
    random = np.random.default_rng(2)
    of_class = [sample(15, 0, 0.01, (20 * np.exp(random.normal(0, 0.2, 60))).tolist()) for _ in range(5)]
    model, own = ServingClass(of_class), list(of_class[0].single_ms)
    modelled = model.single_requests(20.0, own, trial=0)
    assert np.argsort(modelled).tolist() == np.argsort(own).tolist()
    pooled = np.concatenate([np.array(s.single_ms) / np.median(s.single_ms) for s in of_class])
    assert np.percentile(modelled, 95) == pytest.approx(20 * np.percentile(pooled, 95), rel=0.05)


def test_an_option_timed_by_few_requests_has_the_p95_of_its_class() -> None:
    model = ServingClass([sample(15, 0, 0.01, [20.0 + i for i in range(60)]), sample(15, 0, 0.01, [20.0] * 10)])
    few = model.single_requests(20.0, [20.0] * 10, trial=1)
    assert len(few) == 59


def test_options_without_device_time_cost_no_device_time() -> None:
    served = ServingClass([sample(15, 0, 0.0, [5.0])]).served(sample(15, 0, 0.0, []))
    assert served.row_seconds == 0


def test_the_upper_bound_of_a_p95_is_above_the_truth_in_95_percent_of_cases() -> None:
    random, above = np.random.default_rng(3), 0
    right = math.exp(1.645 * 0.3)
    for _ in range(400):
        spread = np.exp(random.normal(0, 0.3, 200))
        model = ServingClass([sample(15, 0, 0.01, spread.tolist())])
        p95 = float(np.percentile(spread / np.median(spread), 95)) * np.median(spread)
        above += p95 * model.p95_high(0.0) >= right
    assert above / 400 > 0.92
