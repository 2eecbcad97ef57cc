"""A model behind a server as it answers: cached where it was asked before, else asked, a batch at a time."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import JobBase
from autoadapt.domain.method import Adapted, Answer, Context, Decoding, Model, Training
from autoadapt.domain.remote import LabelWay
from autoadapt.domain.selector import Select
from autoadapt.domain.usage import Usage
from autoadapt.errors import Exit, UserError
from autoadapt.models.remote.labels import Found, fluency, lacking, letter_list, read_label, with_letters
from autoadapt.prompts.rendering import Prompt
from autoadapt.providers.answer_store import AnswerStore, KeptAnswer, content_key
from autoadapt.providers.client import Access, Client, RequestFailedError
from autoadapt.providers.dialects import DIALECTS, Dialect
from autoadapt.providers.features import Features, without_fields
from autoadapt.providers.replies import Question
from autoadapt.providers.tariff import estimated_tokens

MOST_FAILED = 0.05
"""Largest share of rows that may stay without an answer; beyond it the numbers would be those of the network."""
LABEL_ROOM = 16
"""Tokens of a label's answer in addition to the bytes of the longest label."""


@dataclass(frozen=True)
class Session:
    """What one job asks with."""

    access: Access
    store: AnswerStore
    features: Features
    tick: Callable[[], None]
    opened: Callable[[Client], None]
    """Told of the client that is made, for the account of what it spends."""


def chosen_way(decoding: Decoding, labels: Sequence[str], features: Features) -> LabelWay:
    """The way in which labels are asked for.

    Raises:
        UserError: the server cannot do that.
    """
    if decoding.label_way != "auto":
        if (reason := lacking(decoding.label_way, labels, features)) is not None:
            raise UserError(reason)
        return decoding.label_way
    return next(way for way in features.ways if way == "text" or lacking(way, labels, features) is None)


class RemoteAdapted:
    """A model behind a prompt and a server (see `autoadapt.domain.method.Adapted` and `TimesItself`).

    Args:
        session: what it is asked with.
        described: states prompt, labels and the longest answer.
        decoding: how an answer is read off.
        select: few-shot selection; None for zero-shot.

    Raises:
        UserError: the server cannot do what the decoding asks for; nothing has been sent.
    """

    parameters_total = 0

    def __init__(
        self, session: Session, described: JobBase | ArtifactDescription, decoding: Decoding, select: Select | None
    ) -> None:
        self._session, self._select = session, select
        self._labels, self._max_new_tokens = described.labels or [], described.max_new_tokens
        self._answer_schema = described.answer_schema
        prompt, features = described.prompt, session.features
        self._way = chosen_way(decoding, self._labels, features) if self._labels else None
        if self._way is None and not features.writes:
            raise UserError("this server answers typed questions alone and writes no free text")
        self._renderer = Prompt(prompt.template, prompt.instruction, self._labels)
        self.training = Training(
            artifact_bytes=len(json.dumps({"template": prompt.template, "instruction": prompt.instruction}).encode())
        )
        self._dialect = self._spoken()
        self._runner = asyncio.Runner()
        self._client = Client(session.access, session.store, session.tick)
        session.opened(self._client)

    def _spoken(self) -> Dialect:
        model, features = self._session.access.model, self._session.features
        if self._way == "decisions":
            return DIALECTS[str(features.typed)](model)
        return without_fields(DIALECTS[model.dialect](model), features.left_out)

    def prepare(self, inputs: Sequence[str]) -> int:
        """Nothing: what the server finds in its cache, it states for each answer."""
        return 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers inputs; those that were asked before come from the cache of the run."""
        answers: list[Answer] = self._runner.run(self._answers([self.question(text) for text in inputs]))
        failed, unusable = (sum(getattr(a, name) for a in answers) for name in ("failed", "unusable"))
        kept, retries = sum(a.cached for a in answers), sum(a.retries for a in answers if not a.cached)
        _log(
            f"{len(answers)} answers of {self._session.access.model.model}: {kept} from the cache, {failed} failed, "
            f"{unusable} refusals or without a label, {retries} retries, ${self._client.spent.usd:.6f} billed so far"
        )
        return answers

    def answer_alone(self, text: str, repetition: int) -> Answer:
        """Answers one input while nothing else is under way; each repetition is sent once and kept with its time."""
        question = self.question(text)
        return self._runner.run(self._one(self._key(question, "alone", repetition), question))

    def close(self) -> None:
        """Closes the connections."""
        self._runner.run(self._client.close())
        self._runner.close()

    def question(self, text: str) -> Question:
        """What is asked for an input."""
        examples = list(self._select(text)) if self._select else []
        features, room = self._session.features, self._session.access.model.reasoning_tokens
        if self._way is None:
            scored = 0 if features.logprobs else None
            prompt = self._renderer.render(text, examples)
            held: dict[str, Any] = {}
            if self._answer_schema is not None and features.constraint is not None:
                held = {"answer_schema": self._answer_schema, "constraint": features.constraint}
            return Question(prompt=prompt, max_tokens=self._max_new_tokens + room, logprobs=scored, **held)
        longest = max(len(label.encode()) for label in self._labels)
        if self._way == "logprobs":
            prompt = letter_list(self._labels) + self._renderer.render(text, with_letters(examples, self._labels))
            return Question(prompt=prompt, max_tokens=1 + room, logprobs=features.alternatives)
        prompt = self._renderer.render(text, examples)
        if self._way == "decisions":
            asked = self._renderer.instruction or "Which label fits the input?"
            return Question(prompt=prompt, max_tokens=1, choices=tuple(self._labels), question=asked)
        constrained: dict[str, Any] = {}
        if self._way == "schema":
            constrained = {"choices": tuple(self._labels), "constraint": features.constraint}
        scored = 0 if features.logprobs else None
        return Question(prompt=prompt, max_tokens=longest + LABEL_ROOM + room, logprobs=scored, **constrained)

    def _key(self, question: Question, *more: Any) -> str:
        return content_key(self._session.access.url, self._dialect.path, self._dialect.body(question), *more)

    async def _answers(self, questions: Sequence[Question]) -> list[Answer]:
        keys = [self._key(question) for question in questions]
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        failures = _Failures(self._client, max(1.0, MOST_FAILED * len(first)))
        asked = {key: failures.watched(self._one(key, questions[i])) for key, i in first.items()}
        results = await asyncio.gather(*asked.values(), return_exceptions=True)
        if self._client.stopped is not None:
            raise self._client.stopped
        by_key: dict[str, Answer] = {}
        for key, result in zip(asked, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            by_key[key] = result
        # a question that stands twice in a batch is sent once, and its second answer is one from the cache
        return [by_key[key] if first[key] == i else _again(by_key[key]) for i, key in enumerate(keys)]

    async def _one(self, key: str, question: Question) -> Answer:
        kept = self._session.store.answer(key)
        if kept is not None:
            return self._read(question, kept, cached=True)
        try:
            kept = await self._client.ask(self._dialect, question)
        except RequestFailedError as error:
            _log(f"a request failed after {error.attempts} attempts: {error}")
            spent = Usage(usd=error.spent.usd, usd_estimated=error.spent.estimated)
            return Answer(
                "",
                0,
                0,
                failed=True,
                usage=spent,
                retries=error.attempts - 1,
                first_s=error.seconds,
                done_s=error.seconds,
            )
        self._session.store.keep(key, kept)
        return self._read(question, kept, cached=False)

    def _read(self, question: Question, kept: KeptAnswer, cached: bool) -> Answer:
        reply = kept.reply
        if self._way is None:
            found = Found(reply.text.strip(), fluency(reply.scores), unusable=reply.refused)
        else:
            found = read_label(self._way, reply, self._labels)
        tokens = reply.tokens or estimated_tokens(question, reply)
        held = {f"server at {self._session.access.url}": kept.busy_seconds}
        usage = Usage(
            device_seconds=held if self._client.tariff.by_device_time else {},
            tokens_in=tokens.fresh,
            tokens_cached=tokens.cached,
            tokens_out=tokens.out,
            tokens_reasoning=tokens.reasoning,
            usd=kept.usd,
            usd_estimated=kept.usd_estimated,
        )
        return Answer(
            found.text,
            tokens.fresh + tokens.cached,
            tokens.out,
            first_s=kept.seconds,
            done_s=kept.seconds,
            usage=usage,
            confidence=found.confidence,
            log_probs=found.log_probs,
            cached=cached,
            unusable=found.unusable,
            retries=kept.retries,
            served_by=f"{reply.model} {reply.fingerprint}".strip(),
        )


class _Failures:
    """Stops a client when too many rows of a batch have failed, or when no request can succeed.

    Args:
        client: that sends.
        most: failed rows that a batch may have.
    """

    def __init__(self, client: Client, most: float) -> None:
        self._client, self._most, self._count = client, most, 0

    async def watched(self, answering: Any) -> Answer:
        """An answer, after which it is decided whether others are still asked for."""
        try:
            answer: Answer = await answering
        except BaseException as error:
            self._client.stopped = self._client.stopped or error
            raise
        self._count += answer.failed
        if self._count > self._most and self._client.stopped is None:
            model = self._client.access.model.model
            self._client.stopped = UserError(
                f"model '{model}': {self._count} requests have failed, more than {MOST_FAILED:.0%} of the rows; the "
                "log of the job says why",
                Exit.PROVIDER,
            )
        return answer


def _log(line: str) -> None:
    """Writes a line to the log of the job, which takes what a worker says."""
    sys.stderr.write(f"{line}\n")


def _again(answer: Answer) -> Answer:
    """The same answer once more, which costs nothing."""
    return answer if answer.failed else dataclasses.replace(answer, cached=True)


class OpenedRemote(Model):
    """A model behind a server, opened for one job."""

    def __init__(self, context: Context, session: Session) -> None:
        self._context, self._session = context, session

    def prompt(self, decoding: Decoding) -> Adapted:
        context = self._context
        adapted = RemoteAdapted(self._session, context.job, decoding, context.select)
        try:
            context.save_artifact(decoding, "none")
        except BaseException:
            adapted.close()
            raise
        return adapted
