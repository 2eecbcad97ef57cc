"""autoadapt schema: the JSON Schema of task.yaml."""

import json


def schema() -> None:
    """Print the JSON Schema of task.yaml, for editors."""
    from autoadapt.api.schema import schema as task_schema

    print(json.dumps(task_schema(), indent=1))
