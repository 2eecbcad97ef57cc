"""Prompting: zero- or few-shot, no weight is changed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from autoadapt.domain.method import Adapted, Context, Decoding, Method, Model
from autoadapt.domain.params import PromptedParams
from autoadapt.domain.selector import Order


class PromptParams(PromptedParams):
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
    label_score: Literal["sum", "mean", "calibrated"] = "sum"
    """Labels: log-likelihood summed over tokens, its mean, or the sum less that after an input without content
    (contextual calibration, Zhao et al. 2021)."""
    num_beams: int = Field(default=1, ge=1, le=16)
    """Free text: 1 is greedy decoding, more is beam search."""
    label_way: Literal["auto", "schema", "logprobs", "decisions", "text"] = "auto"
    """Labels, models behind a server: by a schema that allows labels alone, by the log-probabilities of option letters,
    by a typed question (decisions), or by free text in which a label is looked for; auto: the first that works."""


class Prompt(Method):
    """Asks the base model as it is."""

    Params: ClassVar[type[BaseModel]] = PromptParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("reads_prompts",)
    shares_base: ClassVar[bool] = True
    served_as: ClassVar[str] = "model"
    serving_params: ClassVar[tuple[str, ...]] = ("num_beams", "label_way", "shortlist")
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
        "label_score": {"search": ["sum", "mean", "calibrated"], "when": {"answers": "label"}},
        "num_beams": {"search": [1, 3], "when": {"answers": "text"}},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"shots": 0},
        {"shots": 8, "selector": "nearest"},
        {"shots": 8, "shortlist": 8, "selector": "nearest"},
    )

    def serving_class(self, name: str, params: Mapping[str, Any]) -> str:
        """Examples by vectors take one more pass of the model over the input."""
        embeds = params.get("selector") == "nearest_embedding"
        return super().serving_class(name, params) + (" selector=nearest_embedding" if embeds else "")

    def fit(self, context: Context, model: Model) -> Adapted:
        params = PromptParams.model_validate(context.job.candidate.params)
        return model.prompt(
            Decoding(label_score=params.label_score, num_beams=params.num_beams, label_way=params.label_way)
        )
