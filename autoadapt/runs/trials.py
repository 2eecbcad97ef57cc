"""Every trial of a run folder in a flat row; read without disturbing a search that runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit
from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import COST, LATENCY, Goal
from autoadapt.domain.option import RawOption
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.task import Task
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.domain.verdict import Verdict
from autoadapt.economics.rates import percentile, typical_ms
from autoadapt.economics.usage_costs import cost_usd_per_1k, device_usd
from autoadapt.files import read_whole
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import JOB_FOLDER, read_job
from autoadapt.runs.values import ReadingError, read_values

COPIED = (
    *("train_seconds", "train_steps", "train_steps_planned", "train_tokens", "train_loss", "inference_seconds"),
    *("peak_memory_bytes", "artifact_bytes", "parameters_trained"),
)
"""Fields of a measurement that a row has by the same name."""
STATES = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.STOPPED_EARLY,
    "FAIL": TrialState.FAILED,
    "RUNNING": TrialState.RUNNING,
}
Fits = Sequence[tuple[Fit, Outcome | None]]


@dataclass(frozen=True)
class TrialReader:
    """Reads the trials of one study.

    Args:
        root: run folder.
        task: as it was run, its prices looked up.
        metric: of the task.
        goals: what it optimises.
    """

    root: Path
    task: Task
    metric: Metric
    goals: Sequence[Goal]

    def rows(
        self, frozen_trials: Sequence[optuna.trial.FrozenTrial], options: Sequence[RawOption], verdict: Verdict | None
    ) -> list[TrialRow]:
        """Every trial that was begun, by number.

        Args:
            frozen_trials: of its Optuna study.
            options: trials measured in full.
            verdict: at the end of the search; None: there is none yet.
        """
        by_trial = {option.trial: option for option in options}
        within_noise = set(verdict.within_noise) if verdict is not None else set()
        rows = []
        for frozen in frozen_trials:
            waiting = frozen.state == optuna.trial.TrialState.WAITING
            if waiting or not {"candidate", "same_as"} & {*frozen.user_attrs}:
                continue
            row = self.row(frozen, by_trial.get(frozen.number))
            rows.append(row.model_copy(update={"within_noise": row.trial in within_noise}))
        return rows

    def row(self, frozen: optuna.trial.FrozenTrial, option: RawOption | None = None) -> TrialRow:
        """One trial: what Optuna and its folder know of it.

        Args:
            frozen: of the Optuna study.
            option: what it gave in full; None: it is read from its folder alone.
        """
        same_as = frozen.user_attrs.get("same_as")
        fits = fits_of(self.root, frozen.number)
        return TrialRow(
            trial=frozen.number,
            state=TrialState.CACHED if same_as is not None else STATES[frozen.state.name],
            same_as=same_as,
            begun=_moment(frozen.datetime_start),
            ended=_moment(frozen.datetime_complete),
            **_candidate(frozen),
            **self._measured(fits, option),
            **_ending(frozen, fits),
        )

    def _measured(self, fits: Fits, option: RawOption | None) -> dict[str, Any]:
        done = [(job, outcome) for job, outcome in fits if outcome is not None]
        seconds = sum(outcome.usage.total_device_seconds for _, outcome in done)
        billed = sum(outcome.usage.usd for _, outcome in done)
        payload: dict[str, Any] = {
            "device_seconds": seconds,
            "usd": float(device_usd(seconds, 1, self.task.economics)) + billed,
            "seed": fits[0][0].seed if fits else None,
            "rungs": sum(isinstance(outcome.result, Measurement) for _, outcome in done),
        }
        last = last_measured(fits)
        if last is None:
            return payload
        outcome, measurement = last
        return {
            **payload,
            **{name: getattr(measurement, name) for name in COPIED},
            "rows": len(measurement.rows),
            "quality": self.metric.value(stats_array(measurement)),
            "latency_p50_ms": float(np.median(measurement.latency_ms)) if measurement.latency_ms else None,
            "latency_p95_ms": percentile(measurement.latency_ms, 95),
            "energy_joules": measurement.answering.joules,
            "tokens_in": sum(r.tokens_in for r in measurement.rows),
            "tokens_out": sum(r.tokens_out for r in measurement.rows),
            "hardware": outcome.devices.kind,
            "devices": outcome.devices.count,
            **(self._alone(measurement) if option is None else self._of_option(option, measurement)),
        }

    def _alone(self, measurement: Measurement) -> dict[str, Any]:
        """Objectives, cost and latency as one measurement gives them."""
        return {
            "values": self._values(measurement),
            "cost_usd_per_1k": float(cost_usd_per_1k(measurement, self.task.economics)),
            "latency_ms": _typical(measurement),
        }

    def _of_option(self, option: RawOption, measurement: Measurement) -> dict[str, Any]:
        """What the results know of a trial that was measured in full.

        Cost and latency are those of its serving class, as everywhere options are compared; those of its own
        measurement where they are no objectives of the task.
        """
        test, values = option.test_quality_ci, option.values
        shared = {name: values[name] for name in (COST, LATENCY) if name in values}
        return {
            **(shared if len(shared) == 2 else self._alone(measurement) | shared),
            "values": values,
            "quality_expected": option.quality_expected,
            "quality_low": option.quality_ci[0],
            "quality_high": option.quality_ci[1],
            "test_quality": option.test_quality,
            "test_low": test[0] if test else None,
            "test_high": test[1] if test else None,
            "test_rows": option.test_rows,
            "on_frontier": option.on_frontier,
        }

    def _values(self, measurement: Measurement) -> dict[str, float]:
        """Objectives of a measurement; none where one of them gives no number."""
        try:
            return read_values(self.goals, measurement, self.metric, self.task.economics)
        except ReadingError:
            return {}


def fits_of(root: Path, trial: int) -> list[tuple[Fit, Outcome | None]]:
    """Fits of a trial with their outcomes, by rung and attempt."""
    folder, fits = root / "trials" / f"{trial:04d}", []
    try:
        names = os.listdir(folder)  # several times as fast as a glob, and there may be thousands of trials
    except OSError:
        return []
    for name in names:
        job = read_job(folder / name) if name.startswith("rung") and JOB_FOLDER.fullmatch(name) else None
        if isinstance(job, Fit):
            fits.append((job, read_whole(folder / name / "outcome.json", Outcome)))
    return sorted(fits, key=lambda fit: (fit[0].rung, fit[0].attempt))


def last_measured(fits: Fits) -> tuple[Outcome, Measurement] | None:
    """What the last fit that was measured gave."""
    for _, outcome in reversed(fits):
        if outcome is not None and isinstance(outcome.result, Measurement):
            return outcome, outcome.result
    return None


def _moment(time: datetime | None) -> str | None:
    # several trials may end within a second, and their order is that of a curve over spend
    return time.isoformat(timespec="microseconds") if time is not None else None


def _typical(measurement: Measurement) -> float | None:
    return typical_ms(measurement.latency_ms) * measurement.latency_tail if measurement.latency_ms else None


def _candidate(frozen: optuna.trial.FrozenTrial) -> dict[str, Any]:
    stored = frozen.user_attrs.get("candidate")
    if stored is not None:
        candidate = Candidate.model_validate(stored)
        return {"method": candidate.method, "model": candidate.model, "params": candidate.params}
    plain = {name.split(".", 1)[-1]: value for name, value in frozen.params.items()}
    return {"method": plain.pop("method", "?"), "model": plain.pop("model", "?"), "params": plain}


def _ending(frozen: optuna.trial.FrozenTrial, fits: Fits) -> dict[str, Any]:
    if frozen.state == optuna.trial.TrialState.FAIL:
        failures = [o.result for _, o in fits if o is not None and isinstance(o.result, Failure)]
        if failures:
            last = failures[-1]
            return {"failure": last.failure_class, "stage": last.stage, "reason": last.reason}
        return {"reason": frozen.user_attrs.get("failure")}
    return {"reason": frozen.user_attrs.get("ended") or frozen.user_attrs.get("stopped_by")}
