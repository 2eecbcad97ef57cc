"""Latency under load: sample-size rules, goodput, and a sweep on a queue whose answer is known."""

import math

import numpy as np
import pytest

from autoadapt.domain.load import Load, LoadRun
from autoadapt.economics import rates
from autoadapt.economics.rates import arrivals, percentile, percentiles, service_rate, sweep


def queue(rate: float, service_s: float, count: int = 2000, seed: int = 0) -> LoadRun:
    """One server that answers one request after the other in a fixed time."""
    clock, e2el = 0.0, []
    times = arrivals(rate, count, seed)
    for t in times:
        clock = max(clock, t) + service_s
        e2el.append((clock - t) * 1000)
    return LoadRun(rate=rate, sent_seconds=times[-1], seconds=clock, e2el_ms=e2el)


def test_percentiles_need_samples() -> None:
    assert [rates.least_samples(p) for p in (90, 95, 99)] == [29, 59, 299]
    assert percentile([1.0] * 58, 95) is None
    assert percentile([1.0] * 59, 95) == 1.0
    found = percentiles([float(i) for i in range(1, 101)])
    assert (found.p50, found.p99) == (50.5, None)
    assert found.p95 == pytest.approx(95.05)
    assert percentiles([]).mean is None


def test_a_median_needs_no_least_number_of_samples() -> None:
    assert rates.typical_ms([1.0, 2.0, 3.0]) == 2.0
    assert rates.typical_ms([1.0] * 40 + [2.0] * 60) == 2.0


def test_tpot_leaves_out_the_first_token() -> None:
    run = LoadRun(rate=1, sent_seconds=1, seconds=1, ttft_ms=[10, 10, 5], e2el_ms=[50, 10, 25], tokens_out=[5, 1, 3])
    assert rates.tpot_ms(run) == [10.0, 10.0]


def test_failed_requests_miss_the_latency_target() -> None:
    run = LoadRun(rate=10, sent_seconds=9, seconds=10, e2el_ms=[5.0] * 90 + [50.0] * 5, failed=5)
    assert rates.good_share(run, 20) == 0.9
    assert rates.goodput(run, 20) == pytest.approx(9.0)
    assert not rates.keeps_up(run)


def test_arrivals_are_poisson_and_the_same_at_every_rate() -> None:
    times = np.array(arrivals(5.0, 4000, seed=1))
    gaps = np.diff(times, prepend=0.0)
    assert times[-1] == pytest.approx(800)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05), "exponential gaps have a deviation of their mean"
    assert np.allclose(np.array(arrivals(10.0, 4000, seed=1)) * 2, times)


@pytest.mark.parametrize("target", [25.0, 60.0, None])
def test_a_sweep_finds_the_rate_within_5_percent(target: float | None) -> None:
    runs = sweep(lambda rate: queue(rate, 0.01), 2.0, target)
    found = service_rate(Load(runs=runs, engine="made up", hardware="none"), target)
    assert found is not None

    def fits(rate: float) -> bool:
        return rates.fits(queue(rate, 0.01), target)

    fine = [r for r in np.geomspace(2, 200, 400) if fits(float(r))]
    assert max(fine) / 1.05 <= found <= max(fine) * 1.012  # a step of this grid
    if target is None:
        assert 90 < found <= 106, "a server of 10 ms a request cannot keep up more than 100 a second"
    else:
        assert found < 100


def test_a_sweep_that_begins_too_high_halves_the_rate() -> None:
    runs = sweep(lambda rate: queue(rate, 0.01), 1000.0, 60.0)
    assert service_rate(Load(runs=runs, engine="made up", hardware="none"), 60.0) is not None
    assert len(runs) < 20


def test_a_target_that_no_rate_meets_gives_no_rate() -> None:
    runs = sweep(lambda rate: queue(rate, 0.01), 2.0, 5.0)
    assert service_rate(Load(runs=runs, engine="made up", hardware="none"), 5.0) is None


def test_a_short_burst_is_no_sustainable_rate() -> None:
    burst = queue(10_000, 0.01, count=30)
    assert rates.good_share(burst, 400) == 1.0
    assert not rates.fits(burst, 400)


def test_a_rate_is_represented_by_the_next_higher_one_measured() -> None:
    load = Load(runs=[queue(r, 0.01, 100) for r in (8, 2, 4)], engine="made up", hardware="none")
    assert rates.run_at(load, 3).rate == 4
    assert rates.run_at(load, 0.01).rate == 2
    assert rates.run_at(load, 50).rate == 8


def test_decode_share_is_the_share_of_time_that_grows_with_tokens() -> None:
    tokens = [10, 20, 30, 40]
    assert rates.decode_share([20 + 2.0 * t for t in tokens], tokens) == pytest.approx(50 / 70)
    assert rates.decode_share([5.0] * 4, tokens) == 0.0
    assert rates.decode_share([5.0] * 4, [7] * 4) == 1.0
    assert rates.decode_share([], []) == 0.0


def test_enough_requests_for_a_queue_to_become_visible() -> None:
    assert rates.requests_for(0.5, 100, 400) == 100
    assert rates.requests_for(300, 100, 400) == math.ceil(300 * 1.2)
    assert rates.requests_for(1e6, 100, None) == rates.MOST_REQUESTS
