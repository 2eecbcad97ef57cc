"""Prompting: zero- or few-shot, no weight is changed."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from autoadapt.domain.params import PromptedParams
from autoadapt.domain.plugins import Adapted, Context, Method


class PromptParams(PromptedParams):
    """What a prompt is made of and how the answer is read off."""

    shots: int = Field(default=0, ge=0, le=256)
    """Solved examples in the prompt."""
    selector: str = "balanced"
    """Name of the few-shot selector; only with shots."""
    label_score: Literal["sum", "mean", "calibrated"] = "sum"
    """Labels: log-likelihood summed over tokens, its mean, or the sum less that after an input without content
    (contextual calibration, Zhao et al. 2021)."""
    num_beams: int = Field(default=1, ge=1, le=16)
    """Free text: 1 is greedy decoding, more is beam search."""


class Prompt(Method):
    """Asks the base model as it is."""

    Params: ClassVar[type[BaseModel]] = PromptParams
    tunes: ClassVar[bool] = False
    shares_base: ClassVar[bool] = True

    def fit(self, context: Context) -> Adapted:
        from autoadapt.models.causal_lm import adapting

        return adapting.prompt(context, PromptParams.model_validate(context.step.candidate.params))
