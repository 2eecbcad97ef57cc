"""Where a text that is being written ends before the model ends it."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from autoadapt.domain.method import Decoding
from autoadapt.prompts.answer_extraction import MARKED

MARKER = "marker"
"""Ends reasoning where the answer begins."""
LEAST_TAIL, MARKER_TAIL = 4, 12
"""Last tokens of a text in which its end is looked for."""


def stops_of(decoding: Decoding, chat: bool) -> tuple[str, ...]:
    """What ends a free text that is written: names, or texts that stand for themselves.

    Args:
        decoding: states it, or leaves it to what suits the model.
        chat: whether the model has a chat template.
    """
    if decoding.stop == "auto":
        # few-shot examples are parted by blank lines, and a model goes on with another one
        return ("blank_line",) if decoding.reasons or not (decoding.tuned or chat) else ()
    return () if decoding.stop == "none" else (decoding.stop,)


def reasoning_stops(chat: bool) -> tuple[str, ...]:
    """What ends reasoning."""
    return (MARKER,) if chat else (MARKER, "blank_line")


def ends(stop: str, text: str) -> bool:
    """Whether a text, or the end of a longer one, has an end."""
    if stop == "line":
        return "\n" in text.lstrip()
    if stop == "blank_line":
        return "\n\n" in text.replace(" ", "").lstrip("\n")
    return MARKED.search(text) is not None if stop == MARKER else stop in text


def cut(stop: str, text: str) -> str:
    """A text up to its end."""
    text = text.strip()
    if stop == MARKER:
        return MARKED.split(text, maxsplit=1)[0].rstrip()
    return text.split({"line": "\n", "blank_line": "\n\n"}.get(stop, stop), maxsplit=1)[0].strip()


class Ends(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its text has an end.

    Args:
        tokenizer: of the model.
        start: tokens of the prompt.
        stops: names or texts of `stops_of` and `reasoning_stops`.
    """

    def __init__(self, tokenizer: Any, start: int, stops: Sequence[str]) -> None:
        self.tokenizer, self.start, self.stops = tokenizer, start, stops
        named = {"line": LEAST_TAIL, "blank_line": LEAST_TAIL, MARKER: MARKER_TAIL}
        self.tail = max(named.get(stop, LEAST_TAIL + len(stop)) for stop in stops)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        last = input_ids[:, max(self.start, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(last)
        ended = [any(ends(stop, text) for stop in self.stops) for text in texts]
        return torch.tensor(ended, device=input_ids.device)
