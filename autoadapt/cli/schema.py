"""autoadapt schema: the JSON Schema of task.yaml."""

import json


def schema() -> None:
    """Print the JSON Schema of task.yaml, for editors."""
    from autoadapt.domain.task import Task

    print(json.dumps(Task.model_json_schema(), indent=1))
