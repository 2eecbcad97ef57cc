"""Serving classes: the times of options that are served alike, against made-up classes whose truth is known."""

import dataclasses
import math

import numpy as np
import pytest
from conftest import slow_after

from autoadapt.economics.serving_classes import Sample, ServingClass


def sample(fresh: float, shared: float, seconds: float, single_ms: list[float]) -> Sample:
    return Sample(fresh=fresh, shared=shared, written=0.0, row_seconds=seconds, single_ms=single_ms)


NO_REQUESTS = sample(20, 0, 0.005, [])


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


def test_an_option_alone_in_its_class_keeps_its_own_percentiles() -> None:
    random = np.random.default_rng(4)
    for count in (1, 2, 10, 59, 60, 61, 100, 299):
        own = (20 * np.exp(random.normal(0, 0.3, count))).tolist()
        model = ServingClass([sample(15, 0, 0.01, own)])
        median_ms = model.served(sample(15, 0, 0.01, [])).median_ms
        assert median_ms is not None
        modelled = model.single_requests(median_ms, own, trial=0)
        assert modelled == pytest.approx(own, rel=1e-12)
        assert np.percentile(modelled, 95) == pytest.approx(np.percentile(own, 95), rel=1e-12)


INPUT, NOISE, REQUESTS = 0.3, 0.05, 60
"""Deviations of the logarithm of a request's time, by input and by itself, and requests to each option."""
TRUE_P95 = 20 * math.exp(1.6449 * math.hypot(INPUT, NOISE))


def study(random: np.random.Generator, options: int, shared: bool, few: int = 0) -> list[Sample]:
    """Options of a class; the last `few` of them were timed by the first ten inputs alone."""
    effects = np.exp(random.normal(0, INPUT, (1 if shared else options, REQUESTS)))
    times = 20 * effects * np.exp(random.normal(0, NOISE, (options, REQUESTS)))
    counts = [REQUESTS] * (options - few) + [10] * few
    return [
        Sample(20, 0, 0, 0.005, times[k, :count].tolist(), [(0 if shared else k, i) for i in range(count)])
        for k, count in enumerate(counts)
    ]


def bounds(options: int, shared: bool, few: int = 0) -> list[float]:
    """Upper bounds of the p95 of an option over the true one, in 200 studies of a class whose truth is known."""
    random, found = np.random.default_rng([options, shared, few]), []
    for _ in range(200):
        samples = study(random, options, shared, few)
        model = ServingClass(samples)
        served = model.served(samples[0])
        assert served.median_ms is not None
        p95 = float(np.percentile(model.single_requests(served.median_ms, samples[0].single_ms, 0), 95))
        found.append(p95 * model.p95_high(served, p95) / TRUE_P95)
    return found


@pytest.mark.parametrize("options", slow_after(2, [1, 20, 5, 60]))
@pytest.mark.parametrize("shared", [True, False])
def test_the_upper_bound_of_a_p95_is_above_the_truth_in_95_percent_of_cases(options: int, shared: bool) -> None:
    """Options of a study are asked the same inputs: sixty of them tell no more of slow inputs than one does."""
    found = bounds(options, shared)
    assert np.mean(np.array(found) >= 1) >= 0.93
    # the slowest of 60 inputs is at 1.2 times the p95; of as many inputs as there are requests it is much nearer
    widest = 1.35 if shared or options == 1 else 1 + 0.3 / math.sqrt(options)
    assert np.median(found) < widest


def test_options_that_were_timed_by_the_first_inputs_alone_leave_the_bound_as_it_is() -> None:
    assert np.mean(np.array(bounds(5, shared=True, few=4)) >= 1) >= 0.93
    assert np.mean(np.array(bounds(20, shared=True, few=16)) >= 1) >= 0.93


def test_first_inputs_that_happen_to_be_short_make_no_option_seem_fast() -> None:
    """Of 20 options that truly take 20 ms, 16 were asked ten inputs alone."""
    random, off, alone = np.random.default_rng(6), [], []
    for _ in range(200):
        samples = study(random, 20, shared=True, few=16)
        whole = float(np.median([np.median(one.single_ms) for one in samples[:4]]))
        median_ms = ServingClass(samples).served(samples[-1]).median_ms
        assert median_ms is not None
        off.append(math.log(median_ms / whole))
        alone.append(math.log(float(np.median([np.median(one.single_ms) for one in samples])) / whole))
    assert np.std(alone) > 0.08, "the inputs do differ"
    assert np.std(off) < 0.02


def test_requests_that_repeat_inputs_count_as_these_inputs() -> None:
    few, many = ([20 + np.random.default_rng(5).normal(0, 1, n).tolist()[i % n] for i in range(240)] for n in (60, 240))
    repeated = ServingClass([Sample(20, 0, 0, 0.005, few, [i % 60 for i in range(240)])])
    distinct = ServingClass([Sample(20, 0, 0, 0.005, many, range(240))])
    for model, times, count in ((repeated, few, 60), (distinct, many, 240)):
        p95, served = float(np.percentile(times, 95)), dataclasses.replace(model.served(NO_REQUESTS), median_error=0.0)
        # by hand: of 60 inputs the slowest, of 240 the 234th (P(Binomial(240, 0.95) < 234) is 0.958, of 233 0.916)
        bound = sorted(times[:count])[{60: 60, 240: 234}[count] - 1]
        assert p95 * model.p95_high(served, p95) == pytest.approx(bound)
