"""Schema: the JSON Schema of task.yaml; what ``autoadapt schema`` calls."""

from typing import Any

from autoadapt.domain.task import Task


def schema() -> dict[str, Any]:
    """The JSON Schema of task.yaml; like ``autoadapt schema``."""
    return Task.model_json_schema()
