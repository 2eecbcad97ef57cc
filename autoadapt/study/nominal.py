"""Times as tokens and parameters give them, in place of those of the clock: for `search: {deterministic: true}`.

A step of a model takes two operations for every weight and token, one of training three times as many. What that comes
to in seconds is a convention: no machine is meant by it, and two options are compared by nothing else.
"""

from autoadapt.domain.outcome import Measurement
from autoadapt.domain.usage import Usage

OPERATIONS_PER_SECOND = 1e12
ANSWER_SECONDS, STEP_SECONDS = 1e-4, 1e-3
"""Seconds of an answer and of a step of training apart from its tokens."""
KIND = "nominal"
"""Kind of device of such seconds."""


def nominal(measurement: Measurement) -> Measurement:
    """A measurement whose times and memory follow from its tokens and parameters."""
    token_seconds = 2 * measurement.parameters_total / OPERATIONS_PER_SECOND
    rows = [ANSWER_SECONDS + token_seconds * (row.tokens_in + row.tokens_out) for row in measurement.rows]
    training = STEP_SECONDS * measurement.train_steps + 3 * token_seconds * measurement.train_tokens
    return measurement.model_copy(
        update={
            "training": _on_device(measurement.training, training),
            "instruction_usage": _by_tokens(measurement.instruction_usage, token_seconds),
            "labels_usage": _by_tokens(measurement.labels_usage, token_seconds),
            "answering": _on_device(measurement.answering, sum(rows)),
            "train_seconds": training,
            "inference_seconds": sum(rows),
            "latency_ms": [1000 * seconds for seconds in rows],
            "latency_tail": 1.0,
            "peak_memory_bytes": 4 * (measurement.parameters_total + 3 * measurement.parameters_trained),
        }
    )


def _by_tokens(usage: Usage, token_seconds: float) -> Usage:
    return _on_device(usage, token_seconds * (usage.tokens_in + usage.tokens_out))


def _on_device(usage: Usage, seconds: float) -> Usage:
    """A usage with other device-seconds; what used no device, such as a server's answers, uses none."""
    return usage.model_copy(update={"device_seconds": {KIND: seconds} if usage.device_seconds else {}})
