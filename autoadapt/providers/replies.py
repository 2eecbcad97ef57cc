"""Question and Reply: what a server is asked, and what it answers, whatever its dialect."""

from typing import Any

from pydantic import Field

from autoadapt.domain.strict import StrictModel


class Question(StrictModel):
    """One request, before it is put into a dialect."""

    prompt: str
    """The whole prompt."""
    max_tokens: int = Field(ge=1)
    """Longest answer, reasoning included."""
    choices: tuple[str, ...] = ()
    """The answers that are allowed; empty: any text."""
    constraint: str | None = None
    """How a chat server is held to `choices` or `answer_schema`: json_schema, structured_outputs or grammar; None: it
    is not."""
    answer_schema: dict[str, Any] | None = None
    """JSON schema of the answer; None: any text, or one of `choices`."""
    logprobs: int | None = None
    """Alternatives whose log-probabilities are wanted at each token, 0 for that of the token alone; None: none."""
    question: str = "Which of the choices answers the input?"
    """For typed questions."""
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends."""
    sample: int = Field(default=0, ge=0)
    """Which of several answers that are drawn it asks for."""
    logit_bias: dict[str, float] = Field(default={})
    """Token id -> what is added to its logit."""


class Tokens(StrictModel):
    """Tokens that a server counted."""

    fresh: int = Field(ge=0)
    """Read for the first time."""
    cached: int = Field(default=0, ge=0)
    """Read, and found in the server's cache."""
    out: int = Field(default=0, ge=0)
    """Written, those of reasoning included."""
    reasoning: int = Field(default=0, ge=0)


class TokenScore(StrictModel):
    """A token that was written, with its natural log-probability and those of its alternatives."""

    token: str
    logprob: float
    others: dict[str, float] = Field(default={})


class Reply(StrictModel):
    """What a server answered."""

    text: str
    tokens: Tokens | None = None
    """None: the server does not say."""
    refused: bool = False
    """Whether the model declined to answer."""
    cut: bool = False
    """Whether the answer was longer than allowed."""
    scores: list[TokenScore] = Field(default=[])
    """Of the tokens written, where they came back."""
    probabilities: dict[str, float] = Field(default={})
    """Of the choices of a typed question."""
    model: str = ""
    """As the server calls what has answered."""
    fingerprint: str = ""
    tier: str = ""
    """In which it was served."""


class NotAReplyError(Exception):
    """A server's answer is not what its interface says."""


def number(value: Any) -> int:
    """A count as a server states it; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def tokens_of(usage: Any, read: str, written: str) -> Tokens | None:
    """The tokens of a reply's ``usage``; None where it states none.

    Args:
        usage: of the reply.
        read: name of the field of input tokens, to which ``_details`` belongs.
        written: the same for output tokens.
    """
    if not isinstance(usage, dict) or not isinstance(usage.get(read), int):
        return None
    before, after = usage.get(f"{read}_details"), usage.get(f"{written}_details")
    cached = number(before.get("cached_tokens")) if isinstance(before, dict) else 0
    reasoning = number(after.get("reasoning_tokens")) if isinstance(after, dict) else 0
    total, out = number(usage[read]), number(usage.get(written))
    cached = min(cached, total)
    return Tokens(fresh=total - cached, cached=cached, out=out, reasoning=min(reasoning, out))


def scores_of(entries: Any) -> list[TokenScore]:
    """Log-probabilities of tokens, as chat completions and responses state them; empty where they do not."""
    scores = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("logprob"), int | float):
            return []
        others = {
            str(other["token"]): float(other["logprob"])
            for other in entry.get("top_logprobs") or []
            if isinstance(other, dict) and "token" in other and isinstance(other.get("logprob"), int | float)
        }
        scores.append(TokenScore(token=str(entry.get("token")), logprob=float(entry["logprob"]), others=others))
    return scores
