"""Every trial of a run folder in a flat row; read without disturbing a search that runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from autoadapt.files import read_whole
from autoadapt.domain.option import RawOption
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.task import Task
from autoadapt.domain.trial import Candidate, Step
from autoadapt.domain.trial_row import State, TrialRow
from autoadapt.domain.verdict import Verdict
from autoadapt.runs.run_folder import STEP_FOLDER
from autoadapt.economics.rates import percentile
from autoadapt.economics.objectives import device_usd, objectives
from autoadapt.worker.run import METRICS

SAME = (
    *("train_seconds", "train_steps", "train_tokens", "train_loss", "inference_seconds", "energy_joules"),
    *("peak_memory_bytes", "artifact_bytes", "parameters_trained"),
)
STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "stopped early", "FAIL": "failed", "RUNNING": "running"}


def read_trials(
    found: Sequence[optuna.trial.FrozenTrial],
    root: Path,
    task: Task,
    raws: Sequence[RawOption],
    verdict: Verdict | None,
) -> list[TrialRow]:
    """Every trial that was begun, by number.

    Args:
        found: the trials of its Optuna study.
        root: run folder.
        task: as it was run, its prices looked up.
        raws: its options measured in full.
        verdict: at its end; None: it has none yet.
    """
    known = {r.trial: r for r in raws}
    noise = set(verdict.within_noise) if verdict is not None else set()
    rows = []
    for frozen in found:
        if frozen.state == optuna.trial.TrialState.WAITING or not {"candidate", "same_as"} & {*frozen.user_attrs}:
            continue
        row = row_of(frozen, root, task)
        change = _known(known[row.trial]) if row.trial in known else {}
        rows.append(row.model_copy(update={**change, "within_noise": row.trial in noise}))
    return rows


def row_of(frozen: optuna.trial.FrozenTrial, root: Path, task: Task) -> TrialRow:
    """One trial by itself: what Optuna and its own folder know of it."""
    same_as = frozen.user_attrs.get("same_as")
    steps = steps_of(root, frozen.number)
    return TrialRow(
        trial=frozen.number,
        state="cached" if same_as is not None else STATES[frozen.state.name],
        same_as=same_as,
        begun=frozen.datetime_start.isoformat(timespec="seconds") if frozen.datetime_start else None,
        ended=frozen.datetime_complete.isoformat(timespec="seconds") if frozen.datetime_complete else None,
        **_asked(frozen),
        **_measured(steps, task),
        **_ended(frozen, steps),
    )


def _asked(frozen: optuna.trial.FrozenTrial) -> dict[str, Any]:
    stored = frozen.user_attrs.get("candidate")
    if stored is not None:
        candidate = Candidate.model_validate(stored)
        return {"method": candidate.method, "model": candidate.model, "params": candidate.params}
    plain = {name.split(".", 1)[-1]: value for name, value in frozen.params.items()}
    return {"method": plain.pop("method", "?"), "model": plain.pop("model", "?"), "params": plain}


def steps_of(root: Path, trial: int) -> list[tuple[Step, Outcome | None]]:
    """Steps of a trial on validation rows, by rung and attempt."""
    folder, found = root / "trials" / f"{trial:04d}", []
    for path in folder.glob("rung*/trial.json") if folder.is_dir() else ():
        step = read_whole(path, Step) if STEP_FOLDER.fullmatch(path.parent.name) else None
        if step is not None:
            found.append((step, read_whole(path.parent / "outcome.json", Outcome)))
    return sorted(found, key=lambda s: (s[0].rung, s[0].attempt))


def last_measured(steps: Sequence[tuple[Step, Outcome | None]]) -> Outcome | None:
    """What the last step that was measured gave."""
    return next((o for _, o in reversed(steps) if o is not None and o.measurement is not None), None)


def _measured(steps: Sequence[tuple[Step, Outcome | None]], task: Task) -> dict[str, Any]:
    done = [(s, o) for s, o in steps if o is not None]
    seconds = sum(o.seconds * o.devices.count for _, o in done)
    told: dict[str, Any] = {
        "device_seconds": seconds,
        "usd": float(device_usd(seconds, 1, task.economics)),
        "seed": steps[0][0].seed if steps else None,
        "rungs": sum(o.measurement is not None for _, o in done),
    }
    last = last_measured(steps)
    if last is None or last.measurement is None:
        return told
    measured: Measurement = last.measurement
    found = objectives(last, METRICS.get(task.metric), task.economics)
    return {
        **told,
        **{name: getattr(measured, name) for name in SAME},
        "rows": len(measured.rows),
        "quality": found.quality,
        "cost_usd_per_1k": found.cost_usd_per_1k,
        "latency_ms": found.latency_ms,
        "latency_p50_ms": float(np.median(measured.latency_ms)) if measured.latency_ms else None,
        "latency_p95_ms": percentile(measured.latency_ms, 95),
        "tokens_in": sum(r.tokens_in for r in measured.rows),
        "tokens_out": sum(r.tokens_out for r in measured.rows),
        "hardware": last.devices.kind,
        "devices": last.devices.count,
    }


def _ended(frozen: optuna.trial.FrozenTrial, steps: Sequence[tuple[Step, Outcome | None]]) -> dict[str, Any]:
    if frozen.state == optuna.trial.TrialState.FAIL:
        failures = [o.failure for _, o in steps if o is not None and o.failure is not None]
        if failures:
            return {"failure": failures[-1].kind, "stage": failures[-1].stage, "reason": failures[-1].reason}
        return {"reason": frozen.user_attrs.get("failure")}
    return {"reason": frozen.user_attrs.get("ended") or frozen.user_attrs.get("stopped_by")}


def _known(raw: RawOption) -> dict[str, Any]:
    test = raw.test_quality_ci
    return {
        "quality_expected": raw.quality_expected,
        "quality_low": raw.quality_ci[0],
        "quality_high": raw.quality_ci[1],
        "test_quality": raw.test_quality,
        "test_low": test[0] if test else None,
        "test_high": test[1] if test else None,
        "test_rows": raw.test_rows,
        "on_frontier": raw.on_frontier,
    }


def importances(
    found_trials: Sequence[optuna.trial.FrozenTrial], objectives_: Sequence[str], seed: int = 0
) -> Mapping[tuple[str, str], tuple[int, dict[str, float]]]:
    """How much each parameter moved each objective within each method, by fANOVA (Hutter et al. 2014, in Optuna).

    Args:
        found_trials: the trials of an Optuna study.
        objectives_: names of the study's values, in their order.
        seed: of the random forest.

    Returns:
        (method, objective) -> complete trials used, and parameter -> share of the explained variance. Methods with
        fewer than four complete trials, or none of whose parameters varied, are absent. Cost and latency are taken by
        their logarithm.
    """
    found: dict[tuple[str, str], tuple[int, dict[str, float]]] = {}
    by_method: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for frozen in found_trials:
        if frozen.state == optuna.trial.TrialState.COMPLETE and "candidate" in frozen.user_attrs:
            by_method.setdefault(str(frozen.user_attrs["candidate"]["method"]), []).append(frozen)
    for method, trials in by_method.items():
        trials = trials[:: -(-len(trials) // MOST_FOR_IMPORTANCE)]
        if len(trials) < LEAST_FOR_IMPORTANCE:
            continue
        alone = optuna.create_study(directions=["maximize", "minimize", "minimize"])
        alone.add_trials([_own(t) for t in trials])
        for i, objective in enumerate(objectives_):
            shares = _fanova(alone, i, seed)
            if shares:
                found[method, objective] = (len(trials), shares)
    return found


LEAST_FOR_IMPORTANCE = 4
MOST_FOR_IMPORTANCE = 120
"""Spread evenly over the search: time grows with more."""
TREES = 16


def _own(frozen: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    """A trial with the parameters of its own method alone, by their plain names."""
    names = {n: n.split(".", 1)[-1] for n in frozen.params if n.split(".", 1)[-1] != "method"}
    return optuna.trial.create_trial(
        params={plain: frozen.params[n] for n, plain in names.items()},
        distributions={plain: frozen.distributions[n] for n, plain in names.items()},
        values=frozen.values,
        state=frozen.state,
    )


def _fanova(study: optuna.Study, index: int, seed: int) -> dict[str, float]:
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)

    def target(trial: optuna.trial.FrozenTrial) -> float:
        value = float(trial.values[index])
        return value if index == 0 else float(np.log10(max(value, 1e-12)))

    values = {target(t) for t in study.get_trials(deepcopy=False)}
    if len(values) < 2:
        return {}
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
    except (ValueError, RuntimeError):  # no parameter varied, or the forest found nothing to split
        return {}
    return {name: share for name, share in shares.items() if np.isfinite(share)}
