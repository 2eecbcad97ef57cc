"""Lengths of prompts in tokens, counted before anything is run; imports no torch."""

import functools
import statistics
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from autoadapt.domain.jobs import MOST_TRUNCATED, Fit
from autoadapt.domain.rows import Row
from autoadapt.prompts.rendering import Prompt

SAMPLED_ROWS = 100
"""Rows whose prompts are counted, and from which the mean length of an example is taken."""


def too_long(folder: Path, context_length: int, job: Fit, training: Sequence[Row], asked: Sequence[Row]) -> str | None:
    """Why a job's prompts do not fit the context; None: they do, or it cannot be known.

    The zero-shot prompt is counted for every row; examples add the mean length of those in a sample. What a chat
    template adds is not counted, so that nothing is refused which would have fitted.

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
    prompt = Prompt(job.prompt.template, job.prompt.instruction, job.labels or [], job.multi_label)
    asked, room = asked[:SAMPLED_ROWS], _room(tokenizer, job)
    lengths = _counts(tokenizer, [prompt.render(row.input) for row in asked])
    each = 0.0
    if shots and training:
        pool = training[:SAMPLED_ROWS]
        bare = _counts(tokenizer, [prompt.render("x")])[0]
        each = statistics.mean(n - bare for n in _counts(tokenizer, [prompt.render("x", [row]) for row in pool]))
    over = sum(length + shots * each + room > context_length for length in lengths)
    if over <= MOST_TRUNCATED * len(lengths):
        return None
    longest = max(lengths) + shots * each + room
    return (
        f"{job.candidate.method} on {job.candidate.model} with {shots} shots and template "
        f"'{job.candidate.params.get('template')}': {over / len(lengths):.0%} of the prompts are longer than the "
        f"context of {context_length} tokens (the longest has about {longest:.0f})"
    )


def _room(tokenizer: Tokenizer, job: Fit) -> int:
    """Tokens of the longest answer."""
    return max(_counts(tokenizer, job.scored_labels)) if job.scored_labels else job.max_new_tokens


def _counts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
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
