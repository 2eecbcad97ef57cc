"""Asking a judge: both orders of every answer, from the store of the run where it was asked before."""

import asyncio
import statistics
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from autoadapt.domain.metric import Asking
from autoadapt.domain.model import ModelReference
from autoadapt.domain.remote import RemoteModel
from autoadapt.domain.usage import Usage, total_usage
from autoadapt.errors import Exit, UserError
from autoadapt.metrics.judge.prompts import Grading
from autoadapt.providers.answer_store import AnswerStore, KeptAnswer, content_key
from autoadapt.providers.client import Access, Client, RequestFailedError
from autoadapt.providers.dialects import DIALECTS
from autoadapt.providers.features import Features, without_fields
from autoadapt.providers.replies import Question
from autoadapt.registry import expanded

MOST_UNUSABLE = 0.05
"""Largest share of answers that may stay without a usable verdict."""
REPLY_TOKENS = 64


@dataclass(frozen=True)
class Grade:
    """What a judge makes of an answer."""

    score: float
    """From 0 to 1, the mean of both orders; 0 where there is no usable verdict."""
    order_effect: float = 0.0
    """How far the scores of the two orders are apart."""
    unusable: bool = False


def access_to(asking: Asking, model: ModelReference) -> Access:
    """Where the judge is, and what it may cost."""
    settings = RemoteModel.model_validate(model.settings)
    key = None if settings.key is None else str(expanded(settings.key))
    return Access(settings, model.place, key, asking.job, asking.usd_cap)


def ask_judge(
    asking: Asking,
    model: ModelReference,
    features: Features,
    grading: Grading,
    answers: Sequence[tuple[str, str, str]],
) -> tuple[list[Grade], Usage]:
    """Grades answers; those that were graded before cost nothing.

    Args:
        asking: with what is asked.
        model: the judge, with its price.
        features: what its server can do.
        grading: how answers are graded.
        answers: input, reference and answer of each.

    Returns:
        A grade for each answer, and what was used now.

    Raises:
        UserError: exit code 7: too many answers have no usable verdict, or no request can succeed.
        OutOfMoneyError: the budget does not pay for it.
    """
    store = AnswerStore(asking.run)
    try:
        grades, usage = asyncio.run(_Session(asking, model, features, grading, store).graded(answers))
    finally:
        store.close()
    unusable = sum(grade.unusable for grade in grades)
    if unusable > max(1.0, MOST_UNUSABLE * len(grades)):
        raise UserError(
            f"judge '{model.name}': {unusable} of {len(grades)} answers have no usable verdict, more than "
            f"{MOST_UNUSABLE:.0%}; name a stronger model, or give it more "
            "reasoning_tokens",
            Exit.PROVIDER,
        )
    return grades, usage


class _Session:
    """One batch of questions within one event loop."""

    def __init__(
        self, asking: Asking, model: ModelReference, features: Features, grading: Grading, store: AnswerStore
    ) -> None:
        self._access, self._grading = access_to(asking, model), grading
        self._client = Client(self._access, store, asking.tick)
        made = DIALECTS[self._access.model.dialect](self._access.model)
        self._dialect, self._features = without_fields(made, features.left_out), features
        self._used: list[Usage] = []
        self._requests = self._failed = 0

    async def graded(self, answers: Sequence[tuple[str, str, str]]) -> tuple[list[Grade], Usage]:
        try:
            wanted = {(data, swapped): None for data in answers for swapped in (False, True)}
            self._requests = len(wanted)
            results = await asyncio.gather(
                *(self._watched(self._score(*one)) for one in wanted), return_exceptions=True
            )
            if self._client.stopped is not None:
                raise self._client.stopped
            scores = dict(zip(wanted, results, strict=True))
            return [_grade(scores[data, False], scores[data, True]) for data in answers], total_usage(self._used)
        finally:
            await self._client.close()

    async def _watched(self, asking: Coroutine[Any, Any, float | None]) -> float | None:
        """The score; where no request can succeed or be paid for, nothing more is sent."""
        try:
            return await asking
        except BaseException as error:
            self._client.stopped = self._client.stopped or error
            raise

    async def _score(self, data: tuple[str, str, str], swapped: bool) -> float | None:
        """The score of an answer in one order; None where the reply cannot be read the second time either."""
        for again in (False, True):
            try:
                reply = (await self._reply(self._question(data, swapped, again))).reply
            except RequestFailedError as error:
                self._used.append(Usage(usd=error.spent.usd, usd_estimated=error.spent.estimated))
                self._failed += 1
                if self._failed > max(1.0, MOST_UNUSABLE * self._requests):
                    model = self._access.model.model
                    raise UserError(
                        f"judge '{model}': {self._failed} requests failed: {error}", Exit.PROVIDER
                    ) from error
                return None
            score = None if reply.refused else self._grading.read(reply.text, swapped)
            if score is not None:
                return score
        return None

    def _question(self, data: tuple[str, str, str], swapped: bool, again: bool) -> Question:
        held: dict[str, Any] = {}
        if self._features.constraint is not None:
            held = {"answer_schema": self._grading.schema, "constraint": self._features.constraint}
        room = REPLY_TOKENS + self._access.model.reasoning_tokens
        return Question(prompt=self._grading.prompt(data, swapped, again), max_tokens=room, **held)

    async def _reply(self, question: Question) -> KeptAnswer:
        key = content_key(self._access.url, self._dialect.path, self._dialect.body(question))
        kept, before = await self._client.ask_once(key, self._dialect, question)
        if not before:
            self._used.append(self._client.usage(question, kept))
        return kept


def _grade(first: float | BaseException | None, second: float | BaseException | None) -> Grade:
    scores = [score for score in (first, second) if isinstance(score, float)]
    if len(scores) < 2:
        return Grade(0.0, unusable=True)
    return Grade(statistics.fmean(scores), abs(scores[0] - scores[1]))
