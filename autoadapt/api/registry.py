"""Registry: versions of exported options, with aliases; what ``autoadapt registry`` calls."""

from pathlib import Path

from autoadapt.bundle.mlflow_registry import Registered, register
from autoadapt.bundle.version_difference import VersionDifference, version_difference
from autoadapt.bundle.versions import PRODUCTION, Version, VersionRegistry, located


def add_version(bundle: str | Path, name: str | None = None, alias: str | None = None) -> tuple[Version, bool]:
    """Copies a bundle into the registry as the next version of a name, and whether it is new.

    Args:
        bundle: its folder.
        name: under which; None: that of its task.
        alias: that shall point to it; None: none.

    Raises:
        UserError: the bundle is damaged, belongs to another task than the name, or the registry cannot be written.
    """
    registry = VersionRegistry()
    version, new = registry.add(located(bundle)[0], name)
    if alias is not None:
        registry.promote(version.name, version.number, alias)
    return version, new


def list_versions(name: str | None = None) -> list[Version]:
    """The versions of a name, or of all names.

    Raises:
        UserError: there is no such name.
    """
    registry = VersionRegistry()
    return [version for each in ([name] if name else registry.names()) for version in registry.versions(each)]


def promote(name: str, number: int, alias: str = PRODUCTION) -> int | None:
    """Lets an alias point to a version; returns the version it pointed to, None: it is new.

    Raises:
        UserError: there is no such version, or it is damaged.
    """
    return VersionRegistry().promote(name, number, alias)


def roll_back(name: str, alias: str = PRODUCTION) -> tuple[int, int]:
    """Lets an alias point to what it pointed to before; returns the version before and the one now.

    Raises:
        UserError: there is no such alias, or it has pointed to one version alone.
    """
    return VersionRegistry().roll_back(name, alias)


def compare_versions(name: str, first: int, second: int) -> VersionDifference:
    """What differs between two versions of a name.

    Raises:
        UserError: there is no such version.
    """
    registry = VersionRegistry()
    return version_difference(registry.resolve(f"{name}@{first}"), registry.resolve(f"{name}@{second}"))


def register_in_mlflow(name: str, number: int, alias: str | None = None) -> Registered:
    """Uploads a version to the model registry of MLflow, that of the environment variable `MLFLOW_TRACKING_URI`.

    Args:
        name: of the version.
        number: of it.
        alias: that shall point to it there; None: none.

    Raises:
        UserError: there is no such version, MLflow is absent, or it cannot be reached or refuses.
    """
    return register(VersionRegistry().resolve(f"{name}@{number}"), alias)
