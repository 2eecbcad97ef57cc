"""Texts as token ids: special tokens that stand in a text are made inert."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 65536}
ROWS_PER_BATCH = {"cpu": 32, "cuda": 256}
MOST_PADDING = {"cpu": 0.04, "cuda": 1.0}
"""Padding that a batch may have as a share of its own tokens, once it has `FULL_TOKENS` of these: a CPU takes as long
for padding as for tokens, and gains nothing by larger batches."""
FULL_TOKENS = 256


@dataclass(frozen=True)
class Encoded:
    """A text's token ids, and whether it had to be shortened."""

    ids: list[int]
    truncated: bool
    types: list[int] | None = None
    """Which of two texts each token belongs to; None: the model is not told."""
    offered: tuple[str, ...] = ()
    """Labels that a prompt offers; empty: all of the task."""


def inert(text: str, tokenizer: Any) -> str:
    """Text in which no special token of the tokenizer is left whole."""
    for token in tokenizer.all_special_tokens:
        if len(token.strip()) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def batches(
    encoded: Sequence[Encoded], device: str, written: int = 0, known: int = 0, generates: bool = False
) -> Iterator[list[int]]:
    """Indices of texts in batches of similar length.

    Args:
        encoded: the texts.
        device: type of the device, which bounds the size of a batch.
        written: tokens that each row takes in addition to its own.
        known: tokens at the beginning of each row that have been computed already.
        generates: whether answers are written token by token, where large batches gain more than padding costs.
    """
    batch: list[int] = []
    tokens = 0
    for i in sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids)):
        size = max(1, len(encoded[i].ids) - known) + written
        rows, together = len(batch) + 1, (len(batch) + 1) * size
        padded = not generates and tokens >= FULL_TOKENS and together - tokens - size > MOST_PADDING[device] * tokens
        if batch and (padded or rows > ROWS_PER_BATCH[device] or together > TOKENS_PER_BATCH[device]):
            yield batch
            batch, tokens = [], 0
        batch.append(i)
        tokens += size
    if batch:
        yield batch
