"""Prompting: zero- or few-shot, no weight is changed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from autoadapt.domain.method import Adapted, Context, Decoding, Method, Model
from autoadapt.domain.params import PromptedParams


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
    serving_params: ClassVar[tuple[str, ...]] = ("num_beams", "label_way")
    branch: ClassVar[Mapping[str, Any]] = {
        "shots": [0, 2, 4, 8, 16],
        "selector": {"search": ["random", "balanced", "nearest"], "when": {"shots": [2, 4, 8, 16]}},
        "label_score": {"search": ["sum", "mean", "calibrated"], "when": {"answers": "label"}},
        "num_beams": {"search": [1, 3], "when": {"answers": "text"}},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = ({"shots": 0}, {"shots": 8, "selector": "nearest"})

    def fit(self, context: Context, model: Model) -> Adapted:
        params = PromptParams.model_validate(context.job.candidate.params)
        return model.prompt(
            Decoding(label_score=params.label_score, num_beams=params.num_beams, label_way=params.label_way)
        )
