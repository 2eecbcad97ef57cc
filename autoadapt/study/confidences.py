"""How sure options are of their answers: read from a study's records and calibrated on validation rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autoadapt.domain.option import Calibration
from autoadapt.domain.outcome import Measurement
from autoadapt.runs.answers import read_predictions
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.study.options import MeasuredTrials
from autoadapt.verdict.calibration import SureRows, calibrated, calibration_error, error_by_chance, temperature

Split = Literal["validation", "test"]


class Confidences:
    """Calibrated confidences of a study's options.

    Args:
        folder: the records of its jobs.
        measured: its trials at full fidelity.
    """

    def __init__(self, folder: RunFolder, measured: MeasuredTrials) -> None:
        self._folder, self._measured = folder, measured
        self._rows: dict[tuple[Path, Split], SureRows | None] = {}
        self._temperatures: dict[Path, float] = {}
        self._calibrations: dict[tuple[Path, Path], Calibration] = {}

    def jobs(self, trial: int) -> tuple[Path | None, Path | None]:
        """Folders of the jobs that answered validation and test rows; None: there is none."""
        fitted, scored = self._record(trial, "validation"), self._record(trial, "test")
        return fitted.folder if fitted else None, scored.folder if scored else None

    def measurement(self, trial: int, split: Split) -> Measurement | None:
        """What was measured of a trial on a split; None: nothing."""
        record = self._record(trial, split)
        return None if record is None else record.measurement

    def temperature(self, trial: int) -> float | None:
        """Of a trial's confidences, from validation rows; None: it states none."""
        rows, key = self._sure(trial, "validation"), self._measured.record(trial).folder
        if rows is None:
            return None
        if key not in self._temperatures:
            self._temperatures[key] = temperature(rows)
        return self._temperatures[key]

    def of(self, trial: int, split: Split) -> Any:
        """Calibrated confidences, shape (rows,); None: it states none, or was not measured on the split."""
        t, rows = self.temperature(trial), self._sure(trial, split)
        return None if t is None or rows is None else calibrated(rows, t)

    def calibration(self, trial: int) -> Calibration | None:
        """Temperature and calibration errors on test rows; None: it states no confidences, or was not scored there."""
        t, seen, rows = self.temperature(trial), self._sure(trial, "validation"), self._sure(trial, "test")
        scored = self._record(trial, "test")
        if t is None or seen is None or rows is None or scored is None:
            return None
        key = (self._measured.record(trial).folder, scored.folder)
        if key not in self._calibrations:
            after = calibrated(rows, t)
            self._calibrations[key] = Calibration(
                trial=trial,
                temperature=t,
                validation_rows=len(seen.score),
                test_rows=len(rows.score),
                error_before=calibration_error(rows.confidence, rows.score),
                error=calibration_error(after, rows.score),
                error_by_chance=error_by_chance(after),
            )
        return self._calibrations[key]

    def _record(self, trial: int, split: Split) -> Record | None:
        return self._measured.record(trial) if split == "validation" else self._folder.last_done(trial, "score")

    def _sure(self, trial: int, split: Split) -> SureRows | None:
        record = self._record(trial, split)
        if record is None or record.measurement is None:
            return None
        key = (record.folder, split)
        if key not in self._rows:
            path = self._folder.trial(trial) / f"predictions-{split}.jsonl"
            lines = read_predictions(path) if self._folder.lasting else []
            self._rows[key] = sure_rows(record.measurement, lines, record.job.labels or [])
        return self._rows[key]


def sure_rows(measurement: Measurement, lines: Sequence[dict[str, Any]], labels: Sequence[str]) -> SureRows | None:
    """Confidences and scores of answered rows; None: a row has no confidence.

    Args:
        measurement: of an option.
        lines: of its file of predictions; where they do not belong to the measurement they are not used.
        labels: in the job's order; empty for free text.
    """
    confidence = [row.confidence for row in measurement.rows]
    stated = [c for c in confidence if c is not None]
    if len(stated) < len(confidence) or not stated:
        return None
    score = np.array([row.stats[0] for row in measurement.rows])
    numbers = {label: i for i, label in enumerate(labels)}
    fits = [line.get("id") for line in lines] == [row.id for row in measurement.rows] and all(
        len(line.get("log_probs", ())) == len(labels)
        and line["expected"]
        and {line["answer"], *line["expected"][:1]} <= {*numbers}
        for line in lines
    )
    if not labels or not fits:
        return SureRows(np.array(stated), score)
    answer = np.array([numbers[line["answer"]] for line in lines])
    truth = np.array([_truth(line, numbers) for line in lines])
    return SureRows(np.array(stated), score, np.array([line["log_probs"] for line in lines], float), truth, answer)


def _truth(line: dict[str, Any], numbers: dict[str, int]) -> int:
    """The label answered where it is accepted, else the first accepted one."""
    accepted = line["expected"]
    return numbers[line["answer"] if line["answer"] in accepted else accepted[0]]
