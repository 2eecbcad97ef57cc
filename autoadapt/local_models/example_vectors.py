"""Vectors of texts by which examples are chosen: a model's features as a `head` reads them, centred, of length 1.

Vectors of one model all point into much the same direction, so that their mean is taken off before they are compared.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from autoadapt.domain.artifact import VECTORS_FILE
from autoadapt.domain.params import HeadParams
from autoadapt.local_models.features import Features, compute_features
from autoadapt.local_models.loading import LoadedModel
from autoadapt.local_models.texts import Encoded

READ = HeadParams(pooling="mean", depth=1.0)
"""How vectors are read off a model."""


class ExampleVectors:
    """Vectors of training rows, and what is needed to compare others with them.

    Args:
        features: of the rows, shape (rows, width).
    """

    def __init__(self, features: NDArray[Any]) -> None:
        self.mean = np.asarray(features, np.float32).mean(axis=0)
        self.vectors = self.compared(features)

    @classmethod
    def read(cls, folder: Path) -> "ExampleVectors":
        """Those of an artifact."""
        stored, made = load_file(folder / VECTORS_FILE), cls.__new__(cls)
        made.mean, made.vectors = stored["mean"], stored["vectors"]
        return made

    def write(self, folder: Path) -> None:
        """Writes them into the folder of an artifact."""
        save_file({"mean": self.mean, "vectors": np.ascontiguousarray(self.vectors)}, folder / VECTORS_FILE)

    def compared(self, features: NDArray[Any]) -> NDArray[Any]:
        """Features centred and scaled to length 1, so that their products are cosine similarities."""
        centred = np.asarray(features, np.float32) - self.mean
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.maximum(lengths, 1e-12))

    def embedder(self, lm: LoadedModel, read: Callable[[str], Encoded]) -> Callable[[Sequence[str]], NDArray[Any]]:
        """A function that gives the vectors of texts.

        Args:
            lm: the model whose features they are.
            read: token ids of a text alone.
        """
        features = Features(lm, READ.pooling, READ.depth)

        @torch.no_grad()
        def embed(texts: Sequence[str]) -> NDArray[Any]:
            parts = list(compute_features(features, [read(text) for text in texts], lambda: None))
            order = np.argsort(np.concatenate([part.texts for part in parts]))
            return self.compared(np.concatenate([part.vectors for part in parts])[order])

        return embed
