"""Nearest: the answer of the training row whose input is nearest by TF-IDF; the floor of free text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.params import LearningParams, WordParams


class NearestParams(LearningParams):
    """What is counted of a text."""

    units: Literal["words", "characters", "both"] = "both"
    """Single words and pairs of words, or two to five characters within words, or both."""


class Nearest(Method):
    """Copies an answer, so that it writes nothing of its own."""

    Params: ClassVar[type[BaseModel]] = NearestParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("counts_words",)
    answers: ClassVar[tuple[AnswerKind, ...]] = ("text",)
    floor: ClassVar[bool] = True
    one_rung: ClassVar[bool] = True
    most_trials: ClassVar[int | None] = 3
    branch: ClassVar[Mapping[str, Any]] = {"units": ["words", "characters", "both"]}
    first: ClassVar[Sequence[Mapping[str, Any]]] = ({"units": "both"},)

    def fit(self, context: Context, model: Model) -> Adapted:
        params = NearestParams.model_validate(context.job.candidate.params)
        return model.fit_words("nearest", WordParams(units=params.units))
