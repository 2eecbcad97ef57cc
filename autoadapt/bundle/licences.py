"""The licence of a base model, where it is known."""

import re
from pathlib import Path

from autoadapt import model_files
from autoadapt.domain.model import ModelReference
from autoadapt.errors import UserError
from autoadapt.named_models import NAMED

STATED = re.compile(r"^license:\s*['\"]?([\w.+-]+)['\"]?\s*$", re.MULTILINE)


def licence_of(model: ModelReference) -> str | None:
    """The licence that a named model, or the front matter of a model folder's README.md, states; None: not known.

    Args:
        model: as the run has found it.
    """
    if model.family == "classical":
        return None
    if model.name in NAMED:
        return NAMED[model.name].licence
    try:
        folder = Path(model.place)
        folder = folder if folder.is_dir() else model_files.find_model(model.name, Path(), download=False)
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (UserError, OSError, UnicodeDecodeError):
        return None
    head = card.split("\n---", 1)[0] if card.startswith("---") else ""
    stated = STATED.search(head)
    return stated.group(1) if stated else None
