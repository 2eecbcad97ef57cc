"""A short probe: one small real step per method and base model, cached beside the run."""

import hashlib
import json
import tempfile
from pathlib import Path

from autoadapt.files import read_model, write_json
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.plan import Plan, Probe, Probes
from autoadapt.domain.plugins import Executor
from autoadapt.domain.trial import Candidate, Devices, Fidelity, Step
from autoadapt.errors import Exit, UserError
from autoadapt.tasks.resolve import EXECUTORS, Resolved, version
from autoadapt.runs.run_folder import RunFolder
from autoadapt.worker.run import METHODS

PROBE_ROWS = 32
PROBE_STEPS = 4
PROBE_REQUESTS = 5
FILE = "probe.json"
PLAN_FILE = "plan.json"


def cached(resolved: Resolved, root: Path, hardware: str | None = None) -> Probes | None:
    """Probes kept from an earlier plan, where nothing they depend on has changed.

    Args:
        resolved: the task.
        root: its run folder.
        hardware: kind of device; None: that of this machine is not asked for.
    """
    found = read_model(root / FILE, Probes)
    if found is None or found.key != key_of(resolved, found.hardware):
        return None
    return found if hardware is None or found.hardware == hardware else None


def budget_key(resolved: Resolved) -> str:
    """Hash of the settings a plan depends on besides its probes."""
    task = resolved.task
    told = [task.model_dump(mode="json")[k] for k in ("budget", "search", "evaluation", "compute", "economics")]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def kept_plan(resolved: Resolved, root: Path) -> Plan | None:
    """The plan that was made for this very task, budget included."""
    found = read_model(root / PLAN_FILE, Plan)
    if found is None or found.budget_key != budget_key(resolved):
        return None
    return found if found.key == key_of(resolved, found.hardware) else None


def key_of(resolved: Resolved, hardware: str) -> str:
    """Hash of all that a probe's times depend on."""
    identity, compute = resolved.identity(), resolved.task.compute
    told = {
        "hardware": hardware,
        "versions": [version(p) for p in ("torch", "transformers", "peft", "deepspeed")],
        "models": [[n, sorted((f.name, f.stat().st_size) for f in p.glob("*"))] for n, p in resolved.models.items()],
        "compute": compute.model_dump(mode="json", exclude={"trial_timeout_s", "hang_timeout_s", "recording"}),
        **{k: identity[k] for k in ("methods", "search_space", "templates", "instructions", "data", "labels")},
        "answer": resolved.task.evaluation.max_new_tokens,
        "rows": [PROBE_ROWS, PROBE_STEPS],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def first_candidates(resolved: Resolved) -> list[Candidate]:
    """Two per method and model that are to be tried first (where there are two): they differ in their prompts."""
    found: dict[tuple[str, str], list[Candidate]] = {}
    for params in resolved.space.first():
        candidate = resolved.space.candidate(params)
        group = found.setdefault((candidate.method, candidate.model), [])
        if len(group) < (1 if METHODS.get(candidate.method).tunes else 2):
            group.append(candidate)
    for method in resolved.task.methods:
        for model in resolved.task.models:
            if (method, model) not in found:
                found[method, model] = [resolved.space.default(method, model)]
    return [candidate for group in found.values() for candidate in group]


def probe(resolved: Resolved, root: Path, skip: set[tuple[str, str]]) -> tuple[Probes, Devices, int]:
    """Probes every method on every model, or takes what is cached; also tells devices and slots.

    Args:
        resolved: the task.
        root: its run folder, where the probe is kept.
        skip: methods and models that cannot fit.

    Raises:
        UserError: the machine cannot do what the task asks.
    """
    executor = EXECUTORS.new(resolved.task.compute.executor)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{root}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error
    with tempfile.TemporaryDirectory(prefix="autoadapt-probe-") as name:
        folder = RunFolder(Path(name))
        executor.start(folder.root, resolved.task.compute)
        try:
            known = cached(resolved, root, executor.devices.kind)
            if known is not None:
                return known, executor.devices, executor.slots
            folder.open()
            resolved.splits.write(folder.root / "data")
            wanted = [c for c in first_candidates(resolved) if (c.method, c.model) not in skip]
            steps = [_step(resolved, candidate, i) for i, candidate in enumerate(wanted)]
            outcomes = _run(executor, folder, steps)
        finally:
            executor.close()
            folder.close()
    total = sum(o.seconds * o.devices.count for o in outcomes.values())
    probes = [_probe(step, outcomes[step.trial]) for step in steps]
    found = Probes(
        key=key_of(resolved, executor.devices.kind),
        hardware=executor.devices.kind,
        device_seconds=total,
        probes=probes,
    )
    write_json(root / FILE, found)
    return found, executor.devices, executor.slots


def _run(executor: Executor, folder: RunFolder, steps: list[Step]) -> dict[int, Outcome]:
    """All steps, side by side as a search would run them: neighbours on one machine slow each other."""
    waiting = list(steps)
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(steps):
        while waiting and executor.free:
            step = waiting.pop(0)
            executor.submit(step, folder.prepare(step))
        finished = executor.next_finished(timeout=0.5)
        if finished is not None:
            outcomes[finished.step.trial] = finished.outcome
    return outcomes


def _step(resolved: Resolved, candidate: Candidate, number: int) -> Step:
    share = 1.0
    if METHODS.get(candidate.method).tunes:
        batch = int(candidate.params.get("batch_size") or 16)
        per_epoch = -(-len(resolved.splits.train) // batch)
        share = min(1.0, PROBE_STEPS / (per_epoch * candidate.passes))
    rows = min(PROBE_ROWS, len(resolved.splits.validation))
    fidelity = Fidelity(rows=rows, steps=share, latency_requests=PROBE_REQUESTS)
    return resolved.step(number, candidate, fidelity, f"trials/{number:04d}").model_copy(
        update={"keep_checkpoint": True}
    )


def _probe(step: Step, outcome: Outcome) -> Probe:
    measured = outcome.measurement
    overhead = outcome.seconds - outcome.fit_measure_seconds
    if measured is None:
        reason = outcome.failure.reason if outcome.failure else "it gave nothing"
        return Probe(
            candidate=step.candidate,
            **dict.fromkeys(("cold_seconds", "load_seconds", "row_seconds", "latency_ms", "step_seconds"), 0.0),
            peak_memory_bytes=0,
            failure=reason,
        )
    latency = sorted(measured.latency_ms)
    return Probe(
        candidate=step.candidate,
        cold_seconds=overhead if outcome.cold else 0.0,
        load_seconds=0.0 if outcome.cold else overhead,
        row_seconds=measured.inference_seconds / len(measured.rows),
        latency_ms=latency[len(latency) // 2] if latency else 0.0,
        step_seconds=measured.train_step_seconds,
        peak_memory_bytes=measured.peak_memory_bytes,
    )
