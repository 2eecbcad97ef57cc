"""Cascades of a study's options: built from stored confidences, scored once on test rows, shown where they pay.

Nothing is run. For two options the threshold of the first one's calibrated confidence is chosen on validation rows;
test rows then say how good the cascade is, and whether it is shown. It is shown where all of this holds:

- On test rows it is significantly better than its first part (p below 5 % after Holm's correction for all cascades
  tried), so that the second part is worth asking.
- It either costs clearly less than its second part (by more than the ratio within which costs count as equal), does not
  lose more on test rows than is tolerated, and no paired test there finds it worse; or it is significantly better than
  its second part.
- No option shown, and no other cascade, is as good in every objective and better in one.

At most `MOST_SHOWN` are shown, and one for each second part: the cheapest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from autoadapt.domain.comparison import Terms
from autoadapt.domain.option import Cascade, Option, RawOption, cascade_number
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.verdict import Paired
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.economics.rates import mixed_latency
from autoadapt.pareto.dominance import non_dominated
from autoadapt.row_statistics import stats_array
from autoadapt.runs.values import read_values
from autoadapt.study.confidences import Confidences
from autoadapt.study.raw_options import RawOptions
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.cascades import TOLERATED_LOSS, cascaded, choose_threshold
from autoadapt.verdict.comparisons import LEVEL, SAME_COST, holm, paired
from autoadapt.verdict.intervals import interval, mean_interval
from autoadapt.verdict.option_values import option_values

MOST_SHOWN = 3
QUANTILES = 200
"""Of the mixture of latencies, from which objectives other than the built-in ones are read."""


@dataclass(frozen=True)
class Answered:
    """A cascade's rows, on validation and on test rows."""

    kept: tuple[Any, Any]
    """Whether the first part answers a row, shape (rows,)."""
    stats: tuple[Any, Any]
    """Statistics, shape (rows, statistics)."""


@dataclass(frozen=True)
class Built:
    """A cascade that was scored on test rows."""

    raw: RawOption
    option: Option
    test_stats: Any
    to_first: Paired
    to_second: Paired


class Cascades:
    """Builds the cascades of a study.

    Args:
        resolved: the task.
        raw_options: makes the raw figures of trials.
        confidences: of the options.
        terms: the task's own economics.
    """

    def __init__(self, resolved: ResolvedTask, raw_options: RawOptions, confidences: Confidences, terms: Terms) -> None:
        self._resolved, self._raw, self._sure, self._terms = resolved, raw_options, confidences, terms

    def shown(self, options: Sequence[Option]) -> list[Built]:
        """The cascades that are shown, the best first.

        Args:
            options: the trials shown, under the task's economics.
        """
        built = [b for first, second in _pairs(options) if (b := self._built(first, second)) is not None]
        paying = _paying(built, {o.trial: o for o in options})
        goals = self._resolved.goals
        together = [*options, *(b.option for b in paying)]
        flags = non_dominated(option_values(together, goals), [g.direction == "maximize" for g in goals])
        fronts = {o.trial for o, flag in zip(together, flags, strict=True) if flag}
        cheapest: dict[int, Built] = {}
        for b in sorted((b for b in paying if b.raw.trial in fronts), key=lambda b: b.option.cost_usd_per_1k):
            cheapest.setdefault(b.to_second.other, b)
        best = sorted(cheapest.values(), key=lambda b: -b.option.quality_expected)
        return best[:MOST_SHOWN]

    def _built(self, first: Option, second: Option) -> Built | None:
        """The cascade of two options; None: no threshold is assured by validation rows, or it would be one of them."""
        metric, seed = self._resolved.metric, self._resolved.task.seed
        measured = [self._measurements(first.trial), self._measurements(second.trial)]
        if not _same_rows(*measured):
            return None
        sure = [self._sure.of(first.trial, split) for split in ("validation", "test")]
        t = self._sure.temperature(first.trial)
        if t is None or any(s is None for s in sure):
            return None
        parts = [[stats_array(m) for m in of_part if m is not None] for of_part in measured]
        chosen = choose_threshold(metric, sure[0], parts[0][0], parts[1][0], seed=seed)
        if chosen is None:
            return None
        kept = tuple(s >= chosen.threshold for s in sure)
        if not 0 < kept[1].mean() < 1:
            return None
        stats = tuple(cascaded(k, a, b) for k, a, b in zip(kept, *parts, strict=True))
        number = cascade_number(first.trial, second.trial)
        to_first = paired(metric, stats[1], parts[0][1], (number, first.trial), seed)
        to_second = paired(metric, stats[1], parts[1][1], (number, second.trial), seed)
        cascade = Cascade(
            first=first.trial,
            second=second.trial,
            first_method=first.method,
            second_method=second.method,
            temperature=t,
            threshold=chosen.threshold,
            kept_validation=chosen.kept,
            kept=float(kept[1].mean()),
            difference=to_second.difference,
            difference_low=to_second.low,
            difference_high=to_second.high,
            saved=0.0,
        )
        raw = self._raw_option(cascade, Answered((kept[0], kept[1]), (stats[0], stats[1])))
        option = pricer_of(raw, self._terms).as_option(self._terms.cell())
        saved = 1 - option.cost_usd_per_1k / second.cost_usd_per_1k if second.cost_usd_per_1k else 0.0
        known = {"cascade": cascade.model_copy(update={"saved": saved})}
        return Built(raw.model_copy(update=known), option.model_copy(update=known), stats[1], to_first, to_second)

    def _measurements(self, trial: int) -> tuple[Measurement | None, Measurement | None]:
        return self._sure.measurement(trial, "validation"), self._sure.measurement(trial, "test")

    def _raw_option(self, cascade: Cascade, answered: Answered) -> RawOption:
        """Everything that follows of a cascade from what was measured of its parts."""
        first, second = self._raw.option(cascade.first), self._raw.option(cascade.second)
        metric, task = self._resolved.metric, self._resolved.task
        measurement, samples = self._measured_together(cascade, answered)
        quality, test = (metric.value(s) for s in answered.stats)
        kept = float(answered.kept[0].mean())
        corrected = kept * (first.quality_expected - first.quality) + (1 - kept) * (
            second.quality_expected - second.quality
        )
        passed = 1 - cascade.kept
        busy = [f * r.answering.total_device_seconds for f, r in ((1, first), (passed, second))]
        grows = sum(b * r.decode_share for b, r in zip(busy, (first, second), strict=True))
        return RawOption(
            trial=cascade_number(cascade.first, cascade.second),
            method="cascade",
            model=f"{first.model} > {second.model}",
            params={},
            quality=quality,
            quality_ci=interval(metric, answered.stats[0], task.seed),
            quality_expected=quality + corrected,
            test_quality=test,
            test_quality_ci=interval(metric, answered.stats[1], task.seed),
            test_rows=len(answered.stats[1]),
            values=read_values(self._resolved.goals, measurement, metric, task.economics),
            hardware=second.hardware,
            devices=max(first.devices, second.devices),
            training=measurement.training,
            answering=measurement.answering,
            train_seconds=measurement.train_seconds,
            inference_seconds=measurement.inference_seconds,
            rows=len(measurement.rows),
            **_tokens(measurement),
            tokens_shared=measurement.tokens_shared,
            free_text=second.free_text,
            decode_share=grows / sum(busy) if sum(busy) else 0.0,
            latency_p50_ms=mixed_latency(*samples, cascade.kept, 50, aligned=True) or 0.0,
            latency_p95_ms=mixed_latency(*samples, cascade.kept, 95, aligned=True),
            artifact_bytes=measurement.artifact_bytes,
            peak_memory_bytes=measurement.peak_memory_bytes,
            shares_base=False,
            on_frontier=True,
            weights_kept=first.weights_kept and second.weights_kept,
            cascade=cascade,
            parts_latency_ms=samples,
            parts=(first, second),
        )

    def _measured_together(
        self, cascade: Cascade, answered: Answered
    ) -> tuple[Measurement, tuple[list[float], list[float]]]:
        """What would have been measured of the cascade, and the single requests of both parts."""
        first, second = (self._raw.measured.measurement(trial) for trial in (cascade.first, cascade.second))
        passed = 1 - cascade.kept
        samples = tuple([round(ms, 3) for ms in m.latency_ms] for m in (first, second))
        few = min(QUANTILES, *(len(s) for s in samples))
        percents = [100 * (i + 0.5) / few for i in range(few)]
        return Measurement(
            rows=_rows(first, second, answered),
            training=first.training.plus(second.training),
            answering=first.answering.plus(second.answering.times(passed)),
            train_seconds=first.train_seconds + second.train_seconds,
            inference_seconds=first.inference_seconds + passed * second.inference_seconds,
            latency_ms=_quantiles(samples[0], samples[1], cascade.kept, percents),
            tokens_shared=first.tokens_shared + round(passed * second.tokens_shared),
            peak_memory_bytes=first.peak_memory_bytes + second.peak_memory_bytes,
            artifact_bytes=first.artifact_bytes + second.artifact_bytes,
            parameters_trained=first.parameters_trained + second.parameters_trained,
            parameters_total=first.parameters_total + second.parameters_total,
        ), (samples[0], samples[1])


def _pairs(options: Sequence[Option]) -> Iterator[tuple[Option, Option]]:
    """Pairs of which the first is clearly cheaper and the second is expected to be better."""
    for first, second in permutations(options, 2):
        cheaper = first.cost_usd_per_1k * SAME_COST <= second.cost_usd_per_1k
        if cheaper and first.quality_expected < second.quality_expected:
            yield first, second


def _same_rows(
    first: tuple[Measurement | None, Measurement | None], second: tuple[Measurement | None, Measurement | None]
) -> bool:
    """Whether both parts answered the same rows of both splits."""
    return all(
        a is not None and b is not None and [r.id for r in a.rows] == [r.id for r in b.rows]
        for a, b in zip(first, second, strict=True)
    )


def _paying(built: Sequence[Built], options: dict[int, Option]) -> list[Built]:
    """Cascades that beat their parts beyond noise; see the head of this file."""
    beside_first = holm({b.raw.trial: b.to_first.p for b in built})
    beside_second = holm({b.raw.trial: b.to_second.p for b in built})
    paying = []
    for b in built:
        worth_asking = b.to_first.difference > 0 and beside_first[b.raw.trial] < LEVEL
        difference = b.to_second.difference
        saves = b.option.cost_usd_per_1k * SAME_COST <= options[b.to_second.other].cost_usd_per_1k
        as_good = difference >= -TOLERATED_LOSS and (difference >= 0 or b.to_second.p >= LEVEL)
        better = difference > 0 and beside_second[b.raw.trial] < LEVEL
        if worth_asking and ((saves and as_good) or better):
            paying.append(b)
    return paying


def _rows(first: Measurement, second: Measurement, answered: Answered) -> list[RowResult]:
    """Validation rows of the cascade: a row that is passed on has been read by both parts."""
    return [
        a
        if kept
        else b.model_copy(
            update={
                "tokens_in": a.tokens_in + b.tokens_in,
                "tokens_out": a.tokens_out + b.tokens_out,
                "confidence": None,
            }
        )
        for a, b, kept in zip(first.rows, second.rows, answered.kept[0], strict=True)
    ]


def _tokens(measurement: Measurement) -> dict[str, Any]:
    read, written = [r.tokens_in for r in measurement.rows], [r.tokens_out for r in measurement.rows]
    return {
        "tokens_in": sum(read),
        "tokens_out": sum(written),
        "tokens_in_ci": mean_interval(read),
        "tokens_out_ci": mean_interval(written),
    }


def _quantiles(first: list[float], second: list[float], kept: float, percents: Sequence[float]) -> list[float]:
    """Quantiles of the mixture; empty where nothing was timed."""
    enough = [np.quantile(s, np.linspace(0, 1, QUANTILES)).tolist() for s in (first, second) if s]
    if len(enough) < 2:
        return []
    found = [mixed_latency(*enough, kept, percent) for percent in percents]
    return [ms for ms in found if ms is not None]
