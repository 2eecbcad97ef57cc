"""One option in ONNX: converted, compared with PyTorch answer by answer, timed in turn with it, and under load."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autoadapt.domain.jobs import TURN_REQUESTS, OnnxTest
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.outcome import OnnxTimes
from autoadapt.worker.load import load_test
from autoadapt.worker.measuring import WARM_UP_REQUESTS, Bench, JobFailedError
from autoadapt.worker.onnx_conversion import AGREEMENT, copy_to_onnx
from autoadapt.worker.onnx_part import OnnxPart
from autoadapt.worker.workshop import Workshop

BATCH, ROUNDS = 32, 5
"""Rows of a batch, and how many batches time either form."""
LEAST_ROUNDS = 2
COMPARED_ROWS = 100


def onnx_test(bench: Bench, job: OnnxTest, workshop: Workshop, load: Callable[[], Adapted]) -> OnnxTimes:
    """Tries an option in ONNX.

    Args:
        bench: what to measure with.
        job: states the requests and the longest time of measuring.
        workshop: of this process; its models are dropped while the model is converted.
        load: loads the option in PyTorch.

    Raises:
        UserError: the artifact is damaged, a package is missing, or the model cannot be converted.
        JobFailedError: its answers differ from those of PyTorch, or there was no time to compare the two.
    """
    with tempfile.TemporaryDirectory(prefix=".onnx-", suffix=".tmp", dir=bench.state) as name:
        folder = Path(name)
        workshop.drop()
        copy_to_onnx(bench.run / job.artifact_folder, folder, workshop, bench.devices)
        bench.tick()
        deadline = time.monotonic() + job.seconds
        inputs = [row.input for row in bench.rows()]
        forms = {"torch": load(), "onnx": OnnxPart(folder, bench.devices)}
        try:
            largest = _compared(forms, inputs[:COMPARED_ROWS])
            turns = _Turns(bench, forms, inputs, deadline)
            rows = turns.row_seconds()
            single = turns.single_ms(job.single_requests)
        finally:
            for adapted in forms.values():
                adapted.close()
            workshop.drop()
        left = deadline - time.monotonic()
        load_job = job.model_copy(update={"seconds": max(left, 1e-3)})
        loaded = load_test(bench, load_job, lambda: OnnxPart(folder, bench.devices)) if job.requests else None
        return OnnxTimes(
            rows=len(inputs[:COMPARED_ROWS]),
            largest_difference=largest,
            torch_ms=single["torch"],
            onnx_ms=single["onnx"],
            torch_row_seconds=rows["torch"],
            onnx_row_seconds=rows["onnx"],
            onnx_bytes=sum(file.stat().st_size for file in folder.glob("model.onnx*")),
            load=loaded,
        )


def _compared(forms: dict[str, Adapted], inputs: Sequence[str]) -> float | None:
    """The largest difference of a log-probability; None: they are not known."""
    answers = {name: _answers(adapted, inputs) for name, adapted in forms.items()}
    pairs = list(zip(answers["torch"], answers["onnx"], strict=True))
    differences = [abs(a - b) for one, two in pairs for a, b in zip(one.log_probs, two.log_probs, strict=True)]
    largest = max(differences, default=None)
    if largest is not None and largest > AGREEMENT:
        differ = f"log-probabilities in ONNX differ by up to {largest:.2g} from those in PyTorch"
        advice = "on a machine that computes in bf16, compute.precision: fp32 makes them comparable"
        raise JobFailedError("data", f"{differ} (at most {AGREEMENT:g}); {advice}")
    unequal = sum(one.text != two.text for one, two in pairs)
    if unequal:
        raise JobFailedError("data", f"{unequal} of {len(pairs)} answers in ONNX differ from those in PyTorch")
    return largest


def _answers(adapted: Adapted, inputs: Sequence[str]) -> list[Answer]:
    return [answer for i in range(0, len(inputs), BATCH) for answer in adapted.answer(inputs[i : i + BATCH])]


class _Turns:
    """Times both forms in turn, in whole rounds, as many as there is time for.

    Args:
        bench: what to measure with.
        forms: by name.
        inputs: texts asked, used again when they run out.
        deadline: moment of the monotonic clock.
    """

    def __init__(self, bench: Bench, forms: dict[str, Adapted], inputs: Sequence[str], deadline: float) -> None:
        self._bench, self._forms, self._inputs, self._deadline = bench, forms, inputs, deadline

    def row_seconds(self) -> dict[str, float]:
        """Seconds of a row in a batch: the median over rounds."""
        batch = [self._inputs[i % len(self._inputs)] for i in range(BATCH)]
        taken: dict[str, list[float]] = {name: [] for name in self._forms}

        def one_round(number: int) -> None:
            for name in self._order(number):
                taken[name].append(self._seconds(name, batch) / BATCH)

        one_round(0)  # memory for it is allocated
        self._rounds(one_round, ROUNDS, LEAST_ROUNDS)
        return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}

    def single_ms(self, requests: int) -> dict[str, list[float]]:
        """Milliseconds of single requests, a few at a time, after one that does not count."""
        taken: dict[str, list[float]] = {name: [] for name in self._forms}
        for name in self._forms:
            for text in self._inputs[:WARM_UP_REQUESTS]:
                self._seconds(name, [text])

        def one_round(number: int) -> None:
            first = number * TURN_REQUESTS
            texts = [self._inputs[i % len(self._inputs)] for i in range(first, min(first + TURN_REQUESTS, requests))]
            for name in self._order(number):
                self._seconds(name, texts[:1])
                taken[name] += [1000 * self._seconds(name, [text]) for text in texts]

        self._rounds(one_round, -(-requests // TURN_REQUESTS), LEAST_ROUNDS)
        return taken

    def _rounds(self, one_round: Callable[[int], None], most: int, least: int) -> None:
        longest = 0.0
        for number in range(most):
            begun = time.monotonic()
            if begun + longest > self._deadline:
                if number < min(least, most):
                    raise JobFailedError("timeout", "there was no time to compare ONNX with PyTorch")
                return
            one_round(number)
            self._bench.tick()
            longest = max(longest, time.monotonic() - begun)

    def _order(self, number: int) -> list[str]:
        """Each form is first as often as the other."""
        names = list(self._forms)
        return names if number % 2 == 0 else names[::-1]

    def _seconds(self, name: str, texts: Sequence[str]) -> float:
        return self._bench.meters.timed(lambda: self._forms[name].answer(texts))[1]
