"""Head: frozen features of a model with a logistic regression on top; the model itself is not changed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.params import HeadParams


class Head(Method):
    """Computes the features of every row once, and fits a classifier to them in seconds."""

    Params: ClassVar[type[BaseModel]] = HeadParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("embeds",)
    answers: ClassVar[tuple[AnswerKind, ...]] = ("label", "labels")
    one_rung: ClassVar[bool] = True
    shares_base: ClassVar[bool] = True
    served_as: ClassVar[str] = "features"
    serving_params: ClassVar[tuple[str, ...]] = ("depth",)
    branch: ClassVar[Mapping[str, Any]] = {
        "pooling": ["mean", "last"],
        "scaling": ["unit", "standard"],
        "depth": [0.7, 0.5, 1.0],
        "C": {"low": 1.0, "high": 1000.0, "log": True},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"pooling": "mean", "scaling": "standard", "depth": 0.7, "C": 30.0},
    )

    def fit(self, context: Context, model: Model) -> Adapted:
        return model.fit_head(HeadParams.model_validate(context.job.candidate.params))
