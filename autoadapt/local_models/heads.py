"""Heads: a linear classifier on the features of a model, how it is stored, and how it answers."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

from autoadapt.domain.label_sets import labels_in, probable_set
from autoadapt.domain.method import Answer, Training
from autoadapt.errors import Exit, UserError
from autoadapt.local_models.features import Features
from autoadapt.local_models.loading import LoadedModel
from autoadapt.local_models.texts import Encoded, batches

HEAD_FILE = "head.safetensors"


class LinearHead(torch.nn.Module):
    """Logits of labels from features, which are centred and scaled before.

    Args:
        width: of the features.
        labels: how many.
        pooling: of the features.
        depth: share of the layers from which they are read.
        unit: whether every vector is scaled to length 1 first.
        sets: whether an answer is a set of labels: each logit then gives the probability of its label by itself.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        width: int,
        labels: int,
        *,
        pooling: str = "mean",
        depth: float = 1.0,
        unit: bool = False,
        sets: bool = False,
    ) -> None:
        super().__init__()
        self.pooling, self.depth, self.unit, self.sets = pooling, depth, unit, sets
        self.linear = torch.nn.Linear(width, labels)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, shape (rows, labels), of features, shape (rows, width)."""
        if self.unit:
            features = torch.nn.functional.normalize(features, dim=-1)
        return self.linear(((features - self.mean) * self.scale).to(self.linear.weight.dtype))

    def write(self, folder: Path) -> None:
        """Writes weights, means and scales, and how features are read, into a folder."""
        described = {
            "pooling": self.pooling,
            "depth": str(self.depth),
            "unit": str(int(self.unit)),
            "sets": str(int(self.sets)),
        }
        tensors = {name: value.detach().float().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, folder / HEAD_FILE, metadata=described)


def read_head(folder: Path, device: torch.device) -> LinearHead:
    """The head that `LinearHead.write` has left in a folder.

    Raises:
        UserError: there is none.
    """
    if not (folder / HEAD_FILE).is_file():
        raise UserError(f"artifact {folder}: it has no {HEAD_FILE}", Exit.DATA)
    with safe_open(folder / HEAD_FILE, framework="pt") as file:
        described = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    labels, width = tensors["linear.weight"].shape
    head = LinearHead(
        width,
        labels,
        pooling=described["pooling"],
        depth=float(described["depth"]),
        unit=described["unit"] == "1",
        sets=described.get("sets") == "1",
    )
    head.load_state_dict(tensors)
    return head.to(device).eval()


class HeadAnswerer:
    """A model with a head that answers inputs (see `autoadapt.domain.method.Adapted`).

    Args:
        lm: the model; eval mode is set here.
        head: on its features.
        read: token ids of an input.
        labels: in the order of the head's logits.
        training: what adapting took.
        tick: called for every batch.
    """

    def __init__(
        self,
        lm: LoadedModel,
        head: LinearHead,
        read: Callable[[str], Encoded],
        labels: Sequence[str],
        *,
        training: Training | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.lm, self.head, self.read, self.labels, self.tick = lm, head, read, list(labels), tick
        self.training = training or Training()
        self.parameters_total = lm.parameters + sum(p.numel() for p in head.parameters())
        self.features = Features(lm, head.pooling, head.depth)
        lm.model.eval()
        head.eval()

    def prepare(self, inputs: Sequence[str]) -> int:
        """Inputs share nothing that could be computed once."""
        return 0

    @torch.no_grad()
    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers inputs in batches of similar length; the order of the result is that of the inputs."""
        begun = time.perf_counter()
        encoded = [self.read(text) for text in inputs]
        answers: dict[int, Answer] = {}
        for batch in batches(encoded, self.lm.device.type):
            chosen = [encoded[i] for i in batch]
            logits = self.head(self.features.of(chosen)).float()
            numbers = (logits.sigmoid() if self.head.sets else logits.log_softmax(-1)).tolist()
            done = time.perf_counter() - begun
            for i, one, row in zip(batch, chosen, numbers, strict=True):
                answer = set_answer(self.labels, row, one) if self.head.sets else label_answer(self.labels, row, one)
                answers[i] = dataclasses.replace(answer, first_s=done, done_s=done)
            self.tick()
        return [answers[i] for i in range(len(encoded))]

    def close(self) -> None:
        """It holds nothing but the model."""


def label_answer(
    labels: Sequence[str], log_probs: Sequence[float], encoded: Encoded, lengths: Sequence[int] = ()
) -> Answer:
    """The label of the greatest probability.

    Args:
        labels: in the order of the numbers.
        log_probs: natural logarithms of their probabilities.
        encoded: the input.
        lengths: tokens of each label; empty: no tokens are written for a label.

    Raises:
        FloatingPointError: a number is not finite.
    """
    if not all(map(math.isfinite, log_probs)):
        raise FloatingPointError("the model's scores of labels are not finite numbers")
    best = max(range(len(labels)), key=lambda k: log_probs[k])
    return Answer(
        labels[best],
        len(encoded.ids),
        lengths[best] if lengths else 0,
        encoded.truncated,
        confidence=math.exp(log_probs[best]),
        log_probs=tuple(log_probs),
        offered=encoded.offered,
    )


def set_answer(labels: Sequence[str], probabilities: Sequence[float], encoded: Encoded) -> Answer:
    """The most probable set of labels.

    Args:
        labels: in the order of the numbers.
        probabilities: that each label belongs to the set.
        encoded: the input.

    Raises:
        FloatingPointError: a number is not finite.
    """
    text, confidence = probable_set(labels, probabilities)
    return Answer(text, len(encoded.ids), 0, encoded.truncated, confidence=confidence)


def label_members(labels: Sequence[str], answers: Sequence[str]) -> NDArray[Any]:
    """Which labels the set of each answer holds, as 0 or 1; shape (answers, labels)."""
    sets = [labels_in(answer) for answer in answers]
    return np.array([[int(label in one) for label in labels] for one in sets])


def label_indices(labels: Sequence[str], answers: Sequence[str]) -> NDArray[Any]:
    """The index of each answer among the labels."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place[answer] for answer in answers])
