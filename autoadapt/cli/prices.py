"""autoadapt prices: the price book."""

import json
from pathlib import Path
from typing import Annotated

import typer


def prices(
    text: Annotated[str, typer.Argument(help="Only prices whose name contains this text.", show_default=False)] = "",
    token: Annotated[str | None, typer.Option(help="Token price of a model behind an API, by its id.")] = None,
    book: Annotated[Path | None, typer.Option(help="A further price file of your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List prices of devices and tokens with their source and date."""
    from autoadapt.errors import UserError
    from autoadapt.tasks.prices import Prices

    known = Prices(book)
    if token is not None:
        listed = [known.token(token)]
    else:
        every = [*known.devices.values(), *known.tokens.values()]
        listed = [p for p in every if text.lower() in p.name]  # type: ignore[misc]
        if not listed:
            raise UserError(f"no price has a name that contains '{text}': `autoadapt prices` lists all")
    if as_json:
        print(json.dumps([json.loads(p.model_dump_json()) for p in listed], indent=1))
        return
    from autoadapt.display.terminal.prices import print_prices

    print_prices(listed)
