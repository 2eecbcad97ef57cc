"""Trials as their serving classes cost and take: what is measured of one option is compared with all that are alike."""

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.option import OnnxServing
from autoadapt.domain.outcome import Measurement, OnnxTimes
from autoadapt.domain.usage import Usage
from autoadapt.economics.rates import least_samples, percentile
from autoadapt.economics.serving_classes import Sample, Served, ServingClass
from autoadapt.runs.run_folder import Record
from autoadapt.shelves import METHODS
from autoadapt.verdict.comparisons import SAME_LATENCY

GROWTH, FEW = 1.25, 6
"""While a search runs, a class of more than a few options is modelled again when it has grown by so much."""


class ServedTrials:
    """The serving classes of the trials of one study on one kind of hardware.

    Where a text is written, an answer or reasoning, its length counts; of labels all are weighed at once.
    """

    def __init__(self) -> None:
        self._class_of: dict[int, tuple[str, str]] = {}
        self._records: dict[tuple[str, str], dict[int, Record]] = {}
        self._again: dict[int, Measurement] = {}
        """Measurements on test rows with more single requests than the fit's."""
        self._models: dict[tuple[str, str], tuple[int, ServingClass]] = {}
        """With the number of options that each is made of."""
        self._measurements: dict[int, Measurement] = {}
        self._served: dict[int, Served] = {}
        self._revisions: Counter[tuple[str, str]] = Counter()
        self._onnx: dict[tuple[str, str], OnnxServing] = {}
        """Classes that are served in ONNX."""
        self._in_turn: dict[tuple[str, str], tuple[int, float, float]] = {}
        """Classes whose options were timed in turn with those of others: which, its median in milliseconds, and the
        standard error of that as a share of it."""

    def add(self, trial: int, record: Record) -> set[int]:
        """Takes a trial that was measured in full; returns the trials of its class whose values may have changed."""
        key = serving_class(record.job.candidate)
        self._class_of[trial] = key
        known = self._records.setdefault(key, {})
        known[trial] = record
        if key in self._models and FEW < len(known) < GROWTH * self._models[key][0]:
            self._forget(trial)
            return {trial}
        return self._changed(key)

    def time_again(self, trial: int, measurement: Measurement) -> set[int]:
        """Takes a measurement of a trial on test rows with more single requests; returns the trials of its class."""
        if len(measurement.latency_ms) <= len(self.timed(trial).latency_ms):
            return set()
        self._again[trial] = measurement
        return self._changed(self._class_of[trial])

    def _changed(self, key: tuple[str, str]) -> set[int]:
        self._models.pop(key, None)
        self._revisions[key] += 1
        for trial in self._records[key]:
            self._forget(trial)
        return {*self._records[key]}

    def _forget(self, trial: int) -> None:
        self._measurements.pop(trial, None)
        self._served.pop(trial, None)

    def take_turns(self, latency_ms: Mapping[int, Sequence[float]]) -> None:
        """Takes single requests to options of several classes that were sent in turn; `settle` makes them count.

        They say how long answers of these classes take, in place of what was measured at different times; how those of
        one class differ by their length, and vary around their medians, all that was measured says.
        """
        known = {trial: times for trial, times in latency_ms.items() if trial in self._class_of and times}
        self._in_turn = {
            self._class_of[t]: (t, statistics.median(times), _error_of_median(times)) for t, times in known.items()
        }

    def take_onnx(self, found: Mapping[int, OnnxTimes]) -> None:
        """Takes what was found of trials that were tried in ONNX; `settle` makes it count.

        Where it pays, the whole class is served so: its options compute the same.
        """
        known = {trial: times for trial, times in found.items() if trial in self._class_of}
        served = {self._class_of[trial]: _onnx_serving(trial, times) for trial, times in known.items()}
        self._onnx = {key: onnx for key, onnx in served.items() if onnx is not None}

    def onnx(self, trial: int) -> OnnxServing | None:
        """How options of its class are served in ONNX; None: they are not."""
        return self._onnx.get(self._class_of[trial])

    def in_turn(self, trial: int) -> bool:
        """Whether options of its class were timed in turn with those of others."""
        return self._class_of[trial] in self._in_turn

    def settle(self) -> set[int]:
        """Models every class with all that was measured, as at the end of a search; returns all trials."""
        return {trial for key in list(self._records) for trial in self._changed(key)}

    def revision(self, trial: int) -> int:
        """Rises whenever the values of a trial may have changed."""
        return self._revisions[self._class_of[trial]]

    def name(self, trial: int) -> str:
        """Name of its class, such as ``minilm, features depth=0.8``, with ``in ONNX`` where it is served so."""
        return self.name_in_its_library(trial) + (", in ONNX" if self.onnx(trial) is not None else "")

    def name_in_its_library(self, trial: int) -> str:
        """The same, whether or not it is served in ONNX."""
        return ", ".join(self._class_of[trial])

    def alike(self, trial: int) -> list[int]:
        """The trials of its class, by number, itself included."""
        return sorted(self._records[self._class_of[trial]])

    def are_alike(self, trial: int, other: int) -> bool:
        """Whether two trials are of one class; one that is not known is of none."""
        return trial in self._class_of and self._class_of[trial] == self._class_of.get(other)

    def served(self, trial: int) -> Served:
        """The values of a trial by the model of its class."""
        if trial not in self._served:
            served, (pace, error) = self._model(trial).served(self._sample(trial)), self._pace(trial)
            onnx = self.onnx(trial)
            if onnx is not None:
                pace *= onnx.single_ratio
            self._served[trial] = dataclasses.replace(
                served,
                median_ms=None if served.median_ms is None else pace * served.median_ms,
                median_error=math.hypot(served.median_error, error),
                row_seconds=served.row_seconds * (onnx.row_ratio if onnx is not None else 1.0),
            )
        return self._served[trial]

    def _pace(self, trial: int) -> tuple[float, float]:
        """Time of single requests of its class in turn over that which was measured before, and its standard error.

        1 and 0: not timed in turn.
        """
        key = self._class_of[trial]
        if key not in self._in_turn:
            return 1.0, 0.0
        timed, median, error = self._in_turn[key]
        before = self._model(timed).served(self._sample(timed)).median_ms
        return (median / before, error) if before else (1.0, 0.0)

    def p95_high(self, trial: int) -> float:
        """95 % upper bound of the p95 of a trial's single requests over that p95; 1 where none is stated."""
        p95 = percentile(self.measurement(trial).latency_ms, 95)
        return 1.0 if p95 is None else self._model(trial).p95_high(self.served(trial), p95)

    def _model(self, trial: int) -> ServingClass:
        key = self._class_of[trial]
        if key not in self._models:
            members = sorted(self._records[key])
            self._models[key] = len(members), ServingClass([self._sample(t) for t in members])
        return self._models[key][1]

    def measurement(self, trial: int) -> Measurement:
        """What was measured of a trial, with the times of answers that its class has.

        What a provider billed stays as it was measured.
        """
        if trial not in self._measurements:
            measured, served, timed = self._measured(trial), self.served(trial), self.timed(trial)
            seconds = measured.answering.total_device_seconds
            ratio = served.row_seconds * len(measured.rows) / seconds if seconds else 1.0
            single = timed.latency_ms
            if served.median_ms is not None and single:
                single = self._model(trial).single_requests(served.median_ms, single, trial)
            enough = len(single) >= least_samples(95)
            update = {
                "answering": _slower(measured.answering, ratio),
                "inference_seconds": measured.inference_seconds * ratio,
                "latency_ms": single,
                "latency_tail": 1.0 if enough else measured.latency_tail,
            }
            self._measurements[trial] = measured.model_copy(update=update)
        return self._measurements[trial]

    def _writes(self, trial: int) -> bool:
        return self._records[self._class_of[trial]][trial].job.writes

    def _measured(self, trial: int) -> Measurement:
        measurement = self._records[self._class_of[trial]][trial].measurement
        if measurement is None:
            raise KeyError(trial)
        return measurement

    def timed(self, trial: int) -> Measurement:
        """The measurement with most single requests, as it was: an option may be timed again when it is scored."""
        return self._again.get(trial) or self._measured(trial)

    def _sample(self, trial: int) -> Sample:
        measured, timed = self._measured(trial), self.timed(trial)
        split = "test" if trial in self._again else "validation"
        rows = len(measured.rows)
        read = sum(row.tokens_in for row in measured.rows) / rows
        shared = min(float(measured.tokens_shared), read)
        return Sample(
            fresh=read - shared,
            shared=shared,
            written=sum(row.tokens_out for row in measured.rows) / rows if self._writes(trial) else 0.0,
            row_seconds=measured.answering.total_device_seconds / rows,
            single_ms=timed.latency_ms,
            inputs=[(split, timed.rows[i % len(timed.rows)].id) for i in range(len(timed.latency_ms))],
        )


def _slower(usage: Usage, ratio: float) -> Usage:
    """The same answers in another device time, at the same power."""
    seconds: Mapping[str, float] = {kind: value * ratio for kind, value in usage.device_seconds.items()}
    joules = None if usage.joules is None else usage.joules * ratio
    return usage.model_copy(update={"device_seconds": seconds, "joules": joules})


def _onnx_serving(trial: int, times: OnnxTimes) -> OnnxServing | None:
    """How the class of a trial is served in ONNX; None: that does not pay.

    It pays where single requests are faster by more than times vary, and batches are not slower by as much.
    """
    serving = OnnxServing(
        of_trial=trial,
        torch_ms=statistics.median(times.torch_ms),
        onnx_ms=statistics.median(times.onnx_ms),
        torch_rows_per_s=1 / times.torch_row_seconds,
        onnx_rows_per_s=1 / times.onnx_row_seconds,
        largest_difference=times.largest_difference,
        bytes=times.onnx_bytes,
    )
    return serving if serving.single_ratio * SAME_LATENCY <= 1 and serving.row_ratio <= SAME_LATENCY else None


def serving_class(candidate: Candidate) -> tuple[str, str]:
    """What two options have in common whose answers are computed alike."""
    return candidate.model, METHODS.get(candidate.method).serving_class(candidate.method, candidate.params)


def _error_of_median(times: Sequence[float]) -> float:
    """Standard error of a median as a share of it: sqrt(pi / 2) standard errors of a mean (of normal logarithms)."""
    logs = np.log(np.array(times, dtype=float))
    return math.sqrt(math.pi / 2) * float(logs.std(ddof=1)) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0
