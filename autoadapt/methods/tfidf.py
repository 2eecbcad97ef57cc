"""TF-IDF: weighted counts of words and characters with a linear classifier, by scikit-learn."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.params import WordParams


class Tfidf(Method):
    """Learns in a fraction of a second and answers in less than a millisecond."""

    Params: ClassVar[type[BaseModel]] = WordParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("counts_words",)
    answers: ClassVar[tuple[AnswerKind, ...]] = ("label", "labels")
    floor: ClassVar[bool] = True
    one_rung: ClassVar[bool] = True
    most_trials: ClassVar[int | None] = 6
    serving_params: ClassVar[tuple[str, ...]] = ("units", "classifier")
    branch: ClassVar[Mapping[str, Any]] = {
        "units": ["words", "characters", "both"],
        "classifier": ["logistic_regression", "linear_svm"],
        "C": {"low": 0.1, "high": 1000.0, "log": True},
    }
    first: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"units": "both", "classifier": "logistic_regression", "C": 10.0},
        {"units": "both", "classifier": "linear_svm", "C": 1.0},
    )

    def fit(self, context: Context, model: Model) -> Adapted:
        return model.fit_words("tfidf", WordParams.model_validate(context.job.candidate.params))
