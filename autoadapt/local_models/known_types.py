"""Types of models that the installed transformers can load, read from its source, because importing it needs torch."""

import ast
import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoadapt.errors import UserError, did_you_mean

CAUSAL, ANY = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_MAPPING_NAMES"
"""Tables of transformers: types of models that AutoModelForCausalLM, and AutoModel, load."""


def check_type(name: str, config: Mapping[str, Any], table: str, what: str) -> None:
    """Checks that transformers can load a model of this configuration.

    Args:
        name: of the model, for the message.
        config: content of config.json; of an empty one nothing is known.
        table: `CAUSAL` or `ANY`.
        what: a model of the table in words.

    Raises:
        UserError: it cannot; the message names the nearest type.
    """
    known = types_in(table)
    if not config or not known or config.get("model_type") in known:
        return
    stated, version = config.get("model_type"), importlib.metadata.version("transformers")
    if not isinstance(stated, str):
        raise UserError(
            f"model '{name}': its config.json states no model_type (a text such as \"llama\"), by which transformers "
            "knows how to load it; copy config.json again from where the model was published"
        )
    nearest = did_you_mean(stated, known).partition("Known:")[0].strip()
    raise UserError(
        f"model '{name}': transformers {version} knows no {what} of type '{stated[:80]}' (model_type in config.json); "
        f"{nearest}{' ' if nearest else ''}Name another model, or install a version of transformers that knows it"
    )


@functools.cache
def types_in(table: str) -> frozenset[str]:
    """The types of a table; empty where transformers writes it in another way, so that nothing is refused by it."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    file = Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py"
    try:
        statements = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError):
        return frozenset()
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[ast.List(elts=pairs)])) if name == table:
                firsts = [pair.elts[0] for pair in pairs if isinstance(pair, ast.Tuple)]
                return frozenset(str(first.value) for first in firsts if isinstance(first, ast.Constant))
    return frozenset()
