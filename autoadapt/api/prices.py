"""Prices: what devices and tokens cost, dated and with source; what ``autoadapt prices`` calls."""

from pathlib import Path

from autoadapt.domain.prices import DevicePrice, TokenPrice
from autoadapt.tasks.prices import Prices


def prices(text: str = "", book: str | Path | None = None) -> list[DevicePrice | TokenPrice]:
    """Prices whose name has a text in it, dated and with source; like ``autoadapt prices``.

    Args:
        text: a part of PROVIDER/DEVICE/TIER or PROVIDER/MODEL/TIER; empty: all.
        book: your own price file, whose entries override those of the package.

    Raises:
        UserError: the file cannot be read.
    """
    known = Prices(None if book is None else Path(book))
    every: list[DevicePrice | TokenPrice] = [*known.devices.values(), *known.tokens.values()]
    return [price for price in every if text.lower() in price.name]


def token_price(model: str, book: str | Path | None = None) -> TokenPrice:
    """The price of a model's tokens, by its full name in a price file or by its id as providers call it.

    Raises:
        UserError: it is unknown.
    """
    return Prices(None if book is None else Path(book)).token(model)
