"""Majority: the most frequent answer of the training rows, whatever the input."""

from typing import ClassVar

from pydantic import BaseModel

from autoadapt.domain.method import Adapted, Context, Method, Model
from autoadapt.domain.params import WordParams
from autoadapt.domain.strict import StrictModel


class MajorityParams(StrictModel):
    """It has none."""


class Majority(Method):
    """The least that any option must be better than."""

    Params: ClassVar[type[BaseModel]] = MajorityParams
    tunes: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("counts_words",)
    floor: ClassVar[bool] = True
    one_rung: ClassVar[bool] = True
    most_trials: ClassVar[int | None] = 1
    first: ClassVar[tuple[dict[str, str], ...]] = ({},)

    def fit(self, context: Context, model: Model) -> Adapted:
        return model.fit_words("majority", WordParams())
