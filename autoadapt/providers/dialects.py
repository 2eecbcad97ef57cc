"""Dialects: a question as the body of a request, and the body of the answer as a reply.

Chat completions and responses are OpenAI's (their documentation of 2026-10; vLLM, SGLang, llama.cpp and others speak
them too). Typed questions are asked as OpenAI's ``/v1/decisions`` has them (beta of 2026-10, types of openai-python),
or as ``/v1/systemone`` has them (transformers 5.23 and later, and others).
"""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from autoadapt.domain.remote import RemoteModel
from autoadapt.providers.replies import NotAReplyError, Question, Reply, scores_of, tokens_of

SEED = 0
"""Sent with every request; best effort of servers."""
LABEL_FIELD = "label"
QUESTION_NAME = "answer"


class Dialect(ABC):
    """One interface of a server.

    Args:
        model: what is asked.
        left_out: fields that the server has refused; they are not sent.
    """

    path: ClassVar[str]
    unknown: ClassVar[tuple[str, ...]] = ()
    """Fields that this interface does not have, of those that say how an answer is drawn."""

    def __init__(self, model: RemoteModel, left_out: tuple[str, ...] = ()) -> None:
        self.model, self.left_out = model, left_out

    def body(self, question: Question) -> dict[str, Any]:
        """The body of a request."""
        body = {**self._body(question), **self.model.extra}
        return {key: value for key, value in body.items() if key not in self.left_out}

    @abstractmethod
    def _body(self, question: Question) -> dict[str, Any]:
        """The body with every field that the question asks for."""

    @abstractmethod
    def read(self, answer: dict[str, Any]) -> Reply:
        """The reply.

        Raises:
            NotAReplyError: the answer is not of this dialect.
        """

    def _common(self) -> dict[str, Any]:
        tier = {"service_tier": "flex"} if self.model.tier == "flex" else {}
        return {"model": self.model.model, "stream": False, **tier}


class Chat(Dialect):
    """POST /chat/completions."""

    path: ClassVar[str] = "/chat/completions"

    def _body(self, question: Question) -> dict[str, Any]:
        body = self._common()
        body["messages"] = [{"role": "user", "content": question.prompt}]
        body |= {"temperature": question.temperature or 0, "seed": SEED + question.sample}
        body |= {"top_p": question.top_p} if question.top_p < 1 else {}
        body |= {"stop": list(question.stop)} if question.stop else {}
        body |= {"logit_bias": question.logit_bias} if question.logit_bias else {}
        # reasoning models know the new name alone, other servers the old one
        renamed = "max_tokens" in self.left_out
        body["max_completion_tokens" if renamed else "max_tokens"] = question.max_tokens
        if self.model.reasoning_effort is not None:
            body["reasoning_effort"] = self.model.reasoning_effort
        if question.logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": question.logprobs}
        return body | _constrained(question)

    def read(self, answer: dict[str, Any]) -> Reply:
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            text, refusal = message.get("content"), message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise NotAReplyError("the answer has no choices with a message") from error
        scores = choice.get("logprobs")
        return Reply(
            text=text if isinstance(text, str) else "",
            tokens=tokens_of(answer.get("usage"), "prompt_tokens", "completion_tokens"),
            refused=bool(refusal) or choice.get("finish_reason") == "content_filter",
            cut=choice.get("finish_reason") == "length",
            scores=scores_of(scores.get("content")) if isinstance(scores, dict) else [],
            model=_text(answer.get("model")),
            fingerprint=_text(answer.get("system_fingerprint")),
            tier=_text(answer.get("service_tier")),
        )


class Responses(Dialect):
    """POST /responses."""

    path: ClassVar[str] = "/responses"
    unknown: ClassVar[tuple[str, ...]] = ("stop", "logit_bias")

    def _body(self, question: Question) -> dict[str, Any]:
        body = {**self._common(), "input": question.prompt, "store": False, "temperature": question.temperature or 0}
        body |= {"top_p": question.top_p} if question.top_p < 1 else {}
        body["max_output_tokens"] = max(16, question.max_tokens)  # the least that OpenAI takes
        if self.model.reasoning_effort is not None:
            body["reasoning"] = {"effort": self.model.reasoning_effort}
        if question.logprobs is not None:
            body |= {"top_logprobs": question.logprobs, "include": ["message.output_text.logprobs"]}
        if _is_held(question) and question.constraint == "json_schema":
            body["text"] = {"format": {"type": "json_schema", **_schema(question)}}
        return body

    def read(self, answer: dict[str, Any]) -> Reply:
        output = answer.get("output")
        if not isinstance(output, list):
            raise NotAReplyError("the answer has no output")
        messages = [item for item in output if isinstance(item, dict) and item.get("type") == "message"]
        parts = [p for m in messages for p in m.get("content") or [] if isinstance(p, dict)]
        texts = [p for p in parts if p.get("type") == "output_text"]
        cut = answer.get("status") == "incomplete"
        if not parts and not cut:
            raise NotAReplyError("the answer has no message")
        return Reply(
            text="".join(_text(p.get("text")) for p in texts),
            tokens=tokens_of(answer.get("usage"), "input_tokens", "output_tokens"),
            refused=any(p.get("type") == "refusal" for p in parts),
            cut=cut,
            scores=[score for p in texts for score in scores_of(p.get("logprobs"))],
            model=_text(answer.get("model")),
            tier=_text(answer.get("service_tier")),
        )


class Decisions(Dialect):
    """POST /decisions, OpenAI's form of typed questions."""

    path: ClassVar[str] = "/decisions"

    def _body(self, question: Question) -> dict[str, Any]:
        asked = {
            "type": "choice",
            "name": QUESTION_NAME,
            "instructions": question.question,
            "choices": [{"value": choice} for choice in question.choices],
        }
        return {"model": self.model.model, "input": question.prompt, "questions": [asked]}

    def read(self, answer: dict[str, Any]) -> Reply:
        answers = answer.get("answers")
        if not isinstance(answers, list) or not answers or not isinstance(answers[0], dict):
            raise NotAReplyError("the answer has no answers")
        listed = answers[0].get("probabilities") or []
        found = {
            p["value"]: p["probability"] for p in listed if isinstance(p, dict) and {"value", "probability"} <= {*p}
        }
        return _decided(answer, answers[0], found)


class SystemOne(Dialect):
    """POST /systemone, the same questions in another form."""

    path: ClassVar[str] = "/systemone"

    def _body(self, question: Question) -> dict[str, Any]:
        asked = {
            "type": "choice",
            "instructions": question.question,
            "criteria": dict.fromkeys(question.choices),
        }
        return {"model": self.model.model, "state": question.prompt, "questions": {QUESTION_NAME: asked}}

    def read(self, answer: dict[str, Any]) -> Reply:
        answers = answer.get("answers")
        one = answers.get(QUESTION_NAME) if isinstance(answers, dict) else None
        if not isinstance(one, dict):
            raise NotAReplyError("the answer has no answers")
        found = one.get("probabilities")
        return _decided(answer, one, found if isinstance(found, dict) else {})


DIALECTS: dict[str, type[Dialect]] = {
    "chat": Chat,
    "responses": Responses,
    "decisions": Decisions,
    "systemone": SystemOne,
}


def _decided(answer: dict[str, Any], one: dict[str, Any], found: dict[str, Any]) -> Reply:
    refused = one.get("type") == "refusal"
    if not refused and not (found and all(isinstance(p, int | float) and p >= 0 for p in found.values())):
        raise NotAReplyError("the answer has no probabilities")
    return Reply(
        text=_text(one.get("choice")),
        tokens=tokens_of(answer.get("usage"), "input_tokens", "output_tokens"),
        refused=refused,
        probabilities={str(choice): float(p) for choice, p in found.items()},
        model=_text(answer.get("model")),
    )


def _constrained(question: Question) -> dict[str, Any]:
    """Fields that hold a chat server to the choices or to the schema."""
    schema = question.answer_schema
    if not _is_held(question):
        return {}
    if question.constraint == "structured_outputs":  # vLLM
        held = {"choice": list(question.choices)} if schema is None else {"json": schema}
        return {"structured_outputs": held}
    if question.constraint == "grammar":  # llama.cpp
        if schema is not None:
            return {"json_schema": schema}
        alternatives = " | ".join(json.dumps(choice) for choice in question.choices)
        return {"grammar": f"root ::= {alternatives}"}
    return {"response_format": {"type": "json_schema", "json_schema": _schema(question)}}


def _is_held(question: Question) -> bool:
    """Whether something holds the answer to choices or to a schema."""
    return question.constraint is not None and bool(question.choices or question.answer_schema)


def _can_be_strict(schema: Any) -> bool:
    """Whether every object in a schema requires all its fields and allows no others, as OpenAI's strict form has it."""
    if isinstance(schema, list):
        return all(map(_can_be_strict, schema))
    if not isinstance(schema, dict):
        return True
    fields = schema.get("properties")
    if isinstance(fields, dict) and (
        schema.get("additionalProperties") is not False or {*schema.get("required", [])} != {*fields}
    ):
        return False
    return all(map(_can_be_strict, schema.values()))


def _schema(question: Question) -> dict[str, Any]:
    if question.answer_schema is not None:
        given = question.answer_schema
        return {"name": "answer", "strict": _can_be_strict(given), "schema": given}
    properties = {LABEL_FIELD: {"type": "string", "enum": list(question.choices)}}
    schema = {"type": "object", "properties": properties, "required": [LABEL_FIELD], "additionalProperties": False}
    return {"name": "answer", "strict": True, "schema": schema}


def constrained_choice(text: str, choices: tuple[str, ...]) -> str | None:
    """The choice in a constrained answer, as JSON or alone; None: it holds none, so that nothing constrained it."""
    try:
        value = json.loads(text)
        value = value.get(LABEL_FIELD) if isinstance(value, dict) else value
    except (ValueError, RecursionError):
        value = text.strip()
    return value if isinstance(value, str) and value in choices else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
