"""The price of an option's tokens at a model behind an API, whose quality was not measured."""

from collections.abc import Sequence
from decimal import Decimal

from autoadapt.domain.comparison import ApiPrice, Terms
from autoadapt.domain.option import RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.economics import costs
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.economics.pricer import Pricer

CACHED_FROM = 1024
"""Tokens at the beginning of a prompt from which providers cache them (documentation of OpenAI and others)."""


def api_price(
    raws: Sequence[RawOption], recommended: RawOption | None, terms: Terms, loaded_share: Decimal, quote: TokenPrice
) -> ApiPrice:
    """The price of the same tokens at a provider, and from which volume the recommended option costs less.

    Tokens are those of the recommended option's prompt, or of the best option's where none is recommended; another
    model's tokenizer counts them differently.

    Args:
        raws: at least one option.
        recommended: None: no option satisfies the constraints.
        terms: the scenario.
        loaded_share: see `economics.pricer`.
        quote: the provider's price.
    """
    raw = recommended or max(raws, key=lambda r: r.quality_expected)
    read = [Decimal(raw.tokens_in) / raw.rows, *(Decimal(repr(end)) for end in raw.tokens_in_ci)]
    written = [Decimal(raw.tokens_out) / raw.rows, *(Decimal(repr(end)) for end in raw.tokens_out_ci)]
    lengths = [terms.outputs[1], terms.outputs[0], terms.outputs[2]]
    likely, low, high = (_usd_per_1k(raw, quote, *tokens) for tokens in zip(read, written, lengths, strict=True))
    return ApiPrice(
        model=quote.name,
        usd_per_1k=likely,
        low=low,
        high=high,
        usd_per_month=likely * terms.cell().volume / 1000,
        source=quote.source,
        cheaper_from=None
        if recommended is None
        else _cheaper_from(pricer_of(recommended, terms, loaded_share), likely),
    )


def _usd_per_1k(raw: RawOption, quote: TokenPrice, read: Decimal, written: Decimal, length: Decimal) -> Decimal:
    fresh = quote.input
    prices = costs.TokenPrices(
        fresh=fresh,
        cache_read=fresh if quote.cached is None else quote.cached,
        cache_write=fresh if quote.cache_write is None else quote.cache_write,
        output=quote.output,
    )
    shared = Decimal(raw.tokens_shared if raw.tokens_shared >= CACHED_FROM else 0)
    output = written * (length if raw.free_text else 1)
    return costs.api_usd_per_1k(costs.TokenUse(max(read - shared, Decimal(0)), output, cache_read=shared), prices)


def _cheaper_from(pricer: Pricer, usd_per_1k: Decimal) -> Decimal | None:
    """Queries a month from which an option costs less than a price per 1,000; 0: everywhere; None: nowhere."""
    cell = pricer.terms.cell()

    def difference(volume: Decimal) -> Decimal:
        return pricer.month_usd(cell.model_copy(update={"volume": volume})) - usd_per_1k * volume / 1000

    crossings = costs.break_even(difference)
    if crossings:
        return crossings[-1] if difference(Decimal(10) ** 10) < 0 else None
    return Decimal(0) if difference(Decimal(100)) < 0 else None
