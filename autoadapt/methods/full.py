"""Full fine-tuning: every weight is trained."""

from typing import ClassVar

from pydantic import BaseModel

from autoadapt.domain.params import TunedParams
from autoadapt.domain.plugins import Adapted, Context, Method


class FullParams(TunedParams):
    """The training loop's parameters, nothing more."""


class Full(Method):
    """Trains a copy of the whole model."""

    Params: ClassVar[type[BaseModel]] = FullParams
    tunes: ClassVar[bool] = True

    def fit(self, context: Context) -> Adapted:
        from autoadapt.models.causal_lm import adapting

        return adapting.tune(context, FullParams.model_validate(context.step.candidate.params), adapter=None)
