"""What a request to a server costs: before it is sent at most, and afterwards by what the server says."""

from decimal import Decimal

from autoadapt.domain.remote import TIER_FACTORS, RemoteModel
from autoadapt.providers.replies import Question, Reply, Tokens

BYTES_PER_TOKEN = 4
"""Of English text, about; where a server does not count, tokens are estimated by it."""
OVERHEAD_TOKENS = 64
"""Tokens of roles and templates around a prompt, at most."""
MILLION = Decimal(10) ** 6
Cost = tuple[float, bool]
"""USD, and whether they are estimated."""


class Tariff:
    """Prices of one model.

    Args:
        model: by tokens, by its share of an hour, or (neither is given) by nothing but device time.
    """

    def __init__(self, model: RemoteModel) -> None:
        self._model = model
        self.by_device_time = model.price is None and model.usd_per_hour is None

    def most(self, question: Question) -> float:
        """The most that a request can cost in USD: no byte makes more than one token, and none is found in a cache."""
        if self._model.usd_per_hour is not None:
            return self._usd_of_seconds(self._model.timeout_s)
        choices = sum(len(choice.encode()) for choice in question.choices)
        read = len(question.prompt.encode()) + len(question.question.encode()) + choices + OVERHEAD_TOKENS
        return self._usd(Tokens(fresh=read, out=question.max_tokens), Decimal(1))

    def cost(self, question: Question, reply: Reply, busy_seconds: float) -> Cost:
        """What a request that was answered has cost.

        Args:
            question: what was asked.
            reply: what came back.
            busy_seconds: the request's share of the server's time.
        """
        if self._model.usd_per_hour is not None:
            return self._usd_of_seconds(busy_seconds), True
        factor = TIER_FACTORS[self._model.tier]
        if self._model.tier == "flex" and reply.tier not in ("", "flex"):
            factor = Decimal(1)  # the provider has served it in another tier
        if reply.tokens is not None:
            return self._usd(reply.tokens, factor), False
        return self._usd(estimated_tokens(question, reply), factor), not self.by_device_time

    def cost_of_lost(self, question: Question, reply: Reply, busy_seconds: float) -> float:
        """What an attempt has probably cost whose answer was lost on its way, judged by the answer to its repetition.

        Args:
            question: what was asked.
            reply: to the repetition; what it found in the cache, the lost attempt may have read for the first time.
            busy_seconds: the repetition's share of the server's time.
        """
        if self._model.usd_per_hour is not None:
            return self._usd_of_seconds(busy_seconds)
        read = reply.tokens or estimated_tokens(question, reply)
        return self._usd(Tokens(fresh=read.fresh + read.cached, out=read.out), TIER_FACTORS[self._model.tier])

    def _usd_of_seconds(self, seconds: float) -> float:
        return float(Decimal(repr(seconds)) * (self._model.usd_per_hour or 0) / 3600)

    def _usd(self, tokens: Tokens, factor: Decimal) -> float:
        price = self._model.price
        if price is None:
            return 0.0
        cached = price.input if price.cached is None else price.cached
        total = tokens.fresh * price.input + tokens.cached * cached + tokens.out * price.output
        return float(factor * total / MILLION)


def estimated_tokens(question: Question, reply: Reply) -> Tokens:
    """Tokens of a request whose server did not count them, from the bytes of its texts."""
    return Tokens(fresh=_tokens(question.prompt), out=_tokens(reply.text) if reply.text else 0)


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)
