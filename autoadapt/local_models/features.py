"""Features of texts: the hidden states of a model's tokens, pooled to one vector for each text.

They may be read off a layer before the last, in which case the layers behind it are not computed: a model that was
trained to predict tokens, or to place whole sentences, has specialised its last layers on that, and those in the middle
often say more about what a text is.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from autoadapt.errors import UserError
from autoadapt.local_models.feature_cache import CachedFeatures
from autoadapt.local_models.loading import LoadedModel
from autoadapt.local_models.texts import Encoded, batches
from autoadapt.training.batches import right_padded


class Features:
    """A model as it gives vectors.

    Args:
        lm: the model; put it in eval mode.
        pooling: ``mean`` over tokens, ``cls``: the first token, or ``last``: the last one.
        depth: share of the layers that are computed, above 0 and at most 1.
    """

    def __init__(self, lm: LoadedModel, pooling: str, depth: float = 1.0) -> None:
        self.lm, self.pooling = lm, pooling
        self.backbone = lm.model.base_model
        layers = int(getattr(lm.model.config, "num_hidden_layers", 0) or 0)
        self.layers = max(1, int(layers * depth + 0.5)) if layers and depth < 1 else None
        """Layers that are computed; None: all of them."""

    def of(self, encoded: Sequence[Encoded]) -> torch.Tensor:
        """Features of one batch, shape (rows, width), in single precision on the model's device."""
        batch = right_padded(
            [e.ids for e in encoded],
            [e.types for e in encoded],
            self.lm.tokenizer.pad_token_id,
            self.lm.device,
        )
        with _first_layers(self.backbone, self.layers) as cut:
            out = self.backbone(**batch, output_hidden_states=self.layers is not None and not cut)
        if self.layers is None or cut:
            return pooled(out.last_hidden_state, batch["attention_mask"], self.pooling)
        return pooled(out.hidden_states[self.layers], batch["attention_mask"], self.pooling)


@torch.no_grad()
def compute_features(features: Features, encoded: Sequence[Encoded], tick: Callable[[], None]) -> CachedFeatures:
    """Features of texts, computed in batches with the model in eval mode.

    Args:
        features: the model as it gives vectors.
        encoded: the texts.
        tick: called for every batch.

    Raises:
        UserError: there are no texts.
    """
    lm = features.lm
    lm.model.eval()
    seconds, vectors = np.zeros(len(encoded)), None
    for batch in batches(encoded, lm.device.type):
        begun = time.perf_counter()
        numbers = features.of([encoded[i] for i in batch]).cpu().numpy()
        seconds[batch] = (time.perf_counter() - begun) / len(batch)
        vectors = np.zeros((len(encoded), numbers.shape[1]), dtype=np.float32) if vectors is None else vectors
        vectors[batch] = numbers
        tick()
    if vectors is None:
        raise UserError("there are no training rows")
    return CachedFeatures(vectors, seconds, np.array([len(e.ids) for e in encoded]))


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector for each text, in single precision.

    Args:
        hidden: states of right-padded tokens, shape (rows, tokens, width).
        mask: 1 for tokens and 0 for padding, shape (rows, tokens).
        pooling: ``mean``, ``cls`` or ``last``.
    """
    if pooling == "cls":
        return hidden[:, 0].float()
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(-1) - 1].float()
    weights = mask[..., None].float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)


@contextlib.contextmanager
def _first_layers(backbone: Any, count: int | None) -> Iterator[bool]:
    """Leaves out a model's last layers for a while; gives False where it has no plain list of layers to shorten."""
    place = _layer_list(backbone) if count is not None else None
    if place is None:
        yield False
        return
    owner, name = place
    layers = getattr(owner, name)
    setattr(owner, name, layers[:count])
    try:
        yield True
    finally:
        setattr(owner, name, layers)


def _layer_list(backbone: Any) -> tuple[Any, str] | None:
    for owner in backbone.modules():
        for name, child in owner.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == backbone.config.num_hidden_layers:
                return owner, name
    return None
