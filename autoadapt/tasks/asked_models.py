"""Models that a metric asks: found by name and priced like those of the task."""

from collections.abc import Callable, Mapping
from pathlib import Path

from autoadapt.domain.metric import Metric
from autoadapt.domain.model import ModelReference
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.tasks.remote_models import with_settings

REMOTE = "remote"
"""The family of models behind servers."""


def models_asked(
    metric: Metric, task: Task, base: Path, find: Callable[[str, Path, bool], ModelReference]
) -> tuple[Mapping[str, ModelReference], list[str]]:
    """The models that a metric asks, by name, with settings and prices, and warnings of old prices.

    Args:
        metric: of the task.
        task: its settings of remote models and its prices.
        base: folder of the task file.
        find: finds a model by name.

    Raises:
        UserError: one is behind no server, or its price or key is not known.
    """
    models: dict[str, ModelReference] = {}
    warnings: list[str] = []
    for name in metric.models():
        model = find(name, base, False)
        if model.family != REMOTE:
            raise UserError(
                f"model '{name}' is asked over a network; name one behind a server, such as openai:NAME or "
                "server:NAME@URL"
            )
        models[name], old_prices = with_settings(model, task, base)
        warnings += old_prices
    return models, warnings
