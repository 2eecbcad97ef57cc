"""The raw figures of a cascade, put together from those of its two parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Cascade, RawOption, cascade_number
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.task import Economics
from autoadapt.economics.rates import mixed_latency, mixture_quantile
from autoadapt.runs.values import read_values
from autoadapt.verdict.intervals import mean_interval


@dataclass(frozen=True)
class Scores:
    """A cascade's qualities with their 95 % intervals."""

    kept: Any
    """Whether the first part answers a validation row, shape (rows,)."""
    quality: float
    quality_ci: tuple[float, float]
    test: float
    test_ci: tuple[float, float]
    test_rows: int


@dataclass(frozen=True)
class Parts:
    """What was measured of both parts, on validation rows."""

    raws: tuple[RawOption, RawOption]
    measurements: tuple[Measurement, Measurement]


@dataclass(frozen=True)
class Reader:
    """What objectives are read with."""

    goals: Sequence[Goal]
    metric: Metric
    economics: Economics


def cascade_option(cascade: Cascade, scores: Scores, parts: Parts, reader: Reader) -> RawOption:
    """Everything that follows of a cascade from what was measured of its parts.

    Usage, time and tokens are those of the first part and, for the share of rows that is passed on, of the second;
    training, memory and what is deployed add up, because both parts are served.
    """
    first, second = parts.raws
    measurement = together(cascade, scores, parts)
    samples = tuple([round(ms, 3) for ms in m.latency_ms] for m in parts.measurements)
    return RawOption(
        trial=cascade_number(cascade.first, cascade.second),
        method="cascade",
        model=f"{first.model} > {second.model}",
        params={},
        quality=scores.quality,
        quality_ci=scores.quality_ci,
        quality_expected=scores.quality + _correction(scores, first, second),
        test_quality=scores.test,
        test_quality_ci=scores.test_ci,
        test_rows=scores.test_rows,
        values=read_values(reader.goals, measurement, reader.metric, reader.economics) | _quality(reader, scores),
        hardware=second.hardware,
        devices=max(first.devices, second.devices),
        training=measurement.training.plus(measurement.written_for_it),
        answering=measurement.answering,
        train_seconds=measurement.train_seconds,
        inference_seconds=measurement.inference_seconds,
        rows=len(measurement.rows),
        **_tokens(measurement),
        tokens_shared=measurement.tokens_shared,
        free_text=second.free_text,
        decode_share=_decode_share(cascade, first, second),
        latency_p50_ms=mixed_latency(samples[0], samples[1], cascade.kept, 50, aligned=True) or 0.0,
        latency_p95_ms=mixed_latency(samples[0], samples[1], cascade.kept, 95, aligned=True),
        cost_error=max(first.cost_error, second.cost_error),
        latency_error=max(first.latency_error, second.latency_error),
        p95_high=max(first.p95_high, second.p95_high),
        artifact_bytes=measurement.artifact_bytes,
        peak_memory_bytes=measurement.peak_memory_bytes,
        shares_base=False,
        on_frontier=True,
        weights_kept=first.weights_kept and second.weights_kept,
        files_damaged=first.files_damaged or second.files_damaged,
        cascade=cascade,
        parts_latency_ms=(samples[0], samples[1]),
        parts=(first, second),
    )


def together(cascade: Cascade, scores: Scores, parts: Parts) -> Measurement:
    """What would have been measured of the cascade on validation rows."""
    first, second = parts.measurements
    passed = 1 - cascade.kept
    return Measurement(
        rows=_rows(first, second, scores.kept),
        training=first.training.plus(second.training),
        instruction_usage=first.instruction_usage.plus(second.instruction_usage),
        labels_usage=first.labels_usage.plus(second.labels_usage),
        answering=first.answering.plus(second.answering.times(passed)),
        train_seconds=first.train_seconds + second.train_seconds,
        inference_seconds=first.inference_seconds + passed * second.inference_seconds,
        latency_ms=_quantiles(first.latency_ms, second.latency_ms, cascade.kept),
        tokens_shared=first.tokens_shared + round(passed * second.tokens_shared),
        peak_memory_bytes=first.peak_memory_bytes + second.peak_memory_bytes,
        artifact_bytes=first.artifact_bytes + second.artifact_bytes,
        parameters_trained=first.parameters_trained + second.parameters_trained,
        parameters_total=first.parameters_total + second.parameters_total,
    )


def _quality(reader: Reader, scores: Scores) -> dict[str, float]:
    return {goal.name: scores.quality for goal in reader.goals if goal.name == "quality"}


def _correction(scores: Scores, first: RawOption, second: RawOption) -> float:
    """By how much a lucky measurement of the parts is corrected, each for the share of rows that it answers."""
    kept = float(scores.kept.mean())
    corrections = [r.quality_expected - r.quality for r in (first, second)]
    return kept * corrections[0] + (1 - kept) * corrections[1]


def _decode_share(cascade: Cascade, first: RawOption, second: RawOption) -> float:
    busy = [first.answering.total_device_seconds, (1 - cascade.kept) * second.answering.total_device_seconds]
    grows = busy[0] * first.decode_share + busy[1] * second.decode_share
    return grows / sum(busy) if sum(busy) else second.decode_share


def _rows(first: Measurement, second: Measurement, kept: Any) -> list[RowResult]:
    """A row that is passed on has been read and answered by both parts."""
    rows = []
    for a, b, keep in zip(first.rows, second.rows, kept, strict=True):
        both = {"tokens_in": a.tokens_in + b.tokens_in, "tokens_out": a.tokens_out + b.tokens_out, "confidence": None}
        rows.append(a if keep else b.model_copy(update=both))
    return rows


def _tokens(measurement: Measurement) -> dict[str, Any]:
    read, written = [r.tokens_in for r in measurement.rows], [r.tokens_out for r in measurement.rows]
    return {
        "tokens_in": sum(read),
        "tokens_out": sum(written),
        "tokens_in_ci": mean_interval(read),
        "tokens_out_ci": mean_interval(written),
    }


def _quantiles(first: Sequence[float], second: Sequence[float], kept: float) -> list[float]:
    """Quantiles of the mixture, as many as there are samples of the part that has fewer.

    They stand at equal distances from 0 to 100 %, so that a percentile that is interpolated between them is that of the
    mixture.
    """
    count = min(len(first), len(second))
    levels = np.linspace(0, 100, count) if count > 1 else np.full(count, 50.0)
    return [mixture_quantile(first, second, kept, level, aligned=True) for level in levels.tolist()]
