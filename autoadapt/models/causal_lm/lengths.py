"""Lengths of prompts in tokens, counted before anything is run; imports no torch."""

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from autoadapt.domain.jobs import MOST_TRUNCATED, Fit
from autoadapt.domain.rows import Row
from autoadapt.prompts.rendering import Prompt

SAMPLED_ROWS = 100
"""Rows whose prompts are counted, and from which the mean length of an example is taken."""
KEPT = 512
"""Counts of so many prompts are kept."""


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


def too_long(folder: Path, context_length: int, job: Fit, training: Sequence[Row], asked: Sequence[Row]) -> str | None:
    """Why a job's prompts do not fit the context; None: they do, or it cannot be known.

    The zero-shot prompt is counted for every row; examples add the mean length of those in a sample. What a chat
    template adds is not counted, so that nothing is refused which would have fitted. Counts are kept, because this is
    asked for hundreds of candidates that differ in how they are trained and not in their prompts.

    Args:
        folder: of the model.
        context_length: in tokens, prompt and answer together.
        job: whose candidate's `shots` and prompt are counted.
        training: rows that examples come from.
        asked: rows that are answered.
    """
    tokenizer = _tokenizer(folder)
    if tokenizer is None or not asked:
        return None
    shots = int(job.candidate.params.get("shots") or 0)
    asking = _Asking(folder, job.prompt.template, job.prompt.instruction, tuple(job.labels or ()), job.multi_label)
    room = _longest(folder, tuple(job.scored_labels)) if job.scored_labels else job.max_new_tokens
    lengths = _zero_shot_lengths(asking, tuple(row.input for row in asked[:SAMPLED_ROWS]))
    each = 0.0
    if shots and training:
        pool = training[:SAMPLED_ROWS]
        each = _example_length(asking, tuple((row.input, tuple(row.outputs)) for row in pool))
    over = sum(length + shots * each + room > context_length for length in lengths)
    if over <= MOST_TRUNCATED * len(lengths):
        return None
    longest = max(lengths) + shots * each + room
    return (
        f"{job.candidate.method} on {job.candidate.model} with {shots} shots and template "
        f"'{job.candidate.params.get('template')}': {over / len(lengths):.0%} of the prompts are longer than the "
        f"context of {context_length} tokens (the longest has about {longest:.0f})"
    )


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


def _counts(folder: Path, texts: Sequence[str]) -> list[int]:
    tokenizer = _tokenizer(folder)
    if tokenizer is None:
        raise FileNotFoundError(folder)
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


@functools.lru_cache(maxsize=8)
def _tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer of a model folder; None where it is not in the format of the package tokenizers."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    return tokenizer
