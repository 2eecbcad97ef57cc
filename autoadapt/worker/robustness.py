"""One option on perturbed prompts and rows: loaded once as it is, and once for every other wording of its prompt."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices, RobustnessTest, seed_of
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.outcome import Perturbed
from autoadapt.domain.robustness import ROW_KINDS, Variant, VariantScores
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import PromptChoices
from autoadapt.domain.usage import Usage
from autoadapt.errors import Exit, UserError
from autoadapt.files import write_atomic
from autoadapt.prompts.spellings import spelled
from autoadapt.worker.artifacts import placed, read_description
from autoadapt.worker.examples import Reordered, redrawn_examples, stored_examples
from autoadapt.worker.measuring import Bench, JobFailedError, billed_usage, rows_of, scores_of
from autoadapt.worker.workshop import Workshop

PREDICTIONS_FILE = "predictions-perturbed.jsonl"
"""Answers under every variant, in the folder of the trial."""
Load = Callable[[Variant | None], Adapted]
"""Loads the option under another wording of its prompt; None: as it is."""


def robustness_test(bench: Bench, job: RobustnessTest, load: Load) -> Perturbed:
    """Answers the job's rows under each of its variants, as many as there is time for.

    A variant under which too many prompts do not fit into the context, or that the server refuses, is left out.

    Args:
        bench: what to measure with.
        job: states rows, variants and the longest time.
        load: loads the option.

    Raises:
        JobFailedError: no variant counts.
    """
    deadline, longest = time.monotonic() + job.seconds, 0.0
    answering, left_out = _Answering(bench, job, load), dict[str, str]()
    try:
        for variant in job.variants:
            begun = time.monotonic()
            if answering.done and begun + longest > deadline:
                left_out[variant.name] = "there was no time for it"
                continue
            try:
                answering.answer(variant)
            except JobFailedError as error:
                if error.failure_class not in ("config", "context"):
                    raise
                left_out[variant.name] = str(error)
            except UserError as error:
                if error.code != Exit.CONFIG:
                    raise  # the artifact is damaged, the server is gone, or the money is spent
                left_out[variant.name] = str(error)
            bench.tick()
            longest = max(longest, time.monotonic() - begun)
    finally:
        answering.close()
    if not answering.done:
        raise JobFailedError("config", "; ".join(f"{name}: {why}" for name, why in left_out.items()))
    answering.write_predictions()
    return Perturbed(rows=job.rows, variants=answering.done, left_out=left_out, usage=answering.usage)


class _Answering:
    """Answers variants of one option.

    Args:
        bench, job, load: as of `robustness_test`.
    """

    def __init__(self, bench: Bench, job: RobustnessTest, load: Load) -> None:
        self._bench, self._job, self._load = bench, job, load
        self._rows = bench.rows()
        self._as_it_is: Adapted | None = None
        self._lines: list[str] = []
        self.done: list[VariantScores] = []
        self.usage = Usage()

    def answer(self, variant: Variant) -> None:
        """Answers and scores one variant.

        Raises:
            JobFailedError: its numbers may not be used.
            UserError: its prompt cannot be asked.
        """
        if variant.kind in ROW_KINDS:
            if self._as_it_is is None:
                self._as_it_is = self._load(None)
            inputs = [spelled(row, variant, self._job.input_columns) for row in self._rows]
            self._score(variant, self._as_it_is, inputs)
            return
        adapted = self._load(variant)
        try:
            self._score(variant, adapted, [row.input for row in self._rows])
        finally:
            adapted.close()

    def _score(self, variant: Variant, adapted: Adapted, inputs: Sequence[str]) -> None:
        adapted.prepare(inputs)
        answers = adapted.answer(inputs)
        self.usage = self.usage.plus(billed_usage(answers))
        # a judge reads the rows as they were asked
        rows = [row.model_copy(update={"input": text}) for row, text in zip(self._rows, inputs, strict=True)]
        scores = scores_of(self._bench, rows, answers)
        self.usage = self.usage.plus(scores.usage)
        self.done.append(VariantScores(kind=variant.kind, name=variant.name, stats=scores.stats))
        self._lines += [_line(variant, *each) for each in zip(rows, answers, scores.stats, strict=True)]

    def write_predictions(self) -> None:
        """Writes the answers beside those to the rows as they are."""
        write_atomic(self._bench.state / PREDICTIONS_FILE, "".join(self._lines))

    def close(self) -> None:
        """Closes the option as it is."""
        if self._as_it_is is not None:
            self._as_it_is.close()


def _line(variant: Variant, row: Row, answer: Answer, stats: Sequence[float]) -> str:
    line: dict[str, Any] = {"variant": variant.name, "id": row.id, "score": round(stats[0], 6), "answer": answer.text}
    return json.dumps(line, ensure_ascii=False) + "\n"


def load_variant(
    folder: Path, variant: Variant, run: Path, workshop: Workshop, devices: Devices, tick: Callable[[], None]
) -> Adapted:
    """Loads a prompted option under another wording of its prompt.

    Args:
        folder: of its artifact.
        variant: what is different.
        run: folder with the training rows, from which examples are drawn.
        workshop: holds the families of this process.
        devices: where it shall answer.
        tick: called while progress is made.

    Raises:
        UserError: the artifact is damaged, or its model cannot be asked so.
    """
    description = placed(folder, read_description(folder))
    prompt = {key: text for key in ("template", "instruction") if (text := getattr(variant, key)) is not None}
    changes: dict[str, Any] = {"prompt": description.prompt.model_copy(update=prompt)}
    if variant.labels is not None:
        changes["labels"] = variant.labels
    description = description.model_copy(update=changes)
    select = _examples(folder, description, variant, run)
    return workshop.family(description.model.family).load(folder, description, devices, tick, select)


def _examples(folder: Path, description: ArtifactDescription, variant: Variant, run: Path) -> PromptChoices | None:
    few_shot = description.few_shot
    if few_shot is not None and variant.kind == "shot_draw":
        seed = seed_of(few_shot.seed, variant.seed)
        return redrawn_examples(folder, description, seed, rows_of(run, "train"))
    examples = stored_examples(folder, description)
    return examples if examples is None or variant.order is None else Reordered(examples, variant.order)
