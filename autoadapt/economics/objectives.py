"""From raw measurements to dollars, milliseconds and quality."""

from decimal import Decimal
from typing import Any

import numpy as np

from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.plugins import Metric
from autoadapt.domain.task import Economics
from autoadapt.economics import costs
from autoadapt.economics.rates import typical_ms


def device_usd(seconds: float, devices: int, economics: Economics) -> Decimal:
    """USD of holding `devices` for `seconds`: seconds * devices * hour_usd / 3600."""
    return Decimal(repr(seconds)) * devices * economics.hour_usd / 3600


def training_usd(outcome: Outcome, economics: Economics) -> Decimal:
    """USD of training this option, all rungs of its trial included."""
    hours = Decimal(repr(_measured(outcome).train_seconds)) / 3600
    return costs.training_usd(outcome.devices.count, hours, economics.hour_usd)


def inference_usd_per_1k(measured: Measurement, economics: Economics) -> Decimal:
    """USD of device time for 1,000 answers, at the throughput of the batched evaluation, on one device.

    A device rented by the month costs its rent whatever its use; this is the price of the time really used.
    """
    return device_usd(measured.inference_seconds, 1, economics) * 1000 / len(measured.rows)


def cost_usd_per_1k(outcome: Outcome, economics: Economics, trained: float = 1.0) -> Decimal:
    """USD per 1,000 queries: c_inference + C_train / (V * H / 1000), V queries a month, H months.

    With `trained`, the share of the training steps done, C_train is what all of them will cost.
    """
    return costs.total_usd_per_1k(
        inference_usd_per_1k(_measured(outcome), economics),
        training_usd(outcome, economics) / Decimal(repr(trained)),
        Decimal(economics.queries_per_month),
        Decimal(repr(economics.horizon_months)),
    )


def stats_array(measured: Measurement) -> Any:
    """The metric's statistics, shape (rows, statistics)."""
    return np.array([row.stats for row in measured.rows], dtype=float)


def objectives(outcome: Outcome, metric: Metric, economics: Economics) -> Objectives:
    """The three objectives of a measured outcome."""
    measured = _measured(outcome)
    return Objectives(
        quality=metric.value(stats_array(measured)),
        cost_usd_per_1k=float(cost_usd_per_1k(outcome, economics)),
        latency_ms=typical_ms(measured.latency_ms),
    )


def _measured(outcome: Outcome) -> Measurement:
    if outcome.measurement is None:
        raise ValueError("a failed outcome has no objectives")
    return outcome.measurement
