"""Prompting: zero- or few-shot, no weight is changed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from autoadapt.domain.method import Adapted, Context, Decoding, Method, Model
from autoadapt.domain.params import DecodingParams, PromptedParams


class PromptParams(PromptedParams, DecodingParams):
    """What a prompt is made of and how the answer is read off."""

    shots: int = Field(default=0, ge=0, le=256)
    """Solved examples in the prompt."""
    selector: str = "balanced"
    """Name of the few-shot selector; only with shots."""
    max_new_tokens: int = Field(default=0, ge=0, le=4096)
    """Free text: longest answer in tokens, reasoning apart; 0: as the task says (`evaluation.max_new_tokens`)."""


class Prompt(Method):
    """Asks the base model as it is."""

    Params: ClassVar[type[BaseModel]] = PromptParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("reads_prompts",)
    shares_base: ClassVar[bool] = True
    served_as: ClassVar[str] = "model"
    serving_params: ClassVar[tuple[str, ...]] = (
        "num_beams",
        "label_way",
        "reasoning",
        "samples",
        "reasoning_effort",
    )
    branch: ClassVar[Mapping[str, Any]] = {
        "shots": [0, 2, 4, 8, 16],
        "selector": {"search": ["random", "balanced", "nearest"], "when": {"shots": [2, 4, 8, 16]}},
        "reasoning": {"search": ["none", "steps"], "when": {"reasons": True}},
        "reasoning_tokens": {"search": [64, 128, 256], "when": {"reasoning": "steps"}},
        "samples": {"search": [1, 5], "when": {"reasoning": "steps"}},
        "temperature": {"search": [0.5, 0.7, 1.0], "when": {"samples": 5}},
        "top_p": {"search": [0.9, 1.0], "when": {"samples": 5}},
        "label_score": {"search": ["sum", "mean", "calibrated"], "when": {"answers": "label", "reasoning": "none"}},
        "num_beams": {"search": [1, 3], "when": {"answers": "text", "reasoning": "none"}},
        "stop": {"search": ["auto", "line"], "when": {"answers": "text"}},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = ({"shots": 0}, {"shots": 8, "selector": "nearest"})

    def contradiction(self, params: Mapping[str, Any]) -> str | None:
        drawn = params.get("temperature", 0.0) > 0
        if params.get("samples", 1) > 1 and not drawn:
            return "samples are all the same at temperature 0; give a temperature"
        if drawn and params.get("num_beams", 1) > 1:
            return "beams are not drawn; leave num_beams or temperature out"
        if params.get("logit_bias", 0.0) > 0 and params.get("label_way") != "logprobs":
            return "logit_bias is for label_way: logprobs"
        if params.get("reasoning") == "steps" and params.get("label_way", "auto") not in ("auto", "text"):
            return f"label_way: {params['label_way']} leaves no room for reasoning; take text"
        return None

    def fit(self, context: Context, model: Model) -> Adapted:
        params = PromptParams.model_validate(context.job.candidate.params)
        stated = params.model_dump(include=set(DecodingParams.model_fields))
        return model.prompt(Decoding(**stated, seed=context.job.seed if params.temperature > 0 else 0))
