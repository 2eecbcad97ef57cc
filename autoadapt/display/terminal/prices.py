"""The price book."""

from collections.abc import Sequence

from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.domain.prices import STALE_DAYS, DevicePrice, TokenPrice


def print_prices(prices: Sequence[DevicePrice | TokenPrice]) -> None:
    """Prints prices with provider, region, tier, source, date and age."""
    console = terminal()
    rows = []
    for price in prices:
        old = f"; older than {STALE_DAYS} days" if price.stale_now() else ""
        rows.append((price.name, _usd(price), f"{price.source}, {price.date or 'undated'}{old}"))
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for name, usd, source in rows:
        console.print(plain(f"{name:<{widths[0]}}  {usd:>{widths[1]}}  {source}"), soft_wrap=True)


def _usd(price: DevicePrice | TokenPrice) -> str:
    if isinstance(price, DevicePrice):
        return f"${price.usd_per_hour} / h"
    cached = "" if price.cached is None else f" / {price.cached} cached"
    return f"${price.input} in{cached} / {price.output} out per 1M tokens"
