"""RawOption: everything measured of one trial, put together from its records."""

import math
import statistics
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

from autoadapt.domain.load import Load
from autoadapt.domain.option import RawOption
from autoadapt.domain.outcome import Measurement, OnnxTimes, Perturbed
from autoadapt.domain.robustness import Robustness
from autoadapt.economics.queueing import at_pace, scaled
from autoadapt.economics.rates import decode_share, percentile
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import JobKind, RunFolder
from autoadapt.runs.values import Values
from autoadapt.shelves import METHODS
from autoadapt.study.options import MeasuredTrials
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.intervals import interval, mean_interval
from autoadapt.verdict.robustness import robustness

Split = Literal["validation", "test"]


@dataclass(frozen=True)
class _Sums:
    """What is computed once of every measurement, because it is shown twice a second."""

    tokens_in: int
    tokens_out: int
    tokens_in_ci: tuple[float, float]
    tokens_out_ci: tuple[float, float]
    decode_share: float

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
        self._robust: dict[int, tuple[tuple[int, int], Robustness | None]] = {}
        """By trial, with the records that it was computed from: a bootstrap takes its time."""
        self._intervals: dict[tuple[int, Split, int, float], tuple[float, float]] = {}
        """By trial, split, number of rows and quality on them: an option may be scored again on more rows."""
        for option in earlier:
            self._intervals[option.trial, "validation", option.rows, option.quality] = option.quality_ci
            if option.test_quality is not None and option.test_quality_ci is not None:
                key: tuple[int, Split, int, float] = (option.trial, "test", option.test_rows, option.test_quality)
                self._intervals[key] = option.test_quality_ci

    def option(self, trial: int) -> RawOption:
        """Everything measured of one trial."""
        record = self.measured.record(trial)
        measurement, candidate = self.timed(trial), record.job.candidate
        values: Values = self.measured.values_of(trial)
        quality, quality_ci = self._quality(trial, "validation", measurement)
        outcome = record.outcome
        if outcome is None:
            raise KeyError(trial)
        return RawOption(
            trial=trial,
            method=candidate.method,
            model=candidate.model,
            params=candidate.params,
            quality=quality,
            quality_ci=quality_ci,
            quality_expected=self.measured.expected_quality(trial),
            **self._tested(trial),
            robustness=self._robustness(trial),
            values=values,
            hardware=outcome.devices.kind,
            devices=outcome.devices.count,
            training=measurement.training.plus(measurement.written_for_it),
            answering=measurement.answering,
            shortlist_recall=measurement.shortlist_recall,
            retrieval_recall=measurement.retrieval_recall,
            train_seconds=measurement.train_seconds,
            inference_seconds=measurement.inference_seconds,
            rows=len(measurement.rows),
            **self._read_and_written(trial),
            **self._served(trial),
            network=self.resolved.capabilities[candidate.model].remote,
            load=self._load(trial),
            artifact_bytes=measurement.artifact_bytes,
            peak_memory_bytes=measurement.peak_memory_bytes,
            floor=METHODS.get(candidate.method).floor and not candidate.teacher_rows,
            shares_base=METHODS.get(candidate.method).shares_base,
            on_frontier=trial in self.measured.frontier(),
            weights_kept=trial not in self.measured.gone,
            files_damaged=trial in self.measured.damaged,
        )

    def _read_and_written(self, trial: int) -> dict[str, Any]:
        """Fields of the tokens of an option."""
        measurement, as_timed = self.measured.serving.measurement(trial), self.measured.serving.timed(trial)
        key, free_text = (trial, len(as_timed.latency_ms)), self.resolved.metric.answers == "text"
        if key not in self._sums:
            self._sums[key] = _Sums.of(measurement, as_timed)
        sums = self._sums[key]
        return {
            "tokens_in": sums.tokens_in,
            "tokens_shared": measurement.tokens_shared,
            "tokens_out": sums.tokens_out,
            "tokens_in_ci": sums.tokens_in_ci,
            "tokens_out_ci": sums.tokens_out_ci,
            "free_text": free_text,
            "decode_share": sums.decode_share if free_text else 0.0,
        }

    def _served(self, trial: int) -> dict[str, Any]:
        """Fields of its serving class, and of single requests as it has them."""
        serving = self.measured.serving
        served, single = serving.served(trial), serving.measurement(trial).latency_ms
        return {
            "latency_p50_ms": percentile(single, 50) or 0.0,
            "latency_p95_ms": percentile(single, 95),
            "serving_class": serving.name(trial),
            "cost_error": served.row_error,
            "latency_error": served.median_error,
            "p95_high": serving.p95_high(trial),
            "onnx": serving.onnx(trial),
        }

    def timed(self, trial: int) -> Measurement:
        """What was measured of a trial, with the times of its serving class, and with all single requests there are.

        An option may be timed again when it is scored.
        """
        scored = self.folder.last_done(trial, "score")
        if scored is not None and scored.measurement is not None:
            self.measured.time_again(trial, scored.measurement)
        return self.measured.serving.measurement(trial)

    def _load(self, trial: int) -> Load | None:
        """Its load test, or that of an option of its serving class, the nearest one by its time."""
        own = self._own_load(trial)
        if own is not None:
            return own
        serving = self.measured.serving
        median = serving.served(trial).median_ms
        tested = sorted(t for t in self._tested_under_load() if serving.are_alike(t, trial))
        found = [(t, load) for t in tested if (load := self._own_load(t)) is not None]
        if not found or not median:
            return None
        ratios = {t: median / (serving.served(t).median_ms or median) for t, _ in found}
        nearest, load = min(found, key=lambda item: (abs(math.log(ratios[item[0]])), item[0]))
        return scaled(load, ratios[nearest], nearest)

    def _tested_under_load(self) -> Set[int]:
        return self.folder.trials_with("load_test") | self.folder.trials_with("onnx")

    def loaded(self, trial: int) -> bool:
        """Whether a trial was itself measured under load, as it is served."""
        return self._load_in_onnx(trial) is not None or self.folder.last_done(trial, "load_test") is not None

    def _load_in_onnx(self, trial: int) -> Load | None:
        """Its load test in ONNX, where it is served so."""
        if self.measured.serving.onnx(trial) is None:
            return None
        result = self._result(trial, "onnx")
        return result.load if isinstance(result, OnnxTimes) else None

    def _result(self, trial: int, kind: JobKind) -> Any:
        """What the last finished job of a kind gave; None: there was none."""
        record = self.folder.last_done(trial, kind)
        return None if record is None or record.outcome is None else record.outcome.result

    def _own_load(self, trial: int) -> Load | None:
        """Its own load test, as it is served and at the pace at which it was timed in turn."""
        serving = self.measured.serving
        onnx, result = serving.onnx(trial), self._load_in_onnx(trial)
        if result is None:
            result = self._result(trial, "load_test")
            if isinstance(result, Load) and onnx is not None:
                result = at_pace(result, onnx.single_ratio)
        if not isinstance(result, Load) or not result.runs:
            return None
        single = [1000 * batch.seconds for batch in result.batches if batch.rows == 1]
        in_turn = serving.served(trial).median_ms if serving.in_turn(trial) else None
        return at_pace(result, in_turn / statistics.median(single)) if in_turn and single else result

    def _tested(self, trial: int) -> dict[str, Any]:
        """Fields of what was scored on test rows; none where it was not."""
        scored = self.folder.last_done(trial, "score")
        tested = scored.measurement if scored is not None else None
        if tested is None:
            return {}
        quality, quality_ci = self._quality(trial, "test", tested)
        return {"test_quality": quality, "test_quality_ci": quality_ci, "test_rows": len(tested.rows)}

    def _robustness(self, trial: int) -> Robustness | None:
        """What perturbations cost against its score on the same test rows; None: it was not scored so."""
        scored, perturbed = self.folder.last_done(trial, "score"), self._result(trial, "robustness")
        if not isinstance(perturbed, Perturbed) or scored is None or scored.measurement is None:
            return None
        state = (id(scored), id(perturbed))
        if trial not in self._robust or self._robust[trial][0] != state:
            own, task = stats_array(scored.measurement), self.resolved.task
            self._robust[trial] = state, robustness(self.resolved.metric, own, perturbed.variants, task.seed)
        return self._robust[trial][1]

    def _quality(self, trial: int, split: Split, measurement: Measurement) -> tuple[float, tuple[float, float]]:
        """Quality on the rows of a measurement, and its 95 % interval."""
        stats = stats_array(measurement)
        value = self.resolved.metric.value(stats)
        key = (trial, split, len(stats), value)
        if key not in self._intervals:  # a bootstrap takes its time
            self._intervals[key] = interval(self.resolved.metric, stats, self.resolved.task.seed)
        return value, self._intervals[key]
