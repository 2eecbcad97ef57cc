"""RemoteSettings: how a model behind a server is asked, and what it costs; RemoteModel: the same for one such model."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator

from autoadapt.domain.strict import StrictModel, Usd
from autoadapt.registry import REFERENCE

Dialect = Literal["chat", "responses", "decisions"]
LabelWay = Literal["schema", "logprobs", "decisions", "text"]
"""How a label is read off a server: an answer that a schema constrains, the log-probabilities of option letters, the
probabilities of a typed question, or free text in which a label is looked for."""
LABEL_WAYS: tuple[LabelWay, ...] = ("schema", "logprobs", "decisions", "text")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""Efforts of reasoning as providers call them (documentation of OpenAI, 2026-10)."""
TIER_FACTORS = {"standard": Decimal(1), "flex": Decimal("0.5"), "batch": Decimal("0.5")}
"""Price of a tier over that of the standard one (documentation of OpenAI, 2026-10)."""


class TokenRates(StrictModel):
    """USD per million tokens."""

    input: Usd
    """Tokens read."""
    cached: Usd | None = None
    """Tokens read that the server found in its cache; None: as `input`."""
    output: Usd
    """Tokens written, those of reasoning included."""


class RemoteSettings(StrictModel):
    """One model behind a server, in a task: ``remote: {NAME: {setting: value}}``."""

    price: TokenRates | None = None
    """USD per million tokens; by default that of the price book or of genai-prices."""
    usd_per_hour: Usd | None = None
    """Instead of `price`: an hour of the machine behind a server of one's own; a request costs its share of time."""
    tier: Literal["standard", "flex", "batch"] = "standard"
    """`flex` asks the provider for its slower tier at half the price. `batch` says that the server bills batch prices
    (half) for all that it is sent; nothing is sent differently."""
    key: str | None = None
    """The API key as a reference to an environment variable: ${NAME}."""
    dialect: Dialect = "chat"
    """Interface of the server: chat completions, responses, or typed decisions alone."""
    concurrency: int = Field(default=8, ge=1, le=512)
    """Requests of one job under way at a time, at most; fewer while the server says that it is overloaded."""
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    """Seconds after which a request is given up."""
    retries: int = Field(default=6, ge=0, le=20)
    """Further attempts at a request that failed in a way that may pass."""
    reasoning_effort: str | None = None
    """Sent as it stands to models that reason; absent: the model's default."""
    reasoning_efforts: list[str] = Field(default=[])
    """Efforts that may be tried, such as [none, low, medium]: `reasoning_effort` is then a parameter of the search,
    with those of them that the search space names. Empty: it is none."""
    reasoning_tokens: int = Field(default=0, ge=0)
    """Tokens that a model may write for reasoning, in addition to its answer."""
    context_length: int | None = Field(default=None, ge=1)
    """Greatest number of tokens, prompt and answer together; None: not known."""
    extra: dict[str, Any] = Field(default={})
    """Further fields of the body of every request, such as {chat_template_kwargs: {enable_thinking: false}}."""

    @field_validator("key", mode="before")
    @classmethod
    def _reference_alone(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and REFERENCE.fullmatch(value)):
            raise ValueError("write a reference to an environment variable, ${NAME}, and never the key itself")
        return value


class RemoteModel(RemoteSettings):
    """One model behind a server: in `ModelReference.settings`, references as they were written."""

    model: str
    """As the server calls it."""
    provider: str | None = None
    """Of the prices, as genai-prices calls it; None: a server of one's own, or of a provider that is not known."""
    price_source: str = "given in the task"
    """Where the price comes from."""
