"""A model behind a server as it answers: cached where it was asked before, else asked, a batch at a time."""

import asyncio
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.documents import NO_PASSAGES, Passages
from autoadapt.domain.jobs import JobBase
from autoadapt.domain.method import Adapted, Answer, Context, Decoding, Model, Training
from autoadapt.domain.selector import Select, labels_offered, passages_shown
from autoadapt.domain.usage import Usage
from autoadapt.errors import Exit, UserError
from autoadapt.models.remote.decoding import stops_of, unable, way_of
from autoadapt.models.remote.labels import (
    Found,
    among_all,
    calibrated,
    fluency,
    letter_list,
    prior,
    read_label,
    read_reasoned,
    with_letters,
)
from autoadapt.prompts.answer_extraction import ReasoningPrompt, answer_in
from autoadapt.prompts.rendering import Prompt
from autoadapt.prompts.voting import agreed
from autoadapt.providers.answer_store import AnswerStore, KeptAnswer, content_key
from autoadapt.providers.client import Access, Client, RequestFailedError
from autoadapt.providers.dialects import DIALECTS, Dialect
from autoadapt.providers.features import OPTION_LETTERS, Features, without_fields
from autoadapt.providers.replies import Question, Reply

MOST_FAILED = 0.05
"""Largest share of rows that may stay without an answer; beyond it the numbers would be those of the network."""
NO_CONTENT = "N/A"
"""The input after which labels are calibrated."""
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
    device: str
    """Kind of the machine that asks."""


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
        offered = self._labels[: described.labels_offered or None]
        if (reason := unable(decoding, offered, features)) is not None:
            raise UserError(reason)
        self._decoding = decoding
        self._bias: tuple[float, ...] | None = None
        self._way = way_of(decoding, offered, features) if self._labels else None
        if self._way is None and not features.writes:
            raise UserError("this server answers typed questions alone and writes no free text")
        stated = (prompt.template, prompt.instruction, self._labels)
        self._renderer = ReasoningPrompt(*stated, chat=True) if decoding.reasons else Prompt(*stated)
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
        answers: list[Answer] = self._runner.run(self._answers(inputs))
        failed, unusable = (sum(getattr(a, name) for a in answers) for name in ("failed", "unusable"))
        kept, retries = sum(a.cached for a in answers), sum(a.retries for a in answers if not a.cached)
        _log(
            f"{len(answers)} answers of {self._session.access.model.model}: {kept} from the cache, {failed} failed, "
            f"{unusable} refusals or without a label, {retries} retries, ${self._client.spent.usd:.6f} billed so far"
        )
        return answers

    def answer_alone(self, text: str, repetition: int) -> Answer:
        """Answers one input while nothing else is under way; each repetition is sent once and kept with its time."""
        return self._runner.run(self._alone(text, repetition))

    def close(self) -> None:
        """Closes the connections."""
        self._runner.run(self._client.close())
        self._runner.close()

    def asked(self, text: str) -> "_Asked":
        """What is asked for an input, and among which labels its answer is looked for."""
        begun = time.perf_counter()
        offered, passages = labels_offered(self._select, text), passages_shown(self._select, text)
        question = self.question(text, offered, passages)
        return _Asked(question, tuple(offered), time.perf_counter() - begun if offered or passages.texts else 0.0)

    def _samples(self, text: str) -> list["_Asked"]:
        """What is asked for an input, once for every sample."""
        decoding, asked = self._decoding, self.asked(text)
        drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p}
        return [
            dataclasses.replace(asked, question=asked.question.model_copy(update={**drawn, "sample": sample}))
            for sample in range(decoding.samples)
        ]

    def question(self, text: str, offered: Sequence[str] = (), passages: Passages = NO_PASSAGES) -> Question:
        """What is asked for an input.

        Args:
            text: the input.
            offered: the labels to choose from; empty: all of the task.
            passages: of documents, that the prompt shows.
        """
        examples, labels = list(self._select(text)) if self._select else [], list(offered) or self._labels
        features, room = self._session.features, self._session.access.model.reasoning_tokens
        room += self._decoding.reasoning_room
        if self._way is None:
            scored = 0 if features.logprobs else None
            prompt, stop = self._renderer.render(text, examples, passages=passages), stops_of(self._decoding)
            held: dict[str, Any] = {}
            # an answer that is held to a schema leaves no room for reasoning
            if self._answer_schema is not None and features.constraint is not None and not self._decoding.reasons:
                held = {"answer_schema": self._answer_schema, "constraint": features.constraint}
            most = self._max_new_tokens + room
            return Question(prompt=prompt, max_tokens=most, logprobs=scored, stop=stop, **held)
        longest = max(len(label.encode()) for label in labels)
        if self._way == "logprobs":
            prompt = letter_list(labels) + self._renderer.render(
                text, with_letters(examples, labels), offered, passages
            )
            bias = self._decoding.logit_bias
            biased = {features.letters[one]: bias for one in OPTION_LETTERS[: len(labels)]} if bias else {}
            return Question(prompt=prompt, max_tokens=1 + room, logprobs=features.alternatives, logit_bias=biased)
        prompt = self._renderer.render(text, examples, offered, passages)
        if self._way == "decisions":
            asked = self._renderer.instruction_for(offered) or "Which label fits the input?"
            return Question(prompt=prompt, max_tokens=1, choices=tuple(labels), question=asked)
        constrained: dict[str, Any] = {}
        if self._way == "schema":
            constrained = {"choices": tuple(labels), "constraint": features.constraint}
        scored = 0 if features.logprobs else None
        return Question(prompt=prompt, max_tokens=longest + LABEL_ROOM + room, logprobs=scored, **constrained)

    def _key(self, question: Question, *more: Any) -> str:
        return content_key(self._session.access.url, self._dialect.path, self._dialect.body(question), *more)

    async def _answers(self, inputs: Sequence[str]) -> list[Answer]:
        """One answer for each input, of several samples the one that they agree on."""
        await self._calibrate()
        count = self._decoding.samples
        every = await self._each([one for text in inputs for one in self._samples(text)])
        return [agreed(every[i : i + count], self._labels) for i in range(0, len(every), count)]

    async def _alone(self, text: str, repetition: int) -> Answer:
        """The samples of one input, asked for side by side; it is there when the last of them is."""
        await self._calibrate()
        samples = self._samples(text)
        asked = [
            self._one(self._key(one.question, "alone", repetition, *_sample(one.question)), one) for one in samples
        ]
        return agreed(await asyncio.gather(*asked), self._labels)

    async def _calibrate(self) -> None:
        """Asks once for an input without content where labels are calibrated; a run pays for that once.

        Raises:
            UserError: the answer gives no probabilities.
        """
        if not self._labels or self._way is None or self._bias is not None:
            return
        if self._decoding.label_score != "calibrated":
            return
        question = self.question(NO_CONTENT)
        try:
            kept, _ = await self._client.ask_once(self._key(question), self._dialect, question)
        except RequestFailedError as error:
            raise UserError(f"labels cannot be calibrated: {error}", Exit.PROVIDER) from error
        self._bias = prior(self._way, kept.reply, self._labels)
        if self._bias is None:
            raise UserError(f"the server gave no probabilities of labels for the input '{NO_CONTENT}'")

    async def _each(self, questions: Sequence["_Asked"]) -> list[Answer]:
        keys = [self._key(one.question, *_sample(one.question)) for one in questions]
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

    async def _one(self, key: str, asked: "_Asked") -> Answer:
        try:
            return self._read(asked, *(await self._client.ask_once(key, self._dialect, asked.question)))
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

    def _found(self, reply: Reply, offered: Sequence[str]) -> Found:
        """The answer in a reply to a prompt that offers some labels alone, or all of them."""
        if self._way is None:
            text = reply.text.strip()
            text = (answer_in(text) or text) if self._decoding.reasons else text
            return Found(text, fluency(reply.scores), unusable=reply.refused)
        if self._decoding.reasons:
            return read_reasoned(reply, offered or self._labels)
        found = among_all(read_label(self._way, reply, offered or self._labels), offered, self._labels)
        return found if self._bias is None else calibrated(found, self._bias, self._labels)

    def _read(self, asked: "_Asked", kept: KeptAnswer, cached: bool) -> Answer:
        reply, found = kept.reply, self._found(kept.reply, asked.offered)
        seconds, usage = kept.seconds + asked.seconds, self._client.usage(asked.question, kept)
        if asked.seconds:
            held = {**usage.device_seconds, self._session.device: asked.seconds}
            usage = usage.model_copy(update={"device_seconds": held})
        return Answer(
            found.text,
            usage.tokens_in + usage.tokens_cached,
            usage.tokens_out,
            first_s=seconds,
            done_s=seconds,
            usage=usage,
            confidence=found.confidence,
            log_probs=found.log_probs,
            offered=asked.offered,
            cached=cached,
            unusable=found.unusable,
            retries=kept.retries,
            served_by=f"{reply.model} {reply.fingerprint}".strip(),
        )


@dataclass(frozen=True)
class _Asked:
    """A question as it is sent."""

    question: Question
    offered: tuple[str, ...]
    """The labels to choose from; empty: all of the task."""
    seconds: float
    """That it took to choose them, and passages of documents."""


def _sample(question: Question) -> tuple[str, int] | tuple[()]:
    """What tells the key of a further sample from that of the first, where the server takes no seed."""
    return ("sample", question.sample) if question.sample else ()


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
