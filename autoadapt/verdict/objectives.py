"""From raw measurements to dollars, milliseconds and quality."""

from decimal import Decimal
from typing import Any

import numpy as np

from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.plugins import Metric
from autoadapt.domain.task import Economics

LEAST_FOR_P95 = 59
"""The smallest n whose greatest sample is above the 95th percentile with 95 % certainty: 1 - 0.95^59 >= 0.95."""


def device_usd(seconds: float, devices: int, economics: Economics) -> Decimal:
    """USD of holding `devices` for `seconds`: seconds * devices * usd_per_hour / 3600."""
    return Decimal(repr(seconds)) * devices * economics.usd_per_hour / 3600


def training_usd(outcome: Outcome, economics: Economics) -> Decimal:
    """USD of training this option, all rungs of its trial included."""
    measured = _measured(outcome)
    return device_usd(measured.train_seconds, outcome.devices.count, economics)


def inference_usd_per_1k(measured: Measurement, economics: Economics) -> Decimal:
    """USD of device time for 1,000 answers, at the throughput of the batched evaluation, on one device.

    A device rented by the month costs its rent whatever its use; this is the price of the time really used.
    """
    return device_usd(measured.inference_seconds, 1, economics) * 1000 / len(measured.rows)


def cost_usd_per_1k(outcome: Outcome, economics: Economics, trained: float = 1.0) -> Decimal:
    """USD per 1,000 queries: c_inference + C_train / (V * H / 1000), V queries a month, H months.

    With `trained`, the share of the training steps done, C_train is what all of them will cost.
    """
    queries = economics.queries_per_month * Decimal(repr(economics.horizon_months))
    training = training_usd(outcome, economics) / Decimal(repr(trained))
    return inference_usd_per_1k(_measured(outcome), economics) + training * 1000 / queries


def latency_percentile(samples_ms: list[float], percent: float) -> float:
    """Percentile of latency samples in milliseconds, by linear interpolation."""
    return float(np.percentile(np.array(samples_ms), percent))


def latency_p95(samples_ms: list[float]) -> float | None:
    """The 95th percentile, or None for fewer than 59 samples."""
    return latency_percentile(samples_ms, 95) if len(samples_ms) >= LEAST_FOR_P95 else None


def stats_array(measured: Measurement) -> Any:
    """The metric's statistics, shape (rows, statistics)."""
    return np.array([row.stats for row in measured.rows], dtype=float)


def objectives(outcome: Outcome, metric: Metric, economics: Economics) -> Objectives:
    """The three objectives of a measured outcome."""
    measured = _measured(outcome)
    p95 = latency_p95(measured.latency_ms)
    return Objectives(
        quality=metric.value(stats_array(measured)),
        cost_usd_per_1k=float(cost_usd_per_1k(outcome, economics)),
        latency_ms=p95 if p95 is not None else latency_percentile(measured.latency_ms, 50),
    )


def _measured(outcome: Outcome) -> Measurement:
    if outcome.measurement is None:
        raise ValueError("a failed outcome has no objectives")
    return outcome.measurement
