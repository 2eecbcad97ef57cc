"""The price of the task's prompts at a model behind an API."""

from collections.abc import Sequence
from decimal import Decimal

from autoadapt.domain.comparison import ApiPrice, Terms
from autoadapt.domain.option import RawOption
from autoadapt.domain.prices import TokenPrice
from autoadapt.economics import costs
from autoadapt.economics.cascade_pricer import pricer_of
from autoadapt.economics.pricer import Pricer

PROMPT = "prompt"
"""The method that asks a model without training."""
CACHED_FROM = 1024
"""Tokens at the beginning of a prompt from which providers cache them (documentation of OpenAI and others)."""


def api_price(
    raws: Sequence[RawOption], recommended: RawOption | None, terms: Terms, loaded_share: Decimal, quote: TokenPrice
) -> ApiPrice:
    """The price of the task's prompts at a provider, and from which volume the recommended option costs less.

    A tuned option needs no instruction and no examples, a model that is only prompted does: priced is the best prompt
    that was measured without training. Where the provider's model itself was measured, its bill is the price. Another
    model's tokenizer counts tokens differently.

    Args:
        raws: at least one option.
        recommended: None: no option satisfies the constraints.
        terms: the scenario.
        loaded_share: see `economics.pricer`.
        quote: the provider's price.
    """
    trials = [raw for raw in raws if raw.cascade is None]
    same = [raw for raw in trials if raw.model in (quote.name, quote.model) and raw.answering.usd]
    prompts = [raw for raw in trials if raw.method == PROMPT]
    raw = max(same or prompts or trials or raws, key=lambda r: r.quality_expected)
    reasoning = Decimal(0) if same else Decimal(repr(terms.scenario.api_reasoning_tokens))
    read = [Decimal(raw.tokens_in) / raw.rows, *(Decimal(repr(end)) for end in raw.tokens_in_ci)]
    written = [Decimal(raw.tokens_out) / raw.rows, *(Decimal(repr(end)) for end in raw.tokens_out_ci)]
    lengths = [terms.outputs[1], terms.outputs[0], terms.outputs[2]]
    if same:
        billed, decode = Decimal(repr(raw.answering.usd)) * 1000 / raw.rows, Decimal(repr(raw.decode_share))
        likely, low, high = (billed * (1 + decode * (length - 1)) for length in lengths)
    else:
        outputs = [tokens * (length if raw.free_text else 1) for tokens, length in zip(written, lengths, strict=True)]
        likely, low, high = (
            _usd_per_1k(raw, quote, tokens, output + reasoning) for tokens, output in zip(read, outputs, strict=True)
        )
    monitored = likely + terms.scenario.monitoring_usd_per_1k
    pricer = None if recommended is None else pricer_of(recommended, terms, loaded_share)
    return ApiPrice(
        model=quote.name,
        prompt_of=raw.trial,
        measured=bool(same),
        tokens_in=float(read[0]),
        tokens_out=float(written[0] + reasoning),
        usd_per_1k=likely,
        low=low,
        high=high,
        usd_per_month=monitored * terms.cell().volume / 1000,
        source=quote.source,
        cheaper_from=None if pricer is None else _cheaper_from(pricer, monitored),
    )


def _usd_per_1k(raw: RawOption, quote: TokenPrice, read: Decimal, written: Decimal) -> Decimal:
    fresh = quote.input
    prices = costs.TokenPrices(
        fresh=fresh,
        cache_read=fresh if quote.cached is None else quote.cached,
        cache_write=fresh if quote.cache_write is None else quote.cache_write,
        output=quote.output,
    )
    shared = Decimal(raw.tokens_shared if raw.tokens_shared >= CACHED_FROM else 0)
    return costs.api_usd_per_1k(costs.TokenUse(max(read - shared, Decimal(0)), written, cache_read=shared), prices)


def _cheaper_from(pricer: Pricer, usd_per_1k: Decimal) -> Decimal | None:
    """Queries a month from which an option costs less than a price per 1,000; 0: everywhere; None: nowhere."""
    cell = pricer.terms.cell()

    def difference(volume: Decimal) -> Decimal:
        return pricer.month_usd(cell.model_copy(update={"volume": volume})) - usd_per_1k * volume / 1000

    crossings = costs.break_even(difference)
    if crossings:
        return crossings[-1] if difference(Decimal(10) ** 10) < 0 else None
    return Decimal(0) if difference(Decimal(100)) < 0 else None
