"""What a language model writes: where it ends, how it is drawn, reasoning before an answer, and votes; needs torch."""

import hashlib
import math
import re
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

MARKER, MARKER_ROOM = "Answer:", 8
REQUEST = "\n\nThink step by step first. Then write the answer alone in a last line that begins with 'Answer:'."
OPENING = " Let's think step by step."
MARKED = re.compile(
    r"[*_]*\b(?:(?:final\s+)?answer(?:\s+is)?[\s*_]*:|the\s+(?:final\s+)?answer\s+is\b)[\s*_]*", re.IGNORECASE
)
LEAST_TAIL, MARKER_TAIL = 4, 12
LEAST = 1e-300


def stops_of(decoding: dict[str, Any], chat: bool) -> list[str]:
    """What ends a free text before the model ends it."""
    if decoding["stop"] == "auto":
        return ["blank_line"] if decoding["reasoning"] == "steps" or not (decoding["tuned"] or chat) else []
    return [] if decoding["stop"] == "none" else [decoding["stop"]]


def ends(stop: str, text: str) -> bool:
    """Whether a text, or the end of a longer one, has an end."""
    if stop == "line":
        return "\n" in text.lstrip()
    if stop == "blank_line":
        return "\n\n" in text.replace(" ", "").lstrip("\n")
    return MARKED.search(text) is not None if stop == "marker" else stop in text


def cut(stop: str, text: str) -> str:
    """A text up to its end."""
    text = text.strip()
    if stop == "marker":
        return MARKED.split(text, maxsplit=1)[0].rstrip()
    return text.split({"line": "\n", "blank_line": "\n\n"}.get(stop, stop), maxsplit=1)[0].strip()


class Ends(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its text has an end."""

    def __init__(self, tokenizer: Any, start: int, stops: list[str]) -> None:
        self.tokenizer, self.start, self.stops = tokenizer, start, stops
        named = {"line": LEAST_TAIL, "blank_line": LEAST_TAIL, "marker": MARKER_TAIL}
        self.tail = max(named.get(stop, LEAST_TAIL + len(stop)) for stop in stops)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        last = input_ids[:, max(self.start, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(last)
        return torch.tensor([any(ends(stop, text) for stop in self.stops) for text in texts], device=input_ids.device)


class Likelihoods(LogitsProcessor):  # type: ignore[misc]
    """Notes the log-likelihood of the token that greedy decoding chooses."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = scores.float()
        self.steps.append(numbers.amax(-1) - numbers.logsumexp(-1))
        return scores


class Draws(Likelihoods):
    """Draws each row's next token by a generator of its own, and leaves it as the only possible one."""

    def __init__(self, seeds: list[int], decoding: dict[str, Any]) -> None:
        super().__init__()
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature, self.top_p = decoding["temperature"], decoding["top_p"]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = scores.float()
        shares, order = (numbers / self.temperature).softmax(-1).double(), None
        if self.top_p < 1:
            shares, order = shares.sort(dim=-1, descending=True, stable=True)
            shares = shares * (shares.cumsum(-1) - shares < self.top_p)
        sums = shares.cumsum(-1)
        drawn = [torch.rand(1, generator=one, dtype=torch.float64) for one in self.generators]
        index = torch.searchsorted(sums, torch.stack(drawn).to(sums.device) * sums[:, -1:], right=True)
        index = index.clamp(max=sums.shape[-1] - 1)
        chosen = index if order is None else order.gather(-1, index)
        self.steps.append(numbers.gather(-1, chosen)[:, 0] - numbers.logsumexp(-1))
        return torch.full_like(scores, float("-inf")).scatter(-1, chosen, 0.0)


def seed_of_sample(seed: int, text: str, number: int) -> int:
    """The seed of an answer, by the job's seed, the number of the sample and the input."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}/{text}".encode()).digest()[:7], "big")


def agreed(samples: list[dict[str, Any]], labels: list[str]) -> dict[str, Any]:
    """The answer that several ones agree on: by the mean probability of each label, or by votes."""
    if len(samples) == 1:
        return samples[0]
    if all(one["log_probs"] for one in samples):
        columns = zip(*(one["log_probs"] for one in samples), strict=True)
        log_probs = [math.log(max(LEAST, sum(map(math.exp, column)) / len(samples))) for column in columns]
        best = max(range(len(labels)), key=log_probs.__getitem__)
        return {"answer": labels[best], "confidence": min(1.0, math.exp(log_probs[best])), "log_probs": log_probs}
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in samples:
        groups.setdefault(" ".join(one["answer"].casefold().split()), []).append(one)
    winner = max(groups.values(), key=lambda group: (len(group), sum(one["confidence"] or 0.0 for one in group)))
    return {"answer": winner[0]["answer"], "confidence": len(winner) / len(samples), "log_probs": []}
