"""A task on scripted models, which need no torch, and its search in this process."""

import json
from pathlib import Path
from typing import Any

from conftest import EVALUATION, SPACE, labelled_rows


def write_scripted_task(folder: Path, rows: int = 180, **changes: Any) -> Path:
    """Writes data, search space and task file; `changes` replace lines of the task, None drops one."""
    (folder / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in labelled_rows(rows)))
    (folder / "space.yaml").write_text(SPACE)
    task = {
        "name": "fruits",
        "data": {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
        "metric": "accuracy",
        "models": ["scripted"],
        "methods": ["prompt", "lora", "full"],
        "floor": False,
        "search_space": "space.yaml",
        "budget": {"trials": 6},
        "economics": {"usd_per_hour": 1},
        "evaluation": EVALUATION,
        "compute": {"on_cpu": True},
        **changes,
    }
    file = folder / "task.yaml"
    file.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in task.items() if v is not None))
    return file
