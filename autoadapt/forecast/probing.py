"""A short probe: one small real job per method and base model, cached in the run folder."""

import hashlib
import json
import shutil
from pathlib import Path

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Devices, Fidelity, Fit
from autoadapt.domain.metric import QUALIFYING, Asking
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.plan import Plan, Probe, Probes
from autoadapt.files import read_model, write_json
from autoadapt.providers.answer_store import adopt
from autoadapt.runs.lock import version
from autoadapt.runs.run_folder import RunFolder
from autoadapt.shelves import EXECUTORS, METHODS
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask

PROBE_ROWS = 32
PROBE_STEPS = 4
PROBE_REQUESTS = 5
PROBE_FILE = "probe.json"
PLAN_FILE = "plan.json"


def cached(resolved: ResolvedTask, root: Path, hardware: str | None = None) -> Probes | None:
    """Probes kept from an earlier plan, where nothing they depend on has changed.

    Args:
        resolved: the task.
        root: its run folder.
        hardware: kind of device; None: that of this machine is not asked for.
    """
    probes = read_model(root / PROBE_FILE, Probes)
    if probes is None or probes.key != key_of(resolved, probes.hardware):
        return None
    return probes if hardware is None or probes.hardware == hardware else None


def budget_key(resolved: ResolvedTask) -> str:
    """Hash of the settings on which a plan depends in addition to its probes."""
    task = resolved.task
    settings = [task.model_dump(mode="json")[k] for k in ("budget", "search", "evaluation", "compute", "economics")]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def kept_plan(resolved: ResolvedTask, root: Path) -> Plan | None:
    """The plan that was made for this very task, budget included."""
    plan = read_model(root / PLAN_FILE, Plan)
    if plan is None or plan.budget_key != budget_key(resolved):
        return None
    return plan if plan.key == key_of(resolved, plan.hardware) else None


def key_of(resolved: ResolvedTask, hardware: str) -> str:
    """Hash of all that a probe's times depend on."""
    identity, compute = resolved.identity(), resolved.task.compute
    basis = {
        "hardware": hardware,
        "versions": [version(p) for p in ("torch", "transformers", "peft", "deepspeed")],
        "models": [[name, _files(model.place)] for name, model in resolved.models.items()],
        "compute": compute.model_dump(
            mode="json", exclude={"trial_timeout_s", "hang_timeout_s", "memory_mb", "recording"}
        ),
        **{k: identity[k] for k in ("methods", "search_space", "templates", "instructions", "data", "labels")},
        "answer": resolved.task.evaluation.max_new_tokens,
        **({"metric": identity["metric"]} if resolved.asked else {}),
        "rows": [PROBE_ROWS, PROBE_STEPS],
    }
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:16]


def _files(location: str) -> list[tuple[str, int]]:
    """Names and sizes of a model's files; none where it is no folder."""
    folder = Path(location)
    return sorted((f.name, f.stat().st_size) for f in folder.glob("*")) if location and folder.is_dir() else []


def first_candidates(resolved: ResolvedTask) -> list[Candidate]:
    """Two per method and model that are to be tried first (where there are two): they differ in their prompts."""
    candidates: dict[tuple[str, str], list[Candidate]] = {}
    for params in resolved.space.first():
        candidate = resolved.space.candidate(params)
        group = candidates.setdefault((candidate.method, candidate.model), [])
        if len(group) < (1 if METHODS.get(candidate.method).tunes else 2):
            group.append(candidate)
    for method, models in resolved.space.pairs.models.items():
        for model in models:
            if (method, model) not in candidates:
                candidates[method, model] = [resolved.space.default(method, model)]
    return [candidate for group in candidates.values() for candidate in group]


def probe(resolved: ResolvedTask, root: Path, skip: set[tuple[str, str]]) -> tuple[Probes, Devices, int]:
    """Probes every method on every model, or takes what is cached; also tells devices and slots.

    Args:
        resolved: the task.
        root: its run folder, where the probe is kept.
        skip: methods and models that cannot fit.

    Raises:
        UserError: the machine cannot do what the task asks, or another plan of this task is being made.
    """
    compute = resolved.task.compute
    folder = RunFolder(root / "probe")
    folder.open()  # locked: another plan that is being made works in the same folder
    try:
        shutil.rmtree(folder.root / "trials", ignore_errors=True)  # of a plan that was killed
        executor = EXECUTORS.new(compute.executor.name, compute.executor.settings)
        supervisor = Supervisor(executor, compute, folder.root, folder.prepare, resolved.preload)
        try:
            known = cached(resolved, root, supervisor.devices.kind)
            if known is not None:
                return known, supervisor.devices, supervisor.slots
            resolved.splits.write(folder.root / "data")
            usd = resolved.task.budget.usd
            asking = Asking(folder.root, QUALIFYING, None if usd is None else float(usd))
            resolved.metric.qualify(asking, resolved.asked)
            wanted = [c for c in first_candidates(resolved) if (c.method, c.model) not in skip]
            jobs = [_job(resolved, candidate, i) for i, candidate in enumerate(wanted)]
            outcomes = _run(supervisor, folder, jobs)
        finally:
            supervisor.close()
    finally:
        adopt(folder.root, root, "plan/")  # a search need not pay again for what its plan has asked
        shutil.rmtree(folder.root, ignore_errors=True)
        folder.close()
    probes = Probes(
        key=key_of(resolved, supervisor.devices.kind),
        hardware=supervisor.devices.kind,
        device_seconds=sum(finished.outcome.usage.total_device_seconds for finished in outcomes),
        probes=[_probe(f.job, f.outcome) for f in outcomes if isinstance(f.job, Fit) and not f.retried],
    )
    write_json(root / PROBE_FILE, probes)
    return probes, supervisor.devices, supervisor.slots


def _run(supervisor: Supervisor, folder: RunFolder, jobs: list[Fit]) -> list[Finished]:
    """All jobs, side by side as a search would run them: neighbours on one machine slow each other."""
    waiting, outcomes, done = list(jobs), list[Finished](), 0
    while done < len(jobs):
        while waiting and supervisor.free:
            job = waiting.pop(0)
            supervisor.submit(job, folder.prepare(job))
        finished = supervisor.next_finished(timeout=0.5)
        if finished is not None:
            outcomes.append(finished)
            done += not finished.retried
    return sorted(outcomes, key=lambda f: (f.job.trial, f.job.attempt))


def _job(resolved: ResolvedTask, candidate: Candidate, number: int) -> Fit:
    share = 1.0
    if METHODS.get(candidate.method).tunes:
        share = min(1.0, PROBE_STEPS / candidate.steps(len(resolved.splits.train)))
    rows = min(PROBE_ROWS, len(resolved.splits.validation))
    fidelity = Fidelity(rows=rows, steps=share, latency_requests=PROBE_REQUESTS)
    usd = resolved.task.budget.usd
    change = {"keep_checkpoint": True, "provider_usd_cap": None if usd is None else float(usd)}
    return resolved.fit_job(number, candidate, 0, fidelity).model_copy(update=change)


def _probe(job: Fit, outcome: Outcome) -> Probe:
    measurement = outcome.result
    overhead = outcome.seconds - outcome.fit_measure_seconds
    if not isinstance(measurement, Measurement):
        return Probe(
            candidate=job.candidate,
            **dict.fromkeys(("cold_seconds", "load_seconds", "row_seconds", "latency_ms", "step_seconds"), 0.0),
            peak_memory_bytes=0,
            failure=measurement.reason if isinstance(measurement, Failure) else "it gave nothing",
        )
    latency = sorted(measurement.latency_ms)
    return Probe(
        candidate=job.candidate,
        cold_seconds=overhead if outcome.cold else 0.0,
        load_seconds=0.0 if outcome.cold else overhead,
        row_seconds=measurement.inference_seconds / len(measurement.rows),
        latency_ms=latency[len(latency) // 2] if latency else 0.0,
        step_seconds=measurement.train_step_seconds,
        peak_memory_bytes=measurement.peak_memory_bytes,
        row_usd=measurement.answering.usd / len(measurement.rows),
        judging_row_usd=measurement.judging.usd / len(measurement.rows),
    )
