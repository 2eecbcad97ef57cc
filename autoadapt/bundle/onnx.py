"""A bundle in ONNX, in fp32 or with weights of eight bits: made of one in PyTorch, and compared with it.

In fp32 it must answer as the run did. With eight bits it need not: it is scored anew, and what that has cost is stated.
"""

import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autoadapt.bundle.checking import answers_of, check, expected_answers
from autoadapt.bundle.description import ADAPTER_FOLDER, MODEL_FOLDER, Checked, OnnxFigures, Part, Scores
from autoadapt.bundle.documents import gguf_commands
from autoadapt.bundle.evaluating import row_stats
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.sources import Source
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices
from autoadapt.errors import Exit, UserError
from autoadapt.shelves import METRICS
from autoadapt.verdict.comparisons import paired
from autoadapt.verdict.intervals import interval
from autoadapt.worker.onnx_conversion import AGREEMENT, replace_by_onnx
from autoadapt.worker.workshop import Workshop

TIMED_INPUTS, ROUNDS, BATCH = 100, 5, 32


def needs_conversion(artifacts: Sequence[ArtifactDescription]) -> list[ArtifactDescription]:
    """Those of an option's artifacts that can be converted: classifiers on the states of a model.

    Raises:
        UserError: there are none.
    """
    found = [a for a in artifacts if a.fits_onnx]
    if not found:
        methods = " and ".join(sorted({f"{a.candidate.method} on {a.model.name}" for a in artifacts}))
        commands = "".join(f"\n  {command}" for command in gguf_commands("BUNDLE/model", "option"))
        raise UserError(
            f"{methods} cannot be converted: ONNX is for encoders and for classifiers on a model's states. Export it "
            f"as it is; of a model that writes or scores text, llama.cpp makes a small file then:{commands}"
        )
    return found


def convert(folder: Path, part: Part, int8: bool, workshop: Workshop) -> Part:
    """Replaces the weights of a part by ``model.onnx``.

    Args:
        folder: of the bundle.
        part: a classifier on the states of a model.
        int8: whether weights become integers of eight bits.
        workshop: that loads it.

    Raises:
        UserError: a package is missing, or the model cannot be converted.
    """
    replace_by_onnx(folder / part.folder / MODEL_FOLDER, workshop, int8)
    shutil.rmtree(folder / part.folder / ADAPTER_FOLDER, ignore_errors=True)  # it is merged, and fits no ONNX
    return part.model_copy(update={"kind": "onnx", "precision": "int8" if int8 else "fp32", "adapter_rank": None})


class Before:
    """What the bundle in PyTorch answers, and its models in memory, so that the one in ONNX is timed beside them.

    Args:
        source: what the bundle is made of.
        folder: of the bundle.
        devices: where it answers.
    """

    def __init__(self, source: Source, folder: Path, devices: Devices) -> None:
        self.texts = [row.input for row in source.rows]
        self.bytes = _bytes(folder)
        self.bundle = Bundle.load(folder, devices)
        self.log_probs = _log_probs(self.bundle, self.texts)

    def compared(self, folder: Path, devices: Devices, int8: bool) -> OnnxFigures:
        """Times both in turn, and compares their log-probabilities; closes both."""
        with self.bundle, Bundle.load(folder, devices) as after:
            largest = _largest_difference(self.log_probs, _log_probs(after, self.texts))
            single, rows = _times([self.bundle, after], self.texts)
        return OnnxFigures(
            int8=int8,
            threads=devices.threads,
            largest_difference=largest,
            torch_ms=single[0],
            onnx_ms=single[1],
            torch_rows_per_s=rows[0],
            onnx_rows_per_s=rows[1],
            bytes_before=self.bytes,
            bytes=_bytes(folder),
        )


def check_onnx(
    source: Source, folder: Path, devices: Devices, labels: Sequence[str], figures: OnnxFigures
) -> tuple[Checked, Scores, OnnxFigures]:
    """Checks a bundle in ONNX: in fp32 it must answer as the run did, with eight bits it is scored anew.

    Args:
        source: what the bundle was made of.
        folder: of the bundle.
        devices: where it answers.
        labels: of the task.
        figures: of the comparison with PyTorch.

    Raises:
        UserError: in fp32 an answer differs, or a log-probability by more than `AGREEMENT`.
    """
    if not figures.int8:
        if figures.largest_difference is not None and figures.largest_difference > AGREEMENT:
            raise UserError(
                f"ONNX gives log-probabilities that differ by up to {figures.largest_difference:.2g} from those of "
                f"PyTorch (at most {AGREEMENT:g}), so that it was not exported",
                Exit.DATA,
            )
        return check(source, folder, devices, labels), source.quality, figures
    expected = expected_answers(source.parts, source.cascade, labels)
    answers = answers_of(folder, [row.input for row in source.rows], devices)
    task = source.study.task
    metric = METRICS.new(task.metric.name, task.metric.settings)
    before, after = (row_stats(metric, source.rows, given, labels) for given in (expected, answers))
    low, high = interval(metric, after)
    compared = paired(metric, after, before, (1, 0))
    split = source.parts[0].split
    equal = sum(a == b for a, b in zip(answers, expected, strict=True))
    lost = {"difference": compared.difference, "low": compared.low, "high": compared.high}
    return (
        Checked(split=split, rows=len(expected), equal=equal),
        Scores(split=split, value=metric.value(after), low=low, high=high, rows=len(after)),
        figures.model_copy(update=lost),
    )


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _log_probs(bundle: Bundle, texts: Sequence[str]) -> list[tuple[float, ...]]:
    """Of every part, one part after the other; those of sets of labels are not known."""
    return [answer.log_probs for part in bundle.parts for answer in part.answer(texts)]


def _largest_difference(before: Sequence[tuple[float, ...]], after: Sequence[tuple[float, ...]]) -> float | None:
    differences = [abs(a - b) for one, two in zip(before, after, strict=True) for a, b in zip(one, two, strict=True)]
    return max(differences, default=None)


def _times(bundles: Sequence[Bundle], texts: Sequence[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of a single request, and rows per second in batches, of each bundle; taken in turn."""
    inputs = list(texts[:TIMED_INPUTS])
    single: list[list[float]] = [[] for _ in bundles]
    batches: list[list[float]] = [[] for _ in bundles]
    for bundle in bundles:
        bundle.predict(inputs[:BATCH])
    for _ in range(ROUNDS):
        order = random.sample(range(len(bundles)), len(bundles))
        for number in order:
            single[number] += [_seconds(bundles[number].predict, [text]) * 1000 for text in inputs]
        for number in order:
            batches[number].append(_seconds(bundles[number].predict, inputs[:BATCH]))
    rows = len(inputs[:BATCH])
    return [statistics.median(times) for times in single], [rows / statistics.median(times) for times in batches]


def _seconds(predict: Callable[[Sequence[Any]], Any], texts: Sequence[str]) -> float:
    begun = time.perf_counter()
    predict(texts)
    return time.perf_counter() - begun
