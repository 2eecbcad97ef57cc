"""Settings of training backends."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class BackendSettings:
    """How a backend computes its steps."""

    pad: int
    """Token id for padding."""
    weight_decay: float
    """Of AdamW, on matrices only."""
    micro_batches: int = 1
    """Parts into which a batch, or a rank's share of it, is cut to save memory."""
    keeps_logits: bool = False
    """Whether the model's forward takes ``logits_to_keep``."""
    dtype: torch.dtype = torch.float32
    """In which matrices are multiplied."""
