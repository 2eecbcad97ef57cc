"""Settings of training backends."""

from dataclasses import dataclass

import torch

from autoadapt.training.losses import Loss


@dataclass(frozen=True)
class BackendSettings:
    """How a backend computes its steps."""

    loss: Loss
    weight_decay: float
    """Of AdamW, on matrices only."""
    micro_batches: int = 1
    """Parts into which a batch, or a rank's share of it, is cut to save memory."""
    dtype: torch.dtype = torch.float32
    """In which matrices are multiplied."""
