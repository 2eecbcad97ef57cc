"""Lengths of prompts in tokens, counted before anything is run; imports no torch."""

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoadapt.domain.documents import Retrieval
from autoadapt.domain.jobs import MOST_TRUNCATED, Fit
from autoadapt.domain.method import Decoding
from autoadapt.domain.rows import Row
from autoadapt.local_models.texts import ROWS_PER_BATCH, TOKENS_PER_BATCH, Encoded, batches
from autoadapt.model_files import tokenizer_of
from autoadapt.passage_search import sampled
from autoadapt.prompts.rendering import Prompt
from autoadapt.shelves import selector_of

COUNTED_ROWS = 300
"""Rows whose prompts are counted to see whether they fit."""
SAMPLED_ROWS = 100
"""Rows from which the mean length of an example and the size of a batch are taken."""
SAMPLED_INPUTS = 20
"""Inputs whose passages are counted."""
KEPT = 512
"""Counts of so many prompts are kept."""
REASONING = ("reasoning", "reasoning_tokens")


@dataclass(frozen=True)
class _Asking:
    """How rows are asked, whatever the candidate's other parameters are: what the lengths of its prompts depend on."""

    folder: Path
    template: str
    instruction: str
    labels: tuple[str, ...]
    multi_label: bool

    @property
    def prompt(self) -> Prompt:
        return Prompt(self.template, self.instruction, list(self.labels), self.multi_label)


def _asking(folder: Path, job: Fit, longest: bool) -> _Asking:
    """How the rows of a job are asked; of the labels that it offers for each row, the longest or the shortest."""
    labels = tuple(job.labels or ())
    if job.labels_offered:
        by_length = sorted(labels, key=len, reverse=longest)[: job.labels_offered]
        labels = tuple(label for label in labels if label in by_length)
    return _Asking(folder, job.prompt.template, job.prompt.instruction, labels, job.multi_label)


def _pool(training: Sequence[Row]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Inputs and answers of the rows from which the length of an example is taken."""
    return tuple((row.input, tuple(row.outputs)) for row in training[:SAMPLED_ROWS])


def too_long(
    folder: Path,
    context_length: int,
    job: Fit,
    training: Sequence[Row],
    asked: Sequence[Row],
    documents: Sequence[Row] = (),
) -> str | None:
    """Why a job's prompts do not fit the context; None: they do, or it cannot be known.

    The zero-shot prompt is counted for every row; examples add the mean length of those in a sample, and so do passages
    of documents. What a chat template adds is not counted, so that nothing is refused which would have fitted. Counts
    are kept, because this is asked for hundreds of candidates that differ in how they are trained and not in their
    prompts.

    Args:
        folder: of the model.
        context_length: in tokens, prompt and answer together.
        job: whose candidate's `shots` and prompt are counted.
        training: rows that examples come from.
        asked: rows that are answered.
        documents: a sample of those of the task, each the input of a row.
    """
    tokenizer = tokenizer_of(folder)
    if tokenizer is None or not asked:
        return None
    shots = int(job.candidate.params.get("shots") or 0)
    asking = _asking(folder, job, longest=False)
    room = _longest(folder, tuple(job.scored_labels)) if job.scored_labels else job.max_new_tokens
    room += _reasoning(job)
    lengths = _zero_shot_lengths(asking, tuple(row.input for row in asked[:COUNTED_ROWS]))
    more = _passages_length(asking, job.retrieval, _texts(documents)) if job.retrieval and documents else 0.0
    if shots and training:
        more += shots * _example_length(asking, _pool(training))
    over = sum(length + more + room > context_length for length in lengths)
    if over <= MOST_TRUNCATED * len(lengths):
        return None
    longest = max(lengths) + more + room
    shown = f"{shots} shots" + (f", {job.retrieval.passages} passages" if job.retrieval else "")
    return (
        f"{job.candidate.method} on {job.candidate.model} with {shown} and template "
        f"'{job.candidate.params.get('template')}': {over / len(lengths):.0%} of the prompts are longer than the "
        f"context of {context_length} tokens (the longest has about {longest:.0f})"
    )


def largest_batch(
    folder: Path,
    job: Fit,
    training: Sequence[Row],
    asked: Sequence[Row],
    accelerator: str,
    documents: Sequence[Row] = (),
) -> tuple[int, int]:
    """Texts side by side, and tokens of each, of the batch of which a model keeps most keys and values.

    Lengths are those of `too_long`. Each text of a batch keeps the tokens that all prompts share too. Where lengths
    cannot be counted, a batch is as large as it may be.

    Args:
        folder: of the model.
        job: whose candidate's `shots`, selector and prompt are counted.
        training: rows that examples come from.
        asked: rows that are answered.
        accelerator: on which they are.
        documents: a sample of those of the task.
    """
    if tokenizer_of(folder) is None or not asked:
        return ROWS_PER_BATCH[accelerator], TOKENS_PER_BATCH[accelerator] // ROWS_PER_BATCH[accelerator]
    params, labels = job.candidate.params, job.scored_labels
    beams = 1 if labels else int(params.get("num_beams") or 1)
    asking = _asking(folder, job, longest=True)
    written = (sum(_counts(folder, asking.labels)) if labels else job.max_new_tokens) + _reasoning(job)
    shots = int(params.get("shots") or 0)
    examples = shots * _example_length(asking, _pool(training)) if shots and training else 0.0
    shared = 0.0
    # computed once for all prompts; nearest examples differ from row to row
    if labels and not job.labels_offered and not _reasoning(job):
        varies = not selector_of(params).same_for_every_query
        shared = _zero_shot_lengths(asking, ("",))[0] + (0.0 if varies else examples)
    counted = _zero_shot_lengths(asking, tuple(row.input for row in asked[:COUNTED_ROWS]))
    found = _passages_length(asking, job.retrieval, _texts(documents)) if job.retrieval and documents else 0.0
    sample = [math.ceil(n + examples + found) for n in counted[:SAMPLED_ROWS]]
    count = job.fidelity.rows * int(params.get("samples") or 1)
    texts = [Encoded([0] * sample[i % len(sample)], False) for i in range(count)]
    sizes = (
        (len(batch) * beams, max(len(texts[i].ids) for i in batch) + written)
        for batch in batches(
            texts, accelerator, written * beams, int(shared), generates=not labels or _reasoning(job) > 0
        )
    )
    return max(sizes, key=math.prod)


def _reasoning(job: Fit) -> int:
    """Tokens that a job's candidate may write before its answer."""
    params = {name: job.candidate.params[name] for name in REASONING if name in job.candidate.params}
    return Decoding.model_validate(params).reasoning_room


@functools.lru_cache(maxsize=KEPT)
def _longest(folder: Path, texts: tuple[str, ...]) -> int:
    """Tokens of the longest of several texts."""
    return max(_counts(folder, texts))


@functools.lru_cache(maxsize=KEPT)
def _zero_shot_lengths(asking: _Asking, inputs: tuple[str, ...]) -> tuple[int, ...]:
    """Tokens of the prompt of each input without examples."""
    prompt = asking.prompt
    return tuple(_counts(asking.folder, [prompt.render(text) for text in inputs]))


@functools.lru_cache(maxsize=KEPT)
def _example_length(asking: _Asking, examples: tuple[tuple[str, tuple[str, ...]], ...]) -> float:
    """Tokens that an example adds to a prompt, on average."""
    prompt = asking.prompt
    rows = [Row(id=i, input=text, outputs=list(outputs)) for i, (text, outputs) in enumerate(examples)]
    bare = _counts(asking.folder, [prompt.render("x")])[0]
    return statistics.mean(n - bare for n in _counts(asking.folder, [prompt.render("x", [row]) for row in rows]))


def _texts(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(row.input for row in rows)


@functools.lru_cache(maxsize=KEPT)
def _passages_length(asking: _Asking, retrieval: Retrieval, documents: tuple[str, ...]) -> float:
    """Tokens that the passages of an input add to its prompt, on average."""
    prompt = asking.prompt
    bare = _counts(asking.folder, [prompt.render("x")])[0]
    shown = [prompt.render("x", passages=some) for some in sampled(documents, retrieval, SAMPLED_INPUTS)]
    return statistics.mean(n - bare for n in _counts(asking.folder, shown))


def _counts(folder: Path, texts: Sequence[str]) -> list[int]:
    tokenizer = tokenizer_of(folder)
    if tokenizer is None:
        raise FileNotFoundError(folder)
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
