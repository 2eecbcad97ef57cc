"""Does a stated rate hold in the long run? Rates from bursts, and from measured batches, on replicas whose truth is known.

    python benchmarks/verdict/rates.py [--replicas 60]

A made-up replica answers a batch of n requests in ``fixed + each * n`` seconds, times a noise of its own for every
batch. Its greatest rate within a latency target is stated twice: by sending a burst of a second or two at rising rates
(what AutoAdapt did before), and from times of batches of 1 to 64 requests (what it does). Both use about as much
device time. Printed is which share of 100,000 requests at the stated rate is then within the target; 99 % is claimed.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from autoadapt.domain.load import Batch, Load, LoadRun
from autoadapt.economics.batching import MOST_BATCH, SIZES, BatchTimes
from autoadapt.economics.queueing import capacity
from autoadapt.economics.rates import arrivals, requests_for, service_rate, sweep

Service = Callable[[int], float]
"""Seconds of a batch of so many requests."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=60)
    replicas = parser.parse_args().replicas
    random = np.random.default_rng(0)
    shares: dict[str, list[float]] = {"bursts": [], "batches": []}
    rates: dict[str, list[float]] = {"bursts": [], "batches": []}
    for number in range(replicas):
        fixed, each = float(random.uniform(0.002, 0.03)), float(random.uniform(0.0005, 0.01))
        target = 1000 * (fixed + each) * float(random.uniform(3, 15))
        noise = np.random.default_rng(number)

        def service(rows: int, fixed: float = fixed, each: float = each, noise: Any = noise) -> float:
            return (fixed + each * rows) * float(np.exp(noise.normal(0, 0.15)))

        for name, stated in (("bursts", by_bursts(service, target)), ("batches", by_batches(service, target))):
            if stated is not None:
                latency = queued(service, arrivals(stated, 100_000, seed=number + 1000))
                shares[name].append(float((latency <= target).mean()))
                rates[name].append(stated)
    print("method   replicas  share within the target: lowest, median, highest  below 98.5 %  median rate")
    for name, values in shares.items():
        low, middle, high = (100 * float(np.quantile(values, q)) for q in (0, 0.5, 1))
        short = np.mean(np.array(values) < 0.985)
        rate = float(np.median(rates[name]))
        print(f"{name:9s}{len(values):8d}  {low:23.1f} {middle:7.2f} {high:8.2f}  {short:18.0%}  {rate:11.1f}")


def queued(service: Service, times: list[float]) -> Any:
    """Milliseconds of requests at these moments; all that wait, at most 64, form the next batch."""
    latency, clock, i = np.empty(len(times)), 0.0, 0
    while i < len(times):
        clock = max(clock, times[i])
        j = i
        while j < len(times) and j - i < MOST_BATCH and times[j] <= clock:
            j += 1
        clock += service(j - i)
        latency[i:j] = [1000 * (clock - t) for t in times[i:j]]
        i = j
    return latency


def by_bursts(service: Service, target: float) -> float | None:
    """The greatest rate at which 99 % of the requests of a burst were within the target."""

    def measure(rate: float) -> LoadRun:
        times = arrivals(rate, requests_for(rate, 100, target), seed=0)
        latency = queued(service, times)
        ended = times[-1] + latency[-1] / 1000
        return LoadRun(rate=rate, sent_seconds=times[-1], seconds=ended, e2el_ms=latency.tolist())

    runs = sweep(measure, 0.5 / service(1), target)
    return service_rate(Load(runs=runs, engine="made up", hardware="made up"), target)


def by_batches(service: Service, target: float) -> float | None:
    """The same from 100 single requests and ten batches of every size."""
    sizes = [*[1] * 100, *(size for size in SIZES[1:] for _ in range(10))]
    batches = [Batch(rows=size, seconds=service(size)) for size in sizes]
    runs = BatchTimes(batches).runs(0.0)
    load = Load(runs=runs, batches=batches, engine="made up", hardware="made up", clock="simulated")
    return capacity(load, target).rate


if __name__ == "__main__":
    main()
