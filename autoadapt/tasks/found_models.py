"""The models that a task names, found by the families that claim their names."""

import os
from dataclasses import dataclass
from pathlib import Path

from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.task import Task
from autoadapt.model_files import unknown_model
from autoadapt.registry import REFERENCE, expanded
from autoadapt.shelves import FAMILIES
from autoadapt.tasks.remote_models import with_settings


@dataclass(frozen=True)
class FoundModel:
    """A model that a task names.

    Args:
        reference: with the task's settings, where it is behind a server.
        capabilities: what can be done with it.
        warnings: of an old price.
    """

    reference: ModelReference
    capabilities: Capabilities
    warnings: tuple[str, ...] = ()


def found_model(name: str, task: Task, base: Path, download: bool) -> FoundModel:
    """A model that a task names.

    Args:
        name: as written.
        task: settings of remote models, and prices.
        base: folder of the task file.
        download: fetch it where it is not on this machine.

    Raises:
        UserError: no family claims it, it is not there, or its price or key is not known.
    """
    reference = find_model(name, base, download)
    family = FAMILIES.get(reference.family)
    capabilities = family.capabilities(reference)
    if not capabilities.remote:
        return FoundModel(reference, capabilities)
    reference, warnings = with_settings(reference, task, base)
    return FoundModel(reference, family.capabilities(reference), tuple(warnings))


def find_model(name: str, base: Path, download: bool) -> ModelReference:
    """A base model by the family that claims its name.

    Raises:
        UserError: no family does, or it finds no such model.
    """
    asked = expanded(name)
    families = FAMILIES.names()
    claiming = [f for f in families if _claims(f, asked, base)]
    if not claiming:
        raise unknown_model(asked, base)
    # third-party families come first, so that they can claim what a built-in one would take for a folder or a hub id
    family = next((f for f in claiming if not FAMILIES.is_built_in(f)), claiming[0])
    model = FAMILIES.get(family).find(asked, base, download)
    location = model.location
    for variable in REFERENCE.findall(name):
        location = location.replace(os.environ[variable], f"${{{variable}}}")
    return model.model_copy(update={"name": name, "location": location})


def _claims(family: str, name: str, base: Path) -> bool:
    with FAMILIES.blamed(family):
        return FAMILIES.get(family).claims(name, base)
