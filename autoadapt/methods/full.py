"""Full fine-tuning: every weight is trained."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from autoadapt.domain.learning_rates import suited_learning_rate
from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import TunedParams


class FullParams(TunedParams):
    """The training loop's parameters, nothing more."""


class Full(Method):
    """Trains a copy of the whole model."""

    Params: ClassVar[type[BaseModel]] = FullParams
    tunes: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("trains",)
    served_as: ClassVar[str] = "model"
    serving_params: ClassVar[tuple[str, ...]] = ()
    branch: ClassVar[Mapping[str, Any]] = {
        "learning_rate": {"low": 1e-5, "high": 2e-3, "log": True},
        "num_train_epochs": {"low": 2, "high": 8},
        "batch_size": [8, 16, 32],
        "warmup_ratio": [0.0, 0.05, 0.1],
        "weight_decay": [0.0, 0.01],
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = ({"learning_rate": 3e-4, "num_train_epochs": 4},)

    def suited(self, start: Mapping[str, Any], capabilities: Capabilities) -> Mapping[str, Any]:
        if "learning_rate" not in start:
            return start
        return {**start, "learning_rate": suited_learning_rate(start["learning_rate"], capabilities.parameters)}

    def fit(self, context: Context, model: Model) -> Adapted:
        return model.tune(FullParams.model_validate(context.job.candidate.params), adapter=None)
