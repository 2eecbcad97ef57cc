"""An encoder with a linear layer on its pooled states, as it is trained."""

from typing import Any

import torch

from autoadapt.local_models.features import pooled
from autoadapt.local_models.heads import LinearHead

DROPOUT = 0.1
"""Of pooled states while training, as in BERT's classifier."""


class Classifier(torch.nn.Module):
    """Logits of labels for a right-padded batch of token ids.

    Args:
        backbone: an encoder, or one with an adapter of peft.
        head: on its pooled states.
    """

    def __init__(self, backbone: Any, head: LinearHead) -> None:
        super().__init__()
        self.backbone, self.head, self.dropout = backbone, head, torch.nn.Dropout(DROPOUT)

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        """Logits, shape (rows, labels)."""
        hidden = self.backbone(**batch).last_hidden_state
        return self.head(self.dropout(pooled(hidden, batch["attention_mask"], self.head.pooling)))
