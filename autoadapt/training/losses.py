"""What a training minimises: the likelihood of an answer's tokens, of a label or a set of labels, or the error of
similarities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from autoadapt.training.batches import Example, answer_tokens, right_padded, summed_loss, tensors


class Loss(Protocol):
    """A sum over parts of a batch, so that a batch may be cut; backends divide it by the count of the whole batch."""

    def count(self, examples: Sequence[Any]) -> int:
        """What the mean is taken over: tokens, or rows."""
        ...

    def summed(self, model: Callable[..., Any], examples: Sequence[Any], device: torch.device) -> torch.Tensor:
        """The summed loss of examples, a number with gradients."""
        ...


@dataclass(frozen=True)
class AnswerLoss:
    """Cross-entropy of the answer's tokens (`autoadapt.training.batches.Example`)."""

    pad: int
    """Token id for padding."""
    keeps_logits: bool = False
    """Whether the model's forward takes ``logits_to_keep``."""

    def count(self, examples: Sequence[Example]) -> int:
        return answer_tokens(examples)

    def summed(self, model: Callable[..., Any], examples: Sequence[Example], device: torch.device) -> torch.Tensor:
        return summed_loss(model, tensors(examples, self.pad, device), self.keeps_logits)


@dataclass(frozen=True)
class LabelledExample:
    """Token ids of a text, and its label or its set of labels."""

    ids: list[int]
    label: int | list[float]
    """Index of the label; of a set, 1 for each label in it and 0 for every other."""
    types: list[int] | None = None
    """Which of two texts each token belongs to; None: the model is not told."""


@dataclass(frozen=True)
class LabelLoss:
    """Cross-entropy of the label; the model gives logits of shape (rows, labels) for a right-padded batch."""

    pad: int
    """Token id for padding."""

    def count(self, examples: Sequence[LabelledExample]) -> int:
        return len(examples)

    def summed(
        self, model: Callable[..., Any], examples: Sequence[LabelledExample], device: torch.device
    ) -> torch.Tensor:
        return self.between(_output(model, examples, self.pad, device), [e.label for e in examples])

    def between(self, logits: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        """The summed loss of logits, shape (rows, labels)."""
        target = torch.tensor(labels, device=logits.device)
        return torch.nn.functional.cross_entropy(logits, target, reduction="sum")


@dataclass(frozen=True)
class LabelSetLoss(LabelLoss):
    """Binary cross-entropy summed over labels: the negative log-likelihood of a set of independent labels."""

    def between(self, logits: torch.Tensor, labels: Sequence[Any]) -> torch.Tensor:
        target = torch.tensor(labels, dtype=torch.float32, device=logits.device)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")


@dataclass(frozen=True)
class PairExample:
    """Two labelled texts, which shall be similar where their labels are the same."""

    first: LabelledExample
    second: LabelledExample

    @property
    def ids(self) -> list[int]:
        """Token ids of both texts, one behind the other."""
        return [*self.first.ids, *self.second.ids]

    @property
    def same(self) -> bool:
        """Whether both texts have the same label."""
        return self.first.label == self.second.label


@dataclass(frozen=True)
class PairLoss:
    """Squared error of the cosine similarity of two texts: 1 where their labels are the same, otherwise 0.

    It is the loss with which SetFit trains (Tunstall et al. 2022, arXiv 2209.11055; CosineSimilarityLoss of
    sentence-transformers). The model gives vectors of shape (texts, width) for a right-padded batch.
    """

    pad: int
    """Token id for padding."""

    def count(self, examples: Sequence[PairExample]) -> int:
        return len(examples)

    def summed(self, model: Callable[..., Any], examples: Sequence[PairExample], device: torch.device) -> torch.Tensor:
        texts = [e.first for e in examples] + [e.second for e in examples]
        vectors = _output(model, texts, self.pad, device)
        similarity = torch.cosine_similarity(vectors[: len(examples)], vectors[len(examples) :], dim=-1)
        target = torch.tensor([float(e.same) for e in examples], device=device)
        return torch.nn.functional.mse_loss(similarity, target, reduction="sum")


def _output(
    model: Callable[..., Any], examples: Sequence[LabelledExample], pad: int, device: torch.device
) -> torch.Tensor:
    """What a model gives for a right-padded batch, in single precision."""
    output: torch.Tensor = model(**right_padded([e.ids for e in examples], [e.types for e in examples], pad, device))
    return output.float()
