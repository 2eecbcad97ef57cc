"""LoRA: small trained matrices beside frozen weights (Hu et al. 2021), by peft."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from autoadapt.domain.learning_rates import suited_lora_rate
from autoadapt.domain.method import Adapted, AdapterSpec, Context, Method, Model
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import QUALITY_ALONE, TRAINING, Effects, TunedParams

HEIGHT = 64
"""Hidden width of a transformer over its number of layers, about."""
TRAINED = {"all-linear": 2.0, "attention": 1.0}
"""Weights of an adapter as a share of the model's, times the hidden width and over the rank, at most. With four square
matrices of attention and two of four times the width a layer has 12 h^2 weights, and adapters of all of them 18 r h. On
MiniLM, smollm2 and the embedded model the share so computed is 1.0 to 3.1 times the real one."""


class LoraParams(TunedParams):
    """Peft's own names. An adapter is merged before it answers, so that no answer depends on its size."""

    effects: ClassVar[Effects] = {
        **TunedParams.effects,
        "r": frozenset({"training", "artifact"}),
        "lora_alpha": QUALITY_ALONE,
        "lora_dropout": TRAINING,
        "target_modules": frozenset({"training", "artifact"}),
    }

    r: int = Field(default=16, ge=1, le=1024)
    """Rank of the trained matrices."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """The update is scaled by lora_alpha / r."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""
    target_modules: Literal["all-linear", "attention"] = "all-linear"
    """Which linear layers: all but the output layer, or the attention projections."""


class Lora(Method):
    """Trains an adapter; it is merged into the weights before it answers, as a server of one adapter would do."""

    Params: ClassVar[type[BaseModel]] = LoraParams
    tunes: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("trains", "adapters")
    shares_base: ClassVar[bool] = True
    served_as: ClassVar[str] = "model"
    serving_params: ClassVar[tuple[str, ...]] = ()
    branch: ClassVar[Mapping[str, Any]] = {
        "r": [4, 8, 16, 32],
        "lora_alpha": [8, 16, 32, 64],
        "lora_dropout": [0.0, 0.05, 0.1],
        "target_modules": ["all-linear", "attention"],
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "num_train_epochs": {"low": 2, "high": 8},
        "batch_size": [8, 16, 32],
        "warmup_ratio": [0.0, 0.05, 0.1],
        "weight_decay": [0.0, 0.01],
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"r": 16, "lora_alpha": 32, "learning_rate": 2e-3, "num_train_epochs": 4},
    )

    def parameters_trained(self, params: Mapping[str, Any], capabilities: Capabilities) -> float:
        width = float((HEIGHT * max(1, capabilities.parameters) / 12) ** (1 / 3))
        rank, modules = float(params.get("r", LoraParams().r)), str(params.get("target_modules", "all-linear"))
        return min(1.0, TRAINED[modules] * rank / width) * capabilities.parameters

    def suited(self, start: Mapping[str, Any], capabilities: Capabilities) -> Mapping[str, Any]:
        if "learning_rate" not in start:
            return start
        return {**start, "learning_rate": suited_lora_rate(start["learning_rate"], capabilities.parameters)}

    def fit(self, context: Context, model: Model) -> Adapted:
        params = LoraParams.model_validate(context.job.candidate.params)
        names = ("r", "lora_alpha", "lora_dropout", "target_modules")
        return model.tune(params, AdapterSpec("LORA", {name: getattr(params, name) for name in names}))
