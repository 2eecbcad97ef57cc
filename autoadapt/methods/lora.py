"""LoRA: small trained matrices beside frozen weights (Hu et al. 2021), by peft."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from autoadapt.domain.params import TunedParams
from autoadapt.domain.plugins import Adapted, Context, Method


class LoraParams(TunedParams):
    """Peft's own names."""

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
    shares_base: ClassVar[bool] = True

    def fit(self, context: Context) -> Adapted:
        from autoadapt.models.causal_lm import adapting

        params = LoraParams.model_validate(context.step.candidate.params)
        return adapting.tune(
            context,
            params,
            adapter={
                "r": params.r,
                "lora_alpha": params.lora_alpha,
                "lora_dropout": params.lora_dropout,
                "target_modules": params.target_modules,
            },
        )
