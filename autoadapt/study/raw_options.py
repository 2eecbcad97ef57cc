"""RawOption: everything measured of one trial, put together from its records."""

from dataclasses import dataclass
from typing import Any, Literal

from autoadapt.domain.load import Load
from autoadapt.domain.option import RawOption
from autoadapt.domain.outcome import Measurement
from autoadapt.economics.rates import decode_share, percentile
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.runs.values import Values
from autoadapt.shelves import METHODS
from autoadapt.study.options import MeasuredTrials
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.intervals import interval, mean_interval

Split = Literal["validation", "test"]


@dataclass(frozen=True)
class _Sums:
    """What is computed once of every measurement, because it is shown twice a second."""

    tokens_in: int
    tokens_out: int
    tokens_in_ci: tuple[float, float]
    tokens_out_ci: tuple[float, float]
    decode_share: float
    p50: float
    p95: float | None

    @classmethod
    def of(cls, measurement: Measurement, timed: Measurement) -> "_Sums":
        """Of what was measured on validation rows, and of the measurement that holds most single requests."""
        read, written = [r.tokens_in for r in measurement.rows], [r.tokens_out for r in measurement.rows]
        return cls(
            sum(read),
            sum(written),
            mean_interval(read),
            mean_interval(written),
            decode_share(timed.latency_ms, timed.tokens_out_latency),
            percentile(timed.latency_ms, 50) or 0.0,
            percentile(timed.latency_ms, 95),
        )


class RawOptions:
    """Makes raw options.

    Args:
        resolved: the task.
        folder: the records of its jobs.
        measured: its trials at full fidelity.
        earlier: options of an earlier run of the study, whose intervals are not computed again.
    """

    def __init__(
        self, resolved: ResolvedTask, folder: RunFolder, measured: MeasuredTrials, earlier: list[RawOption]
    ) -> None:
        self.resolved, self.folder, self.measured = resolved, folder, measured
        self._sums: dict[tuple[int, int], _Sums] = {}
        """By trial and single requests that timed it."""
        self._intervals: dict[tuple[int, Split], tuple[float, float]] = {}
        for option in earlier:
            self._intervals[option.trial, "validation"] = option.quality_ci
            if option.test_quality_ci is not None:
                self._intervals[option.trial, "test"] = option.test_quality_ci

    def option(self, trial: int) -> RawOption:
        """Everything measured of one trial."""
        record = self.measured.record(trial)
        measurement, candidate = self.measured.measurement(trial), record.job.candidate
        timed = self.timed(trial)
        key = (trial, len(timed.latency_ms))
        if key not in self._sums:
            self._sums[key] = _Sums.of(measurement, timed)
        sums, metric = self._sums[key], self.resolved.metric
        free_text = metric.answers == "text"
        values: Values = self.measured.values()[trial]
        outcome = record.outcome
        if outcome is None:
            raise KeyError(trial)
        return RawOption(
            trial=trial,
            method=candidate.method,
            model=candidate.model,
            params=candidate.params,
            quality=metric.value(stats_array(measurement)),
            quality_ci=self._interval(trial, "validation", measurement),
            quality_expected=self.measured.expected_quality(trial),
            **self._tested(trial),
            values=values,
            hardware=outcome.devices.kind,
            devices=outcome.devices.count,
            training=measurement.training,
            answering=measurement.answering,
            train_seconds=measurement.train_seconds,
            inference_seconds=measurement.inference_seconds,
            rows=len(measurement.rows),
            tokens_in=sums.tokens_in,
            tokens_shared=measurement.tokens_shared,
            tokens_out=sums.tokens_out,
            tokens_in_ci=sums.tokens_in_ci,
            tokens_out_ci=sums.tokens_out_ci,
            free_text=free_text,
            decode_share=sums.decode_share if free_text else 0.0,
            latency_p50_ms=sums.p50,
            latency_p95_ms=sums.p95,
            network=self.resolved.capabilities[candidate.model].remote,
            load=_load(self.folder.last_done(trial, "load_test")),
            artifact_bytes=measurement.artifact_bytes,
            peak_memory_bytes=measurement.peak_memory_bytes,
            floor=METHODS.get(candidate.method).floor,
            shares_base=METHODS.get(candidate.method).shares_base,
            on_frontier=trial in self.measured.frontier(),
            weights_kept=trial not in self.measured.discarded,
        )

    def timed(self, trial: int) -> Measurement:
        """The measurement that holds most single requests: an option may be timed again when it is scored."""
        measurement = self.measured.measurement(trial)
        scored = self.folder.last_done(trial, "score")
        again = scored.measurement if scored is not None else None
        return measurement if again is None or len(again.latency_ms) <= len(measurement.latency_ms) else again

    def _tested(self, trial: int) -> dict[str, Any]:
        """Fields of what was scored on test rows; none where it was not."""
        scored = self.folder.last_done(trial, "score")
        tested = scored.measurement if scored is not None else None
        if tested is None:
            return {}
        return {
            "test_quality": self.resolved.metric.value(stats_array(tested)),
            "test_quality_ci": self._interval(trial, "test", tested),
            "test_rows": len(tested.rows),
        }

    def _interval(self, trial: int, split: Split, measurement: Measurement) -> tuple[float, float]:
        key = (trial, split)
        if key not in self._intervals:  # a bootstrap takes its time
            self._intervals[key] = interval(self.resolved.metric, stats_array(measurement), self.resolved.task.seed)
        return self._intervals[key]


def _load(record: Record | None) -> Load | None:
    result = record.outcome.result if record is not None and record.outcome is not None else None
    return result if isinstance(result, Load) else None
