"""One step from ``trial.json`` to ``outcome.json``: fit, then measure. It never raises: what goes wrong is an outcome.

python -m autoadapt.worker runs/NAME/trials/0007/rung1     # run a step again by hand
"""

import errno
import json
import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import psutil
from pydantic import ValidationError

from autoadapt.domain.load import Load
from autoadapt.domain.outcome import Failure, FailureClass, Measurement, Outcome, RowResult, Stage
from autoadapt.domain.plugins import Adapted, Context, Method, Metric, Selector
from autoadapt.domain.rows import Row, read_rows
from autoadapt.domain.trial import Step
from autoadapt.errors import UserError
from autoadapt.files import write_atomic, write_json
from autoadapt.registry import Registry
from autoadapt.worker.energy import energy_counter
from autoadapt.worker.load import load_test
from autoadapt.worker.place import Place

METHODS = Registry("method", "autoadapt.methods", Method)  # type: ignore[type-abstract]
METRICS = Registry("metric", "autoadapt.metrics", Metric)  # type: ignore[type-abstract]
SELECTORS = Registry("selector", "autoadapt.selectors", Selector)  # type: ignore[type-abstract]

WARM_UP_REQUESTS = 3
TRUNCATED_LIMIT = 0.05


class StepFailedError(Exception):
    """A step whose numbers may not be used, with its class."""

    def __init__(self, kind: FailureClass, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _Watch:
    """Which stage a step is in, and how long it has run."""

    def __init__(self) -> None:
        self.stage: Stage = "start"
        self.started = time.monotonic()
        self.working = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def run_step(folder: Path, place: Place, cold: bool = False) -> Outcome:
    """Runs the step described in `folder` and writes its outcome there.

    Args:
        folder: ``RUN/trials/NUMBER/STEP`` with its ``trial.json``.
        place: this process's devices and rank; only rank 0 writes ``outcome.json``, others ``outcome-RANK.json``.
        cold: whether it is this process's first step.
    """
    watch = _Watch()
    step = Step.model_validate_json((folder / "trial.json").read_bytes())
    measurement: Measurement | None = None
    load: Load | None = None
    failure: Failure | None = None
    try:
        found = _measured(step, folder, place, watch)
        load, measurement = (found, None) if isinstance(found, Load) else (None, found)
    except BaseException as error:  # noqa: BLE001 - the one place where everything becomes data
        traceback.print_exc()
        failure = Failure(stage=watch.stage, kind=_kind(error), reason=_reason(error))
        if isinstance(error, KeyboardInterrupt | SystemExit):
            failure = Failure(stage=watch.stage, kind="interrupted", reason="the worker was told to stop")
    outcome = Outcome(
        trial=step.trial,
        rung=step.rung,
        attempt=step.attempt,
        measurement=measurement,
        failure=failure,
        load=load,
        devices=place.devices,
        seconds=watch.seconds,
        fit_measure_seconds=watch.working,
        cold=cold,
        worker_rss_bytes=psutil.Process().memory_info().rss,
    )
    write_json(folder / ("outcome.json" if place.rank == 0 else f"outcome-{place.rank}.json"), outcome)
    return outcome


def _measured(step: Step, folder: Path, place: Place, watch: _Watch) -> Measurement | Load | None:
    beat = _heartbeat(place.heartbeat(folder))
    metric = METRICS.get(step.metric)
    method = METHODS.get(step.candidate.method)
    if place.rank > 0 and not (method.tunes and step.fits):
        return None  # one rank is enough to ask a model that is not trained
    watch.stage = "load"
    from autoadapt.models.causal_lm import adapting, language_model

    run = folder.resolve().parents[2]
    grouped = method.tunes and step.fits and (place.world > 1 or step.engine == "deepspeed")
    if grouped:
        _join(place, folder)
    loaded, began = language_model.loading["seconds"], time.monotonic()
    watch.stage = "fit"
    context = Context(
        step=step,
        run=run,
        devices=place.devices,
        tick=beat,
        rank=place.rank if grouped else 0,
        world=place.world if grouped else 1,
        metric=metric,
        select=_few_shot(step, run),
    )
    adapting.reset_peak_memory(place.devices.accelerator)
    if step.split == "load":
        watch.stage = "measure"
        found = load_test(context, lambda: method.fit(context))
        watch.working = time.monotonic() - began
        return found
    adapted = method.fit(context)
    try:
        watch.stage = "measure"
        return _measure(context, adapted, metric) if place.rank == 0 else None
    finally:
        adapted.close()
        watch.working = time.monotonic() - began - (language_model.loading["seconds"] - loaded)


def _measure(context: Context, adapted: Adapted, metric: Metric) -> Measurement:
    from autoadapt.models.causal_lm import adapting

    step, device = context.step, context.devices.accelerator
    rows = context.rows(step.rows_of, step.fidelity.rows)
    inputs = [row.input for row in rows]
    shared = adapted.prepare(inputs)
    energy = energy_counter(device)
    joules = energy()
    answers, seconds = adapting.timed(lambda: adapted.answer(inputs), device)
    drawn = energy()
    labels = step.labels or []
    results = [
        RowResult(
            id=row.id,
            stats=metric.row(a.text, row.outputs, labels),
            tokens_in=a.tokens_in,
            tokens_out=a.tokens_out,
        )
        for row, a in zip(rows, answers, strict=True)
    ]
    if not all(math.isfinite(s) for r in results for s in r.stats):
        raise StepFailedError("nan", "the metric gave a number that is not finite")
    truncated = sum(a.truncated for a in answers)
    if truncated > TRUNCATED_LIMIT * len(rows):
        raise StepFailedError(
            "config", f"the prompt of {truncated} of {len(rows)} rows does not fit the model's context: fewer shots?"
        )
    latency, written = _latency(context, adapted, inputs)
    if not all(0 < sample < math.inf for sample in latency):
        raise StepFailedError("nan", "a latency of zero or less was measured: the clock cannot be trusted")
    _write_predictions(context, rows, [a.text for a in answers], results)
    training = adapted.training
    return Measurement(
        rows=results,
        rows_truncated=truncated,
        train_seconds=training.seconds,
        train_steps=training.steps,
        train_tokens=training.tokens,
        train_loss=list(training.loss),
        train_step_seconds=training.step_seconds,
        stopped_early=training.stopped_early,
        inference_seconds=seconds,
        latency_ms=latency,
        tokens_out_latency=[] if labels else written,
        tokens_shared=shared,
        energy_joules=None if joules is None or drawn is None else drawn - joules,
        prefix_cache=shared > 0,
        peak_memory_bytes=adapting.peak_memory(device),
        artifact_bytes=training.artifact_bytes,
        parameters_trained=training.parameters_trained,
        parameters_total=adapted.parameters_total,
    )


def _latency(context: Context, adapted: Adapted, inputs: list[str]) -> tuple[list[float], list[int]]:
    """Milliseconds and tokens written of single requests, one after the other, after warm-up; rows are used again."""
    from autoadapt.models.causal_lm import adapting

    count, device = context.step.fidelity.latency_requests, context.devices.accelerator
    if count:
        for text in inputs[:WARM_UP_REQUESTS]:
            adapted.answer([text])
    samples, written = [], []
    for i in range(count):
        text = inputs[i % len(inputs)]
        answers, seconds = adapting.timed(lambda text=text: adapted.answer([text]), device)  # type: ignore[misc]
        samples.append(seconds * 1000)
        written.append(answers[0].tokens_out)
    return samples, written


def _write_predictions(context: Context, rows: list[Row], texts: list[str], results: list[RowResult]) -> None:
    lines = []
    for row, text, result in zip(rows, texts, results, strict=True):
        told = {"id": row.id, "score": round(result.stats[0], 6), "answer": text, "expected": row.outputs}
        lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    write_atomic(context.state / f"predictions-{context.step.split}.jsonl", "".join(lines))


def _few_shot(step: Step, run: Path) -> Callable[[str], list[Row]] | None:
    shots = step.candidate.params.get("shots")
    if not isinstance(shots, int) or shots < 1:
        return None
    pool = read_rows(run / "data" / "train.jsonl")
    return SELECTORS.get(str(step.candidate.params["selector"])).prepare(pool, shots, step.seed)


def _join(place: Place, folder: Path) -> None:
    from autoadapt.training.deepspeed_backend import join_group

    meeting = Path(place.meeting_file) if place.meeting_file else folder / f"meeting-{time.time_ns()}"
    join_group(place.rank, place.world, meeting, place.devices.accelerator)


def _heartbeat(file: Path) -> Callable[[], None]:
    last = 0.0

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.5:
            last = now
            file.write_text(str(time.time_ns()))

    beat()
    return beat


def _kind(error: BaseException) -> FailureClass:
    from autoadapt.models.causal_lm.adapting import is_out_of_memory
    from autoadapt.training.loop import LossNotFiniteError

    if isinstance(error, StepFailedError):
        return error.kind
    if isinstance(error, LossNotFiniteError):
        return "nan"
    if is_out_of_memory(error):
        return "oom"
    if isinstance(error, UserError | ValidationError):
        return "config"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    return "crash"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    named = (
        text if isinstance(error, UserError | StepFailedError | ArithmeticError) else f"{type(error).__name__}: {text}"
    )
    return named[:500]
