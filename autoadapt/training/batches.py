"""Batches of token ids of similar length: prompts with answers, padded on the left, or texts, padded on the right."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

IGNORED = -100


class HasTokens(Protocol):
    """What is trained on: at least token ids."""

    @property
    def ids(self) -> list[int]: ...


@dataclass(frozen=True)
class Example:
    """Token ids of prompt and answer; the loss counts from `answer_start` on."""

    ids: list[int]
    answer_start: int


def schedule(
    examples: Sequence[HasTokens], batch_size: int, epochs: int, seed: int, steps: int | None = None
) -> list[list[int]]:
    """Indices of every batch of the whole training, in order.

    Each epoch is shuffled anew; within windows of eight batches rows are sorted by length, so that a batch holds rows
    of similar length and little padding, and the batches of a window are shuffled again.

    Args:
        examples: rows.
        batch_size: rows of a batch; the last one of an epoch may have fewer.
        epochs: passes over the rows.
        seed: equal arguments give equal batches.
        steps: batches in all, for as many passes as that takes, the last one cut short; None: those of `epochs`.
    """
    batches: list[list[int]] = []
    if steps is not None:
        epochs = math.ceil(steps / math.ceil(len(examples) / batch_size))
    for epoch in range(epochs):
        rng = random.Random(f"{seed}/{epoch}")
        order = rng.sample(range(len(examples)), len(examples))
        for start in range(0, len(order), batch_size * 8):
            window = sorted(order[start : start + batch_size * 8], key=lambda i: len(examples[i].ids))
            cut = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
            rng.shuffle(cut)
            batches += cut
    return batches[:steps]


def learning_rate(step: float, total: int, peak: float, warmup_ratio: float) -> float:
    """Rate of a step (from 0): linear warm-up to `peak`, then linear decay that would reach 0 at `total`.

    A step that is not whole is a place in the schedule that is reached by the clock and not by counting.
    """
    warmup = math.ceil(total * warmup_ratio)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * max(0.0, (total - step) / max(1, total - warmup))


def tensors(examples: Sequence[Example], pad: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Left-padded input_ids, attention_mask, position_ids and labels, each of shape (examples, longest).

    On the left, so that answers stand at the end of every row and only there logits are needed.
    """
    width = max(len(e.ids) for e in examples)
    ids = torch.full((len(examples), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, e in enumerate(examples):
        row = torch.tensor(e.ids)
        ids[i, width - len(row) :] = row
        mask[i, width - len(row) :] = 1
        labels[i, width - len(row) + e.answer_start :] = row[e.answer_start :]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "labels": labels}
    return {name: value.to(device) for name, value in batch.items()}


def right_padded(
    rows: Sequence[Sequence[int]], types: Sequence[Sequence[int] | None], pad: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Right-padded input_ids and attention_mask, and token_type_ids where they are known: shape (rows, longest).

    Args:
        rows: token ids of each text.
        types: which of two texts each token belongs to; None for all rows: the model is not told.
        pad: token id for padding.
        device: where the tensors shall be.
    """
    width = max(map(len, rows))
    batch = {
        "input_ids": torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
    }
    known = [row for row in types if row is not None]
    if len(known) == len(rows):
        batch["token_type_ids"] = torch.tensor([[*row, *[0] * (width - len(row))] for row in known])
    return {name: value.to(device) for name, value in batch.items()}


def answer_tokens(examples: Sequence[Example]) -> int:
    """Tokens the loss counts."""
    return sum(len(e.ids) - e.answer_start for e in examples)


def summed_loss(model: Callable[..., Any], batch: dict[str, torch.Tensor], keeps_logits: bool) -> torch.Tensor:
    """Cross-entropy summed over answer tokens.

    Logits are computed for the end of the rows only, where the answers are: with a long prompt and a large vocabulary
    they would otherwise take more time and memory than the model itself.

    Args:
        model: called with the batch, gives an output with logits.
        batch: of `tensors`.
        keeps_logits: whether the model's forward takes ``logits_to_keep``.
    """
    labels = batch["labels"]
    longest = int((labels != IGNORED).sum(-1).max())
    options = {"logits_to_keep": longest + 1} if keeps_logits else {}
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids")}
    logits = model(**inputs, **options).logits[:, -longest - 1 : -1]
    target = labels[:, -longest:]
    counted = target != IGNORED
    return torch.nn.functional.cross_entropy(logits[counted].float(), target[counted], reduction="sum")
