"""(IA)3: trained vectors that scale keys, values and feed-forward activations (Liu et al. 2022), by peft.

It trains about a hundredth of the weights that LoRA trains, and so wants a higher learning rate.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from autoadapt.domain.method import Adapted, AdapterSpec, Context, Method, Model
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import TunedParams

TRAINED_SHARE = 0.002
"""Weights of the vectors as a share of the model's, at most; the larger the model, the smaller."""


class Ia3Params(TunedParams):
    """The training loop's parameters; peft knows for each architecture which layers are scaled."""

    learning_rate: float = Field(default=1e-2, gt=0, le=1)
    """Peak rate of AdamW; linear warm-up, linear decay to 0. About ten times the rate of LoRA."""


class Ia3(Method):
    """Trains scaling vectors; they are merged into the weights before the model answers."""

    Params: ClassVar[type[BaseModel]] = Ia3Params
    tunes: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("trains", "adapters")
    shares_base: ClassVar[bool] = True
    served_as: ClassVar[str] = "model"
    serving_params: ClassVar[tuple[str, ...]] = ()
    branch: ClassVar[Mapping[str, Any]] = {
        "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "num_train_epochs": {"low": 2, "high": 8},
        "batch_size": [8, 16, 32],
        "warmup_ratio": [0.0, 0.05, 0.1],
        "weight_decay": 0.0,
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = ({"learning_rate": 1e-2, "num_train_epochs": 4},)

    def parameters_trained(self, params: Mapping[str, Any], capabilities: Capabilities) -> float:
        return TRAINED_SHARE * capabilities.parameters

    def fit(self, context: Context, model: Model) -> Adapted:
        # without settings peft takes the layers of the paper: keys, values and the second feed-forward layer
        return model.tune(Ia3Params.model_validate(context.job.candidate.params), AdapterSpec("IA3", {}))
