"""autoadapt prices: the price book."""

import json
from pathlib import Path
from typing import Annotated

import typer


def prices(
    text: Annotated[str, typer.Argument(help="Only prices whose name contains this text.", show_default=False)] = "",
    token: Annotated[str | None, typer.Option(help="Token price of a model behind an API, by its id.")] = None,
    book: Annotated[Path | None, typer.Option(help="Your own price file; it overrides the built-in prices.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List prices of devices and tokens with their source and date."""
    from autoadapt.api.prices import prices as known_prices
    from autoadapt.api.prices import token_price
    from autoadapt.errors import UserError

    listed = [token_price(token, book)] if token is not None else known_prices(text, book)
    if not listed:
        raise UserError(f"no name of a price contains '{text}': `autoadapt prices` lists all")
    if as_json:
        print(json.dumps([json.loads(p.model_dump_json()) for p in listed], indent=1))
        return
    from autoadapt.display.terminal.prices import print_prices

    print_prices(listed)
