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
        with shortened(self.backbone, self.layers) as cut:
            out = self.backbone(**batch, output_hidden_states=self.layers is not None and not cut)
        if self.layers is None or cut:
            return pooled(out.last_hidden_state, batch["attention_mask"], self.pooling)
        return pooled(out.hidden_states[self.layers], batch["attention_mask"], self.pooling)


@torch.no_grad()
def compute_features(
    features: Features, encoded: Sequence[Encoded], tick: Callable[[], None], known: frozenset[int] = frozenset()
) -> Iterator[CachedFeatures]:
    """Features of texts, computed batch by batch with the model in eval mode.

    Args:
        features: the model as it gives vectors.
        encoded: the texts.
        tick: called for every batch.
        known: texts, counted from 0, whose features are not needed.
    """
    lm = features.lm
    lm.model.eval()
    missing = [i for i in range(len(encoded)) if i not in known]
    for batch in batches([encoded[i] for i in missing], lm.device.type):
        texts = [missing[i] for i in batch]
        begun = time.perf_counter()
        vectors = features.of([encoded[i] for i in texts]).cpu().numpy()
        seconds = np.full(len(texts), (time.perf_counter() - begun) / len(texts))
        yield CachedFeatures(np.array(texts), vectors, seconds, np.array([len(encoded[i].ids) for i in texts]))
        tick()


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
def shortened(backbone: Any, count: int | None) -> Iterator[bool]:
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
