"""Contrastive: an encoder learns to tell pairs of rows with the same label from others, then gets a classifier.

Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit), arXiv 2209.11055.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from autoadapt.domain.learning_rates import suited_learning_rate
from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import ContrastParams


class Contrastive(Method):
    """Makes much of few rows, because there are many more pairs of rows than rows."""

    Params: ClassVar[type[BaseModel]] = ContrastParams
    tunes: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("contrasts",)
    answers: ClassVar[tuple[Literal["label", "text"], ...]] = ("label",)
    served_as: ClassVar[str] = "features"
    serving_params: ClassVar[tuple[str, ...]] = ()
    branch: ClassVar[Mapping[str, Any]] = {
        "learning_rate": {"low": 5e-6, "high": 2e-4, "log": True},
        "num_train_epochs": 1,
        "batch_size": [8, 16, 32],
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "pairs_per_row": {"low": 5, "high": 40, "log": True},
        "C": {"low": 1.0, "high": 1000.0, "log": True},
    }
    # on MiniLM (23 million weights) the rate becomes 5.2e-5; 5e-5 was measured there
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"learning_rate": 6e-5, "batch_size": 16, "pairs_per_row": 20, "C": 10.0},
    )

    def suited(self, start: Mapping[str, Any], capabilities: Capabilities) -> Mapping[str, Any]:
        if "learning_rate" not in start:
            return start
        return {**start, "learning_rate": suited_learning_rate(start["learning_rate"], capabilities.parameters)}

    def fit(self, context: Context, model: Model) -> Adapted:
        return model.contrast(ContrastParams.model_validate(context.job.candidate.params))
