"""What answers by a linear classifier on a model's states need beside the model: token ids, and answers of numbers."""

import math
from typing import Any

from predict_loading import inert, start_ids

Ids = tuple[list[int], list[int] | None]
"""Token ids of a text, and which of two texts each belongs to; None: the model is not told."""


class Reader:
    """Token ids of inputs.

    Args:
        tokenizer: of the model.
        columns: from which inputs were joined.
        encoder: whether the model is an encoder, whose tokenizer adds its own special tokens.
        limit: greatest number of tokens.
        knows_pairs: whether the model is told which of two texts a token belongs to.
    """

    def __init__(self, tokenizer: Any, columns: list[str], encoder: bool, limit: int, knows_pairs: bool) -> None:
        self.tokenizer, self.columns, self.encoder = tokenizer, columns, encoder
        self.limit, self.knows_pairs = limit, knows_pairs

    def encode(self, text: str) -> Ids:
        """Token ids of an input."""
        if not self.encoder:
            raw = self.tokenizer(inert(text, self.tokenizer), add_special_tokens=False)["input_ids"]
            ids = start_ids(self.tokenizer) + list(raw)
            return (ids or [self.tokenizer.pad_token_id])[: self.limit], None
        parts = self._parts(text)
        parts = [inert(part, self.tokenizer) for part in (parts if len(parts) == 2 else [text])]
        asked = {"return_token_type_ids": self.knows_pairs}
        tokens = dict(self.tokenizer(*parts, **asked))
        if len(tokens["input_ids"]) > self.limit:
            tokens = dict(self.tokenizer(*parts, **asked, truncation=True, max_length=self.limit))
        return list(tokens["input_ids"]), tokens.get("token_type_ids")

    def padded(self, encoded: list[Ids]) -> dict[str, list[list[int]]]:
        """A batch, padded on the right."""
        width, pad = max(len(ids) for ids, _ in encoded), self.tokenizer.pad_token_id
        batch = {
            "input_ids": [[*ids, *[pad] * (width - len(ids))] for ids, _ in encoded],
            "attention_mask": [[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in encoded],
        }
        types = [types for _, types in encoded if types is not None]
        if len(types) == len(encoded):
            batch["token_type_ids"] = [[*row, *[0] * (width - len(row))] for row in types]
        return batch

    def _parts(self, text: str) -> list[str]:
        """The texts that an input of several columns was joined from."""
        parts, rest = [], f"\n{text}"
        for i, column in enumerate(self.columns):
            head = f"\n{column}: "
            if not rest.startswith(head):
                return [text]
            rest = rest[len(head) :]
            end = rest.find(f"\n{self.columns[i + 1]}: ") if i + 1 < len(self.columns) else len(rest)
            if end < 0:
                return [text]
            parts.append(rest[:end])
            rest = rest[end:]
        return parts or [text]


def answer_of(labels: list[str], numbers: list[float], sets: bool) -> dict[str, Any]:
    """The answer to an input.

    Args:
        labels: of the task.
        numbers: of each label its log-probability, or, where answers are sets, its probability.
        sets: whether the answer is every label whose probability is at least 0.5.
    """
    if sets:
        chosen = [label for label, p in zip(labels, numbers, strict=True) if p >= 0.5]
        confidence = math.prod(max(p, 1 - p) for p in numbers)
        return {"answer": " | ".join(sorted(chosen)), "confidence": confidence, "log_probs": []}
    best = max(range(len(labels)), key=lambda k: numbers[k])
    return {"answer": labels[best], "confidence": math.exp(numbers[best]), "log_probs": numbers}
