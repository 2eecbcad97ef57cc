"""From usage to dollars: device time at the task's price of a device-hour, and what providers billed."""

from decimal import Decimal

from autoadapt.domain.outcome import Measurement
from autoadapt.domain.task import Economics
from autoadapt.domain.usage import Usage
from autoadapt.economics import costs


def device_usd(seconds: float, devices: int, economics: Economics) -> Decimal:
    """USD of holding `devices` for `seconds`: ``seconds * devices * hour_usd / 3600``."""
    return Decimal(repr(float(seconds))) * devices * economics.hour_usd / 3600


def usage_usd(usage: Usage, economics: Economics) -> Decimal:
    """USD of a usage: its device-seconds at the price of a device-hour, plus what providers billed."""
    return device_usd(usage.total_device_seconds, 1, economics) + Decimal(repr(usage.usd))


def training_usd(measurement: Measurement, economics: Economics) -> Decimal:
    """USD of training an option so far, all rungs of its trial included."""
    return usage_usd(measurement.training, economics)


def written_usd(measurement: Measurement, economics: Economics) -> Decimal:
    """USD of an option's instruction, where a proposer has written it, and of the labels of a teacher."""
    return usage_usd(measurement.written_for_it, economics)


def inference_usd_per_1k(measurement: Measurement, economics: Economics) -> Decimal:
    """USD of 1,000 answers: the device time of the batched evaluation, and what providers billed.

    A device rented by the month costs its rent whatever its use; this is the price of the device time used.
    """
    return usage_usd(measurement.answering, economics) * 1000 / len(measurement.rows)


def cost_usd_per_1k(measurement: Measurement, economics: Economics, share_trained: float = 1.0) -> Decimal:
    """USD per 1,000 queries: ``c_inference + C_once / (V H / 1000)``, V queries a month, H months.

    C_once is what training takes, and what writing the instruction and labelling the rows of a teacher took.

    Args:
        measurement: of the option.
        economics: of the task, its price looked up.
        share_trained: share of the training steps done, from above 0 to 1; all of them are paid for.
    """
    return costs.total_usd_per_1k(
        inference_usd_per_1k(measurement, economics),
        training_usd(measurement, economics) / Decimal(repr(share_trained)) + written_usd(measurement, economics),
        Decimal(economics.queries_per_month),
        Decimal(repr(economics.horizon_months)),
    )
