"""autoadapt registry: versions of exported options, and the aliases that point to them."""

from pathlib import Path
from typing import Annotated

import typer

from autoadapt.shown_text import inert_json

registry = typer.Typer(
    help="Keep versions of exported options; promote one and roll back.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Under which versions are kept.", show_default=False)]
Number = Annotated[int, typer.Argument(help="Number of a version.", show_default=False)]
Alias = Annotated[str, typer.Option(help="That points to a version.")]


@registry.command("add")
def add(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Under which it is kept. Default: that of its task.")] = None,
    alias: Annotated[str | None, typer.Option(help="Let this alias point to it, such as candidate.")] = None,
) -> None:
    """Copy a bundle into the registry as the next version."""
    from autoadapt.api.registry import add_version

    version, new = add_version(bundle, name, alias)
    known = "" if new else ", which was there already"
    pointing = f"; {version.name}@{alias} points to it" if alias else ""
    print(f"{version.name} version {version.number}{known}{pointing}")


@registry.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Default: all names.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List versions, with the aliases that point to them."""
    from autoadapt.api.registry import list_versions
    from autoadapt.display.terminal.versions import print_versions, versions_json

    versions = list_versions(name)
    if as_json:
        print(inert_json(versions_json(versions)))
    else:
        print_versions(versions)


@registry.command("promote")
def promote(name: Name, number: Number, alias: Alias = "production") -> None:
    """Let an alias point to a version."""
    from autoadapt.api.registry import promote as point

    before = point(name, number, alias)
    was = "it is new" if before is None else f"it was version {before}"
    print(f"{name}@{alias} is version {number}; {was}")


@registry.command("rollback")
def roll_back(name: Name, alias: Alias = "production") -> None:
    """Let an alias point to what it pointed to before."""
    from autoadapt.api.registry import roll_back as back

    before, now = back(name, alias)
    print(f"{name}@{alias} is version {now} again; it was version {before}")


@registry.command("mlflow")
def mlflow(
    name: Name,
    number: Number,
    alias: Annotated[str | None, typer.Option(help="Let this alias point to it there, such as champion.")] = None,
) -> None:
    """Upload a version to the model registry of MLflow (MLFLOW_TRACKING_URI)."""
    from autoadapt.api.registry import register_in_mlflow

    made = register_in_mlflow(name, number, alias)
    known = "" if made.new else ", which was there already"
    pointing = f"; {made.name}@{alias} points to it there" if alias else ""
    print(f"{name} version {number} is version {made.number} of {made.name} in MLflow{known}{pointing}")


@registry.command("diff")
def diff(
    name: Name,
    first: Number,
    second: Number,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what differs between two versions: figures, parameters and prompt."""
    from autoadapt.api.registry import compare_versions

    found = compare_versions(name, first, second)
    if as_json:
        from autoadapt.cli.printing import print_json

        print_json(found)
        return
    from autoadapt.display.terminal.versions import print_difference

    print_difference(found)
