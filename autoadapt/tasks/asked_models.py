"""Models that a metric asks: found by name and priced like those of the task."""

from collections.abc import Mapping
from pathlib import Path

from autoadapt.domain.metric import Metric
from autoadapt.domain.model import ModelReference
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.tasks.found_models import found_model


def models_asked(metric: Metric, task: Task, base: Path) -> tuple[Mapping[str, ModelReference], list[str]]:
    """The models that a metric asks, by name, with settings and prices, and warnings of old prices.

    Args:
        metric: of the task.
        task: its settings of remote models and its prices.
        base: folder of the task file.

    Raises:
        UserError: one is behind no server, or its price or key is not known.
    """
    models: dict[str, ModelReference] = {}
    warnings: list[str] = []
    for name in metric.models():
        found = found_model(name, task, base, download=False)
        if not found.capabilities.remote:
            raise UserError(
                f"model '{name}' is asked over a network; name one behind a server, such as openai:NAME or "
                "server:NAME@URL"
            )
        models[name] = found.reference
        warnings += found.warnings
    return models, warnings
