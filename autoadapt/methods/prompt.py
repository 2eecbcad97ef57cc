"""Prompting: zero- or few-shot, no weight is changed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from autoadapt.domain.documents import Position
from autoadapt.domain.method import Adapted, Context, Decoding, Method, Model
from autoadapt.domain.params import DecodingParams, PromptedParams
from autoadapt.domain.selector import Order


class PromptParams(PromptedParams, DecodingParams):
    """What a prompt is made of and how the answer is read off."""

    shots: int = Field(default=0, ge=0, le=256)
    """Solved examples in the prompt."""
    shortlist: int = Field(default=0, ge=0, le=255)
    """Labels: how many of them the prompt offers, for each input those that are most likely by a model of words
    (TF-IDF with logistic regression on the training rows); only these are scored. 0, or as many as there are: all."""
    selector: str = "balanced"
    """Name of the few-shot selector; only with shots. With a shortlist it chooses among the rows of each offered label,
    and the labels take turns: as many shots as labels are one example of each."""
    order: Order = "best_last"
    """Order of the examples: the best one last, first, or grouped by their answers; only with shots."""
    passages: int = Field(default=0, ge=0, le=64)
    """Passages of the task's documents in the prompt, those that BM25 finds for the input; 0: none (closed book).
    Searched with `documents` in the task alone, like the two that follow."""
    chunk_words: int = Field(default=120, ge=5, le=4000)
    """Words of a passage at most; documents are cut into pieces of about equal length."""
    passage_position: Position = "before"
    """Whether passages stand before or after the input; a template that reads `passages` places them itself."""
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
        "shortlist",
        "reasoning",
        "samples",
        "reasoning_effort",
    )
    branch: ClassVar[Mapping[str, Any]] = {
        "shots": [0, 2, 4, 8, 16],
        "shortlist": {"search": [0, 4, 8, 16], "when": {"answers": "label", "labels": "many"}},
        "selector": {
            "search": ["random", "balanced", "nearest", "nearest_embedding", "diverse", "hard"],
            "when": {"shots": [2, 4, 8, 16]},
        },
        "order": {
            "search": ["best_last", "best_first", "by_label"],
            "when": {"selector": ["nearest", "nearest_embedding", "diverse"]},
        },
        "reasoning": {"search": ["none", "steps"], "when": {"reasons": True}},
        "reasoning_tokens": {"search": [64, 128, 256], "when": {"reasoning": "steps"}},
        "samples": {"search": [1, 5], "when": {"reasoning": "steps"}},
        "temperature": {"search": [0.5, 0.7, 1.0], "when": {"samples": 5}},
        "top_p": {"search": [0.9, 1.0], "when": {"samples": 5}},
        "label_score": {"search": ["sum", "mean", "calibrated"], "when": {"answers": "label", "reasoning": "none"}},
        "num_beams": {"search": [1, 3], "when": {"answers": "text", "reasoning": "none"}},
        "stop": {"search": ["auto", "line"], "when": {"answers": "text"}},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"shots": 0},
        {"shots": 8, "selector": "nearest"},
        {"shots": 8, "shortlist": 8, "selector": "nearest"},
    )

    def serving_class(self, name: str, params: Mapping[str, Any]) -> str:
        """Examples by vectors take one more pass of the model over the input, and passages have to be found."""
        embeds, retrieves = params.get("selector") == "nearest_embedding", bool(params.get("passages"))
        own = super().serving_class(name, params)
        return own + (" selector=nearest_embedding" if embeds else "") + (" retrieval" if retrieves else "")

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
