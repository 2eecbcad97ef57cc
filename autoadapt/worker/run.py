"""One job from ``job.json`` to ``outcome.json``. It never raises: what goes wrong is an outcome too.

python -m autoadapt.worker runs/NAME/trials/0007/rung1     # run a job again by hand
"""

import dataclasses
import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import (
    JOB,
    AnyJob,
    Fit,
    FitJob,
    Label,
    LoadTest,
    OnnxTest,
    Propose,
    Refit,
    RobustnessTest,
    Score,
    TimeInTurn,
    Turn,
)
from autoadapt.domain.method import Adapted, Context, Decoding, Method, SaveArtifact, Weights
from autoadapt.domain.metric import Asking
from autoadapt.domain.outcome import Failure, FailureClass, Measurement, Outcome, Result, Stage
from autoadapt.domain.robustness import Variant
from autoadapt.errors import Exit, TooSlowError, UserError
from autoadapt.files import is_full_disk, write_json
from autoadapt.process_memory import return_freed_memory
from autoadapt.providers.answer_store import OutOfMoneyError
from autoadapt.shelves import METHODS, METRICS
from autoadapt.worker.artifacts import load_artifact, saver
from autoadapt.worker.energy import energy_counter, joules_between
from autoadapt.worker.examples import Examples, choose_examples, with_examples, with_recall
from autoadapt.worker.in_onnx import onnx_test
from autoadapt.worker.in_turn import time_in_turn
from autoadapt.worker.labelling import label
from autoadapt.worker.load import load_test
from autoadapt.worker.measuring import (
    Bench,
    JobFailedError,
    context_of,
    documents_of,
    measure,
    nothing_measured,
    rows_of,
)
from autoadapt.worker.meters import Meters
from autoadapt.worker.place import Place
from autoadapt.worker.proposing import propose
from autoadapt.worker.robustness import load_variant, robustness_test
from autoadapt.worker.stopping import StopRequest
from autoadapt.worker.training_energy import add_training_joules
from autoadapt.worker.workshop import Workshop

FAILURE_OF_EXIT: dict[Exit, FailureClass] = {Exit.DATA: "data", Exit.PROVIDER: "provider"}
"""Classes of user errors by their exit code; all others are mistakes in the configuration."""


class _Watch:
    """Which stage a job is in, and how long it has run."""

    def __init__(self, sent: float | None) -> None:
        self.stage: Stage = "start"
        self.started = time.monotonic() if sent is None else sent
        self.fit_measure_seconds = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


@dataclass(frozen=True)
class _Session:
    """Where a job runs: its folder, this process, the watch of its stages, and whether it was asked to stop."""

    folder: Path
    place: Place
    workshop: Workshop
    watch: _Watch
    stop: StopRequest


def run_job(
    folder: Path,
    place: Place,
    workshop: Workshop,
    cold: bool = False,
    sent: float | None = None,
    stop: StopRequest | None = None,
) -> Outcome:
    """Runs the job described in `folder` and writes its outcome there.

    Args:
        folder: ``RUN/trials/NUMBER/JOB`` with its ``job.json``.
        place: this process's devices and rank; rank 0 writes ``outcome.json``, others ``outcome-RANK.json``.
        workshop: of this process, the same for every job.
        cold: whether it is this process's first job.
        sent: moment of the monotonic clock from which the job has held its devices; None: now.
        stop: of this process; None: nothing asks it to stop.
    """
    watch = _Watch(sent)
    try:
        job = JOB.validate_json((folder / "job.json").read_bytes())
    except (OSError, ValidationError) as error:
        traceback.print_exc()
        failure = Failure(stage="start", failure_class="config", reason=f"job.json cannot be read: {_reason(error)}")
        outcome = Outcome(trial=-1, attempt=0, result=failure, devices=place.devices, seconds=watch.seconds, cold=cold)
    else:
        result = _result_or_failure(job, _Session(folder, place, workshop, watch, stop or StopRequest()))
        return_freed_memory()
        if isinstance(result, Measurement):
            result = _as_first_job(result, job, place, workshop)
        outcome = Outcome.of(
            job,
            result,
            place.devices,
            watch.seconds,
            fit_measure_seconds=watch.fit_measure_seconds,
            cold=cold,
            worker_rss_bytes=psutil.Process().memory_info().rss,
        )
    try:
        write_json(place.outcome(folder), outcome)
    except OSError as error:  # what is not on disk is lost to a resumed run, so it does not count in this one either
        traceback.print_exc()
        failure = Failure(
            stage="save",
            failure_class=_failure_class(error, workshop),
            reason=f"the outcome cannot be written: {_reason(error)}",
        )
        return outcome.model_copy(update={"result": failure})
    return outcome


def _result_or_failure(job: AnyJob, session: _Session) -> Result | Failure:
    watch, workshop = session.watch, session.workshop
    try:
        with session.stop.interrupting():
            return _result(job, session)
    except BaseException as error:  # noqa: BLE001 - the one place where everything becomes data
        traceback.print_exc()
        failure_class, reason = _failure_class(error, workshop), _reason(error)
        if isinstance(error, KeyboardInterrupt) and session.stop.asked:
            failure_class, reason = "interrupted", "the worker was asked to stop"
        if failure_class == "oom" and session.place.memory_bytes is not None:
            reason += f" (compute.memory_mb = {session.place.memory_bytes // 1_000_000} limits a worker)"
        return Failure(
            stage=watch.stage,
            failure_class=failure_class,
            reason=reason,
            usage=workshop.billed,
            whole_training_seconds=error.whole_seconds if isinstance(error, TooSlowError) else None,
        )


def _result(job: AnyJob, session: _Session) -> Result:
    watch, workshop = session.watch, session.workshop
    watch.stage = "load"
    _seed(job.seed)
    bench = _bench(job, session)
    loading, began = workshop.loading_seconds, time.monotonic()
    try:
        if isinstance(job, Fit | Refit):
            return _fit_and_measure(bench, job, session)
        if isinstance(job, Propose | Label):
            watch.stage = "fit"
            if session.place.rank > 0:
                return nothing_measured(bench, 0)  # one device answers
            if isinstance(job, Label):
                return label(bench, job, session.folder, workshop)
            return propose(bench, job, session.folder, workshop)
        return _load_and_measure(bench, job, session)
    finally:
        watch.fit_measure_seconds = time.monotonic() - began - (workshop.loading_seconds - loading)


def _bench(job: AnyJob, session: _Session) -> Bench:
    devices = session.place.devices
    family = session.workshop.family(job.model.family)
    folder = session.folder.resolve()
    family.begin(folder.parents[2], folder, job)
    metric = METRICS.new(job.metric.name, job.metric.settings)
    tick = _heartbeat(session.place.heartbeat(session.folder))
    metric.begin(Asking(folder.parents[2], f"{folder.parent.name}/{folder.name}", job.provider_usd_cap, tick))
    return Bench(
        job=job,
        run=folder.parents[2],
        devices=devices,
        metric=metric,
        meters=_meters(family, devices.accelerator, session.workshop),
        tick=tick,
    )


def _meters(family: ModelFamily, accelerator: str, workshop: Workshop) -> Meters:
    return Meters(family.meters(accelerator), workshop.bytes_at_start)


def _as_first_job(measurement: Measurement, job: AnyJob, place: Place, workshop: Workshop) -> Measurement:
    """The measurement with the peak memory that its job would have had as the first one of its process."""
    family = workshop.family(job.model.family)
    meters = _meters(family, place.devices.accelerator, workshop)
    peak = meters.peak_of_fresh_process(measurement.peak_memory_bytes, family.kept_bytes)
    return measurement.model_copy(update={"peak_memory_bytes": peak})


def _fit_and_measure(bench: Bench, job: FitJob, session: _Session) -> Measurement:
    place, watch = session.place, session.watch
    method = METHODS.get(job.candidate.method)
    if place.rank > 0 and not method.tunes:
        return nothing_measured(bench, 0)  # one rank is enough to ask a model that is not trained
    family = session.workshop.family(job.model.family)
    grouped = method.tunes and (place.world > 1 or job.training.engine == "deepspeed")
    if grouped:
        meeting = Path(place.meeting_file) if place.meeting_file else session.folder / f"meeting-{time.time_ns()}"
        family.join_group(place.rank, place.world, meeting, place.devices.accelerator)
    bench.meters.reset_peak_memory()
    watch.stage = "fit"
    examples, seconds = choose_examples(job, lambda: rows_of(bench.run, "train"), lambda: documents_of(bench.run))
    context = _context(bench, job, session, examples, (place.rank, place.world) if grouped else (0, 1))
    counter = energy_counter(place.devices.accelerator, place.devices.count)
    before = counter()
    adapted = method.fit(context, family.open(context, job.model))
    joules = joules_between(before, counter())
    try:
        session.stop.interrupt()
        adapted.training = with_examples(adapted.training, seconds, context.artifact)
        watch.stage = "measure"
        if place.rank > 0:
            return nothing_measured(bench, adapted.parameters_total)
        measurement = measure(bench, adapted, _training_joules(bench, job, method, joules))
        return with_recall(measurement, bench, examples)
    finally:
        adapted.close()


def _training_joules(bench: Bench, job: FitJob, method: Method, joules: float | None) -> float | None:
    """Energy of this trial's training so far; a prompt trains nothing."""
    if joules is None or not method.tunes:
        return None
    rung = job.rung if isinstance(job, Fit) else 0
    return add_training_joules(bench.state, rung, joules)


def _load_and_measure(
    bench: Bench, job: Score | LoadTest | TimeInTurn | OnnxTest | RobustnessTest, session: _Session
) -> Result:
    place, watch = session.place, session.watch
    if place.rank > 0:
        return nothing_measured(bench, 0)  # one device answers

    def load(folder: str = job.artifact_folder) -> Adapted:
        return load_artifact(bench.run / folder, session.workshop, place.devices, bench.tick)

    def load_beside(turn: Turn) -> tuple[Adapted, Meters]:
        session.workshop.drop()  # each gets a model of its own: an adapter would change that of another
        family = session.workshop.family(turn.family)
        return load(turn.artifact_folder), _meters(family, place.devices.accelerator, session.workshop)

    def load_worded(variant: Variant | None) -> Adapted:
        folder, workshop = bench.run / job.artifact_folder, session.workshop
        if variant is None:
            return load()
        return load_variant(folder, variant, bench.run, workshop, place.devices, bench.tick)

    bench.meters.reset_peak_memory()
    if isinstance(job, RobustnessTest):
        watch.stage = "measure"
        return robustness_test(bench, job, load_worded)
    if isinstance(job, TimeInTurn):
        watch.stage = "measure"
        return time_in_turn(bench, job, load_beside)
    if isinstance(job, OnnxTest):
        watch.stage = "measure"
        return onnx_test(bench, job, session.workshop, load)
    if isinstance(job, LoadTest):
        session.workshop.drop()
        watch.stage = "measure"
        return load_test(bench, job, load)
    adapted = load()
    try:
        watch.stage = "measure"
        return measure(bench, adapted)
    finally:
        adapted.close()


def _context(
    bench: Bench, job: FitJob, session: _Session, examples: Examples | None, rank_and_world: tuple[int, int]
) -> Context:
    artifact = bench.run / job.artifact_folder
    save = _in_stage_save(saver(job, artifact, examples), session.watch)
    rank, world = rank_and_world
    return dataclasses.replace(
        context_of(bench, job, artifact, save, examples),
        training_should_end=session.stop.training_should_end,
        rank=rank,
        world=world,
    )


def _in_stage_save(save: SaveArtifact, watch: _Watch) -> SaveArtifact:
    def saving(
        decoding: Decoding, weights: Weights = "none", fill: Callable[[Path], None] = lambda folder: None
    ) -> None:
        stage, watch.stage = watch.stage, "save"
        save(decoding, weights, fill)
        watch.stage = stage

    return saving


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


def _failure_class(error: BaseException, workshop: Workshop) -> FailureClass:
    if isinstance(error, JobFailedError):
        return error.failure_class
    if isinstance(error, FloatingPointError):
        return "nan"
    if isinstance(error, TooSlowError):
        return "timeout"
    if isinstance(error, UserError):
        return FAILURE_OF_EXIT.get(error.code, "config")
    if isinstance(error, ValidationError):
        return "config"
    if is_full_disk(error):
        return "disk"
    if isinstance(error, MemoryError):
        return "oom"
    if isinstance(error, OutOfMoneyError):
        return "budget"
    return workshop.failure_class(error) or "crash"


def _seed(seed: int) -> None:
    """Seeds the generators that a plug-in may draw from: a job repeats, and forked workers do not draw alike."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    explains_itself = isinstance(error, UserError | JobFailedError | FloatingPointError)
    return (text if explains_itself else f"{type(error).__name__}: {text}")[:500]
