"""Models that a task can name: the named ones, here or not, and those that lie in the hub's cache."""

from pathlib import Path
from typing import TYPE_CHECKING

from autoadapt.domain.strict import StrictModel
from autoadapt.errors import UserError
from autoadapt.model_files import check_model_folder, count_weights
from autoadapt.named_models import NAMED, NamedModel, named_folder
from autoadapt.shelves import FAMILIES
from autoadapt.tasks.found_models import find_model
from autoadapt.tasks.model_downloads import size_of

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo


class ListedModel(StrictModel):
    """A model that `models:` of a task can name."""

    name: str
    family: str
    parameters: int
    bytes: int | None
    """On disk; None: it is not on this machine."""
    licence: str | None
    """Of the weights; None: not known here."""
    folder: str | None
    get: str | None
    """The command that gets it; None: it is here."""


def list_models() -> list[ListedModel]:
    """Named models, here or not, and then those of the hub's cache that could be used; nothing is fetched."""
    return [*(_named(model) for model in NAMED.values()), *_hub_cache()]


def _named(model: NamedModel) -> ListedModel:
    folder = named_folder(model.name)
    return ListedModel(
        name=model.name,
        family=model.family,
        parameters=model.parameters,
        bytes=None if folder is None else size_of(folder),
        licence=model.licence,
        folder=None if folder is None else str(folder),
        get=f"autoadapt models get {model.name}" if folder is None else None,
    )


def _hub_cache() -> list[ListedModel]:
    """Models that earlier downloads have left in the hub's cache, whole and of a family that is known here."""
    import huggingface_hub
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = huggingface_hub.scan_cache_dir()
    except CacheNotFound:
        return []
    models = sorted((r for r in cache.repos if r.repo_type == "model"), key=lambda r: r.repo_id)
    listed = [_in_cache(model) for model in models]
    return [model for model in listed if model is not None]


def _in_cache(repository: "CachedRepoInfo") -> ListedModel | None:
    """The newest commit of a repository that can be used; None: there is none."""
    for revision in sorted(repository.revisions, key=lambda r: r.last_modified, reverse=True):
        folder = revision.snapshot_path
        try:
            check_model_folder(folder, repository.repo_id)
            reference = find_model(str(folder), Path(), download=False)
            parameters = FAMILIES.get(reference.family).capabilities(reference).parameters
        except UserError:
            continue
        return ListedModel(
            name=repository.repo_id,
            family=reference.family,
            parameters=parameters or count_weights(folder),
            bytes=revision.size_on_disk,
            licence=None,
            folder=str(folder),
            get=None,
        )
    return None
