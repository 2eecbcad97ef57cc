"""From an adapted model to a Measurement: answers to all rows of a split, their scores, and single requests timed."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoadapt.domain.documents import Document
from autoadapt.domain.jobs import MOST_TRUNCATED, AnyJob, Devices, Fit, FitJob, Label, LoadBase, Propose, TimeInTurn
from autoadapt.domain.method import Adapted, Answer, Context, SaveArtifact, TimesItself, Training
from autoadapt.domain.metric import Metric, Scores, answered_rows
from autoadapt.domain.outcome import FailureClass, Measurement, RowResult
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.domain.teacher import LABELS_FILE, TEACHER
from autoadapt.domain.usage import Usage, total_usage
from autoadapt.files import read_rows, write_atomic
from autoadapt.passage_search import DOCUMENTS_FILE, read_documents
from autoadapt.worker.energy import energy_counter, joules_between
from autoadapt.worker.meters import Meters
from autoadapt.worker.standards import dominating

WARM_UP_REQUESTS = 3


class JobFailedError(Exception):
    """A job whose numbers may not be used, with its class."""

    def __init__(self, failure_class: FailureClass, reason: str) -> None:
        super().__init__(reason)
        self.failure_class = failure_class


@dataclass(frozen=True)
class Bench:
    """What a job measures with."""

    job: AnyJob
    run: Path
    """The run folder."""
    devices: Devices
    metric: Metric
    meters: Meters
    tick: Callable[[], None]

    @property
    def split(self) -> str:
        """The split whose rows are answered."""
        return "validation" if isinstance(self.job, Fit | LoadBase | TimeInTurn) else "test"

    def rows(self) -> list[Row]:
        """The rows that this job answers."""
        if isinstance(self.job, Propose):
            raise TypeError("writing an instruction answers rows that its proposer chooses")
        if isinstance(self.job, Label):
            raise TypeError("rows without an answer are labelled, not measured")
        count = self.job.fidelity.rows if isinstance(self.job, Fit) else self.job.rows
        return rows_of(self.run, self.split, count)

    @property
    def state(self) -> Path:
        """Folder for what outlives the job."""
        return self.run / self.job.state_folder


class SingleRequests:
    """Single requests, one after the other, after warm-up: the k-th asks row k, and after the last row again the first.

    A model behind a server times its requests itself: a request that was sent before is not sent again, and its time is
    the one that was seen then.

    Args:
        bench: what to measure with.
        adapted: what answers.
        inputs: texts asked.
    """

    def __init__(self, bench: Bench, adapted: Adapted, inputs: Sequence[str]) -> None:
        self._bench, self._adapted, self._inputs = bench, adapted, inputs
        job = bench.job
        self.wanted = job.fidelity.latency_requests if isinstance(job, Fit) else getattr(job, "latency_requests", 0)
        """Requests that the job asks for."""
        self.latency_ms: list[float] = []
        self._warm_up: list[Answer] = []
        self._answers: list[Answer] = []

    @property
    def tokens_out(self) -> list[int]:
        """Tokens written for each."""
        return [answer.tokens_out for answer in self._answers]

    @property
    def billed(self) -> Usage:
        """What a server billed for all of them, warm-up included."""
        return billed_usage([*self._warm_up, *self._answers])

    def send(self, count: int) -> None:
        """Sends further requests.

        Raises:
            JobFailedError: the clock cannot be trusted.
        """
        if count and not self._warm_up:
            self._warm_up = [a for text in self._inputs[:WARM_UP_REQUESTS] for a in self._adapted.answer([text])]
        for i in range(len(self.latency_ms), len(self.latency_ms) + count):
            text = self._inputs[i % len(self._inputs)]
            if isinstance(self._adapted, TimesItself):
                alone = self._adapted.answer_alone(text, i // len(self._inputs))
                answers, seconds = [alone], alone.done_s
            else:
                answers, seconds = self._bench.meters.timed(lambda text=text: self._adapted.answer([text]))  # type: ignore[misc]
            self.latency_ms.append(seconds * 1000)
            self._answers += answers
        if not all(0 < sample < math.inf for sample in self.latency_ms):
            raise JobFailedError("nan", "a latency of zero or less was measured: the clock cannot be trusted")


def rows_of(run: Path, split: str, limit: int | None = None) -> list[Row]:
    """Rows of a split frozen in the run folder, in its fixed order; those of a teacher as they were labelled."""
    return read_rows(run / LABELS_FILE if split == TEACHER else run / "data" / f"{split}.jsonl", limit)


def documents_of(run: Path) -> list[Document]:
    """The documents frozen in the run folder."""
    return read_documents(run / "data" / DOCUMENTS_FILE)


def context_of(bench: Bench, job: FitJob, artifact: Path, save: SaveArtifact, select: Select | None) -> Context:
    """What a method and a model are given that work alone.

    Args:
        bench: the run, its metric and devices.
        job: that adapts or asks a model.
        artifact: folder of the option.
        save: writes it.
        select: examples and what else prompts show of the task.
    """

    def rows(split: str, limit: int | None = None) -> list[Row]:
        return rows_of(bench.run, split, limit)

    return Context(
        job=job,
        state=bench.state,
        run=bench.run,
        artifact=artifact,
        devices=bench.devices,
        tick=bench.tick,
        rows=rows,
        save_artifact=save,
        metric=bench.metric,
        select=select,
    )


def measure(bench: Bench, adapted: Adapted, training_joules: float | None = None) -> Measurement:
    """Answers the job's rows, scores the answers and times single requests.

    Args:
        bench: what to measure with.
        adapted: what answers.
        training_joules: energy that training drew, earlier rungs included; None: not known.

    Raises:
        JobFailedError: the numbers may not be used.
    """
    rows = bench.rows()
    inputs = [row.input for row in rows]
    shared = adapted.prepare(inputs)
    counter = energy_counter(bench.devices.accelerator)
    before = counter()
    answers, seconds = bench.meters.timed(lambda: adapted.answer(inputs))
    joules = joules_between(before, counter())
    scores = scores_of(bench, rows, answers)
    results = _row_results(rows, answers, scores)
    _write_predictions(bench, rows, answers, results)
    training = adapted.training
    measurement = Measurement(
        rows=results,
        **_counts(rows, answers),
        training=_training_usage(bench.devices, training, training_joules),
        instruction_usage=bench.job.instruction_usage if isinstance(bench.job, Fit) else Usage(),
        labels_usage=bench.job.labels_usage if isinstance(bench.job, Fit) else Usage(),
        answering=_answering_usage(bench.devices, answers, shared, seconds, joules),
        judging=scores.usage,
        train_seconds=training.seconds,
        train_steps=training.steps,
        train_steps_planned=training.steps_planned,
        train_tokens=training.tokens,
        train_loss=list(training.loss),
        train_step_seconds=training.step_seconds,
        stopped_early=training.stopped_early,
        inference_seconds=seconds,
        latency_ms=[],
        tokens_shared=shared,
        prefix_cache=shared > 0,
        peak_memory_bytes=bench.meters.peak_memory(),
        artifact_bytes=training.artifact_bytes,
        parameters_trained=training.parameters_trained,
        parameters_total=adapted.parameters_total,
    )
    return _timed(bench, SingleRequests(bench, adapted, inputs), measurement)


def _timed(bench: Bench, single: SingleRequests, measurement: Measurement) -> Measurement:
    """The measurement with single requests timed: few of a candidate that a known option dominates, else all."""
    count, standards, tail = single.wanted, None, 1.0
    if isinstance(bench.job, Fit) and bench.job.standards is not None and bench.job.standards.requests < count:
        standards = bench.job.standards
    single.send(standards.requests if standards is not None else count)
    if standards is not None:
        option = dominating(standards, measurement.model_copy(update={"latency_ms": single.latency_ms}), bench.metric)
        tail = 1.0 if option is None else option.tail
        if option is None:
            single.send(count - standards.requests)
    timed = {
        "latency_ms": single.latency_ms,
        "latency_tail": tail,
        "tokens_out_latency": single.tokens_out if bench.job.writes else [],
        "timing": single.billed,
        "waited_share": bench.meters.waited_share,
        "peak_memory_bytes": bench.meters.peak_memory(),
    }
    return measurement.model_copy(update=timed)


def _row_results(rows: Sequence[Row], answers: Sequence[Answer], scores: Scores) -> list[RowResult]:
    return [
        RowResult(
            id=row.id,
            stats=stats,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            confidence=None if answer.confidence is None else round(answer.confidence, 6),
        )
        for row, answer, stats in zip(rows, answers, scores.stats, strict=True)
    ]


def _counts(rows: Sequence[Row], answers: Sequence[Answer]) -> dict[str, Any]:
    """What the answers to rows say of themselves, summed up in the fields of a measurement."""
    return {
        "rows_truncated": sum(answer.truncated for answer in answers),
        "rows_failed": sum(answer.failed for answer in answers),
        "rows_unusable": sum(answer.unusable for answer in answers),
        "retries": sum(answer.retries for answer in answers),
        "shortlist_recall": _recall(rows, answers),
        "served_by": sorted({answer.served_by for answer in answers} - {""}),
        "from_cache": total_usage(a.usage for a in answers if a.cached and a.usage is not None),
    }


def _recall(rows: Sequence[Row], answers: Sequence[Answer]) -> float | None:
    """Share of the rows whose right label was offered; None: all labels are offered."""
    if not all(answer.offered for answer in answers):
        return None
    return sum(not set(row.outputs).isdisjoint(a.offered) for row, a in zip(rows, answers, strict=True)) / len(rows)


def nothing_measured(bench: Bench, parameters_total: int) -> Measurement:
    """What a rank reports that has only helped to train: its leader measures."""
    return Measurement(
        rows=[],
        inference_seconds=0.0,
        latency_ms=[],
        peak_memory_bytes=bench.meters.peak_memory(),
        parameters_total=parameters_total,
    )


def scores_of(bench: Bench, rows: Sequence[Row], answers: Sequence[Answer]) -> Scores:
    """The metric's statistics of answers.

    Raises:
        JobFailedError: too many prompts were shortened, or the metric gave a number that is not finite.
    """
    truncated = sum(answer.truncated for answer in answers)
    prompted = "template" in bench.job.candidate.params  # others read the beginning of an input, as they will in use
    if prompted and truncated > MOST_TRUNCATED * len(rows):
        raise JobFailedError(
            "context", f"the prompt of {truncated} of {len(rows)} rows does not fit the model's context: fewer shots?"
        )
    scores = bench.metric.score(answered_rows(rows, [answer.text for answer in answers], bench.job.labels))
    if not all(math.isfinite(number) for stats in scores.stats for number in stats):
        raise JobFailedError("nan", "the metric gave a number that is not finite")
    return scores


def billed_usage(answers: Iterable[Answer]) -> Usage:
    """What servers billed for answers now; nothing of a model on this machine or of answers that were kept."""
    return total_usage(answer.usage for answer in answers if answer.usage is not None and not answer.cached)


def _training_usage(devices: Devices, training: Training, joules: float | None) -> Usage:
    if training == Training(artifact_bytes=training.artifact_bytes):  # nothing was trained
        return Usage()
    seconds = training.seconds + training.preparing_seconds
    tokens = training.tokens + training.preparing_tokens
    return Usage(device_seconds={devices.kind: seconds * devices.count}, tokens_in=tokens, joules=joules)


def _answering_usage(
    devices: Devices, answers: Sequence[Answer], shared: int, seconds: float, joules: float | None
) -> Usage:
    """Of a model on this machine: one device and its tokens; of a remote one: what the server billed."""
    billed = [answer.usage for answer in answers if answer.usage is not None]
    if billed:
        return total_usage(billed)
    cached = sum(min(shared, answer.tokens_in) for answer in answers)
    return Usage(
        device_seconds={devices.kind: seconds},
        tokens_in=sum(answer.tokens_in for answer in answers) - cached,
        tokens_cached=cached,
        tokens_out=sum(answer.tokens_out for answer in answers),
        joules=joules,
    )


def _write_predictions(
    bench: Bench, rows: Sequence[Row], answers: Sequence[Answer], results: Sequence[RowResult]
) -> None:
    lines = []
    for row, answer, result in zip(rows, answers, results, strict=True):
        line: dict[str, Any] = {
            "id": row.id,
            "score": round(result.stats[0], 6),
            "answer": answer.text,
            "expected": row.outputs,
        }
        if answer.log_probs:
            line["log_probs"] = [round(number, 4) for number in answer.log_probs]
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    bench.state.mkdir(parents=True, exist_ok=True)
    write_atomic(bench.state / f"predictions-{bench.split}.jsonl", "".join(lines))
