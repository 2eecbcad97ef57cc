"""What commands with ``--json`` print."""

import json
from typing import Any

from pydantic import BaseModel

from autoadapt.shown_text import inert_json


def print_json(value: Any) -> None:
    """Prints plain JSON values, or a model, over several lines; control characters stand in it as escapes.

    Args:
        value: plain, or a model at the top.
    """
    plain = json.loads(value.model_dump_json()) if isinstance(value, BaseModel) else value
    print(inert_json(json.dumps(plain, indent=1, ensure_ascii=False)))
