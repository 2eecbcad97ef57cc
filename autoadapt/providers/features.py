"""What a server can really do, found out by a few tiny requests before it is used.

A server may answer 200 and ignore what it does not know: so an answer is only taken for constrained if it is a word
that nobody would have said, and log-probabilities only exist where they came back.
"""

import contextlib
import string
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from autoadapt.domain.remote import LabelWay
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError
from autoadapt.providers.client import Client, RequestFailedError
from autoadapt.providers.dialects import DIALECTS, Dialect, constrained_choice
from autoadapt.providers.replies import Question, Reply

ODD_WORD = "quixotry"
MOST_ALTERNATIVES = 20
"""Alternatives that providers give at most."""
FEW_ALTERNATIVES = 5
MOST_REFUSALS = 6
OPTIONAL = ("max_tokens", "temperature", "seed", "logprobs", "top_logprobs", "include", "store", "stream")
"""Fields without which a request can still be answered."""
TOGETHER = {"top_logprobs": ("top_logprobs", "logprobs"), "logprobs": ("logprobs", "top_logprobs")}
CONSTRAINTS = {"chat": ("json_schema", "structured_outputs", "grammar"), "responses": ("json_schema",)}
DRAWING = ("temperature", "top_p", "stop")
"""Fields that say how an answer is drawn."""
OPTION_LETTERS = string.ascii_uppercase[:MOST_ALTERNATIVES]
"""By which labels are answered where log-probabilities are compared."""
ODD_LETTER = "Q"
YES = "Reply with the single word yes."
SKY = "What colour is a clear sky at noon? Answer with one word."


class EffortRefusedError(UserError):
    """A server does not take the effort of reasoning that it is told."""


class Features(StrictModel):
    """What a server can do with a model."""

    ways: tuple[LabelWay, ...]
    """How labels can be read off it, the best one first."""
    writes: bool
    """Whether it writes text."""
    constraint: str | None = None
    """The field by which it is held to labels."""
    typed: Literal["decisions", "systemone"] | None = None
    """The form in which it takes typed questions."""
    alternatives: int = 0
    """Tokens whose log-probabilities it gives beside that of the token written."""
    logprobs: bool = False
    """Whether it gives log-probabilities."""
    left_out: tuple[str, ...] = ()
    """Fields that it refuses."""
    refused: tuple[str, ...] = ()
    """Fields that say how an answer is drawn, and that it refuses or its interface does not have."""
    letters: dict[str, str] = Field(default={})
    """Option letter -> id of its token, of a server that tells them and obeys logit_bias."""
    states_usage: bool = True
    """Whether it counts tokens."""
    served_by: str = ""
    notes: tuple[str, ...] = Field(default=())
    """What it does not do, in words."""


async def find_features(client: Client) -> Features:
    """Asks a server; costs a few hundred tokens.

    Raises:
        UserError: it cannot be reached, refuses the key or the model, or answers what no server of its dialect would;
            exit 7.
        OutOfMoneyError: the budget does not pay for that.
    """
    name = client.access.model.dialect
    if name == "decisions":
        typed, error = await _typed(client)
        if typed is None:
            raise error or UserError(f"{_where(client)}: it answers no typed questions", Exit.PROVIDER)
        return Features(ways=("decisions",), writes=False, typed=typed)
    dialect, reply, alternatives = await _negotiated(client)
    typed, _ = await _typed(client)
    constraint = await _constraint(client, dialect, CONSTRAINTS[name])
    logprobs = bool(reply.scores) and all(score.logprob <= 0 for score in reply.scores)
    refused = await _refused(client, dialect)
    given = max((len(score.others) for score in reply.scores), default=0) if logprobs else 0
    ways: list[LabelWay] = ["schema"] if constraint else []
    ways += ["decisions"] if typed else []
    ways += ["logprobs"] if given > 1 else []
    return Features(
        ways=(*ways, "text"),
        writes=True,
        constraint=constraint,
        typed=typed,
        alternatives=min(given, alternatives),
        logprobs=logprobs,
        left_out=dialect.left_out,
        refused=refused,
        letters=await _letters(client, dialect) if given > 1 else {},
        states_usage=reply.tokens is not None,
        served_by=f"{reply.model} {reply.fingerprint}".strip(),
        notes=tuple(_notes(constraint, logprobs, reply)),
    )


def _notes(constraint: str | None, logprobs: bool, reply: Reply) -> list[str]:
    notes = [] if constraint else ["it holds no answer to a schema, so labels are not asked for by one"]
    notes += [] if logprobs else ["it gives no log-probabilities"]
    if reply.cut and not reply.text.strip():
        notes.append("its test answer was cut off before a word was written: give it more reasoning_tokens")
    return notes + ([] if reply.tokens is not None else ["it states no usage, so costs are estimated"])


async def _negotiated(client: Client) -> tuple[Dialect, Reply, int]:
    """The dialect without the fields that the server refuses, its first reply, and the alternatives asked for."""
    make, alternatives = DIALECTS[client.access.model.dialect], MOST_ALTERNATIVES
    left_out: tuple[str, ...] = ()
    for _ in range(MOST_REFUSALS):
        dialect = make(client.access.model, left_out)
        question = Question(max_tokens=_room(client), prompt=YES, logprobs=alternatives)
        try:
            return dialect, (await client.ask(dialect, question)).reply, alternatives
        except RequestFailedError as error:
            named = _named(error, dialect.body(question), OPTIONAL)
            if "top_logprobs" in named and alternatives > FEW_ALTERNATIVES:
                alternatives = FEW_ALTERNATIVES
            elif named:
                left_out = (*left_out, *(f for n in named for f in TOGETHER.get(n, (n,)) if f not in left_out))
            elif client.access.model.reasoning_effort is not None and "reasoning" in f"{error.fields} {error}":
                raise EffortRefusedError(str(error), Exit.PROVIDER) from error
            else:
                raise UserError(f"{_where(client)}: {error}", Exit.PROVIDER) from error
    raise UserError(f"{_where(client)}: it refuses one field after the other", Exit.PROVIDER)


def _named(error: RequestFailedError, body: Mapping[str, object], fields: Sequence[str]) -> list[str]:
    """The fields of a request that a refusal names."""
    return [f for f in fields if f in body and (f in error.fields or f in str(error).replace("'", " ").split())]


async def _refused(client: Client, dialect: Dialect) -> tuple[str, ...]:
    """Which fields of drawn answers the server refuses or does not have, by a request with all of them."""
    refused = [field for field in DRAWING if field in dialect.left_out or field in dialect.unknown]
    while len(refused) < len(DRAWING):
        trial = without_fields(dialect, (*dialect.left_out, *refused))
        stop = () if "stop" in refused else (ODD_WORD,)
        question = Question(max_tokens=_room(client), prompt=YES, temperature=0.7, top_p=0.9, stop=stop)
        try:
            await client.ask(trial, question)
            break
        except RequestFailedError as error:
            left = [field for field in DRAWING if field not in refused]
            refused += _named(error, trial.body(question), left) or left
    return tuple(refused)


async def _letters(client: Client, dialect: Dialect) -> dict[str, str]:
    """The tokens of option letters; empty where the server does not tell them, or does not obey a bias of them.

    Only a server of one's own is asked: hosted providers do not tell.
    """
    if client.access.model.provider is not None or "logit_bias" in dialect.unknown:
        return {}
    ids = await client.token_ids(OPTION_LETTERS)
    if len(ids) < len(OPTION_LETTERS):
        return {}
    question = Question(max_tokens=_room(client), prompt=SKY, logit_bias={ids[ODD_LETTER]: 100.0})
    with contextlib.suppress(RequestFailedError):
        if (await client.ask(dialect, question)).reply.text.strip().startswith(ODD_LETTER):
            return ids
    return {}


async def _constraint(client: Client, dialect: Dialect, names: tuple[str, ...]) -> str | None:
    """The first field that makes the model say an odd word."""
    for name in names:
        question = Question(max_tokens=_room(client), prompt=SKY, choices=(ODD_WORD,), constraint=name)
        with contextlib.suppress(RequestFailedError):
            reply = (await client.ask(dialect, question)).reply
            if constrained_choice(reply.text, (ODD_WORD,)) is not None:
                return name
    return None


async def _typed(client: Client) -> tuple[Literal["decisions", "systemone"] | None, UserError | None]:
    """The form of typed questions that is answered, and why the first one was not."""
    question = Question(
        prompt="The sky is blue.", max_tokens=1, choices=("blue", "green"), question="Which colour is named?"
    )
    first: UserError | None = None
    names: tuple[Literal["decisions", "systemone"], ...] = ("decisions", "systemone")
    for name in names:
        try:
            found = (await client.ask(DIALECTS[name](client.access.model), question)).reply.probabilities
            if {*found} == {"blue", "green"} and 0.9 < sum(found.values()) < 1.1:
                return name, None
        except RequestFailedError as error:
            first = first or UserError(f"{_where(client)}: {error}", Exit.PROVIDER)
        except UserError as error:
            first = first or error
    return None, first


def _room(client: Client) -> int:
    """Tokens of the longest answer to a test question."""
    return 32 + client.access.model.reasoning_tokens


def _where(client: Client) -> str:
    return f"model '{client.access.model.model}' at {client.access.url}"


def without_fields(dialect: Dialect, left_out: tuple[str, ...]) -> Dialect:
    """The same dialect, without fields that a server refuses."""
    return type(dialect)(dialect.model, left_out)
