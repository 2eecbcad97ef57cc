"""Rendering prompts: sandboxed Jinja over data that is passed as variables and never built into a template.

Imports no torch, so that a task can be checked without it. Jinja's immutable sandbox stops escapes but not exhaustion:
the operators and methods that make long texts from short ones are refused, the output is capped, and what remains is
found before a template is used, when it is checked under limits (`autoadapt.prompts.limits`).
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from jinja2 import StrictUndefined, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from autoadapt.domain.documents import NO_PASSAGES, Passages
from autoadapt.domain.rows import Row
from autoadapt.errors import UserError

MAX_CHARACTERS = 1_000_000
LONG_INPUT, MANY_EXAMPLES = "a long input " * 150, 16
STRETCHING = {
    "center",
    "ljust",
    "rjust",
    "zfill",
    "format",
    "format_map",
    "expandtabs",
    "join",
    "replace",
    "translate",
    "to_bytes",
}


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**", "%"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise SecurityError(f"operator {operator} is not allowed in a prompt")

    def wrap_str_format(self, value: Any) -> Any:
        return None  # else Jinja would give its own format and format_map for those that are refused below

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in STRETCHING and super().is_safe_attribute(obj, attr, value)


def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
    environment.globals.clear()  # range, lipsum, cycler: nothing a prompt needs
    for name in ("center", "format", "indent", "wordwrap", "replace", "batch", "slice", "pprint", "xmlattr"):
        environment.filters.pop(name, None)
    return environment


class Prompt:
    """A template with its instruction.

    Args:
        template: Jinja text over ``instruction``, ``labels``, ``multi_label``, ``examples``, ``passages``, ``input``.
        instruction: Jinja text over ``labels`` and ``multi_label``.
        labels: the labels to choose from; empty for free text.
        multi_label: whether an answer is a set of labels.

    Raises:
        UserError: one of them cannot be read or uses an unknown variable.
    """

    def __init__(self, template: str, instruction: str, labels: Sequence[str], multi_label: bool = False) -> None:
        self.labels = list(labels)
        environment = _environment()
        environment.globals["multi_label"] = multi_label
        try:
            self._template = environment.from_string(template)
            self._places_passages = shows_passages(template)
            self._instruction = environment.from_string(instruction)
            self.instruction = self._instruction.render(labels=self.labels).strip()
        except MemoryError:
            raise
        except Exception as error:
            raise _failed(error) from error

    def instruction_for(self, labels: Sequence[str]) -> str:
        """The instruction where some labels are offered alone; empty: all of them are.

        Raises:
            UserError: it cannot be rendered for them.
        """
        try:
            return self._instruction.render(labels=list(labels)).strip() if labels else self.instruction
        except MemoryError:
            raise
        except Exception as error:
            raise _failed(error) from error

    def render(
        self,
        text: str,
        examples: Sequence[Row] = (),
        offered: Sequence[str] = (),
        passages: Passages = NO_PASSAGES,
    ) -> str:
        """The prompt for one input; white space at its end is stripped.

        Passages are a list of texts to a template that reads ``passages``; to another one they are a part of the input.

        Args:
            text: the input.
            examples: that are shown.
            offered: the labels that it names; empty: all of them.
            passages: of documents, that are shown.

        Raises:
            UserError: an undefined variable, a refused operation, an empty or an over-long result.
        """
        instruction, labels = self.instruction_for(offered), list(offered) or self.labels
        shown = [{"input": row.input, "output": row.outputs[0]} for row in examples]
        variables = {"instruction": instruction, "labels": labels, "examples": shown, "passages": list(passages.texts)}
        variables["input"] = text if self._places_passages else passages.beside(text)
        parts, size = [], 0
        try:
            for part in self._template.generate(**variables):
                parts.append(part)
                size += len(part)
                if size > MAX_CHARACTERS:
                    raise UserError(f"prompt template: the result is longer than {MAX_CHARACTERS:,} characters")
        except (UserError, MemoryError):  # what has limited the memory says so itself
            raise
        except Exception as error:
            raise _failed(error) from error
        prompt = "".join(parts).rstrip()
        if not prompt:
            raise UserError("prompt template: the result is empty; it should contain {{ input }}")
        return prompt


def literal(text: str) -> str:
    """A Jinja source that gives a text as it is, whatever is in it."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}"


def names_read(source: str) -> set[str]:
    """Names that a template reads from outside.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return meta.find_undeclared_variables(_environment().parse(source))
    except Exception as error:
        raise _failed(error) from error


def shows_passages(template: str) -> bool:
    """Whether a template says itself where passages of documents stand.

    Raises:
        UserError: it cannot be read.
    """
    return "passages" in names_read(template)


def fixed_texts(source: str) -> list[str]:
    """The texts of a template that stand in it as they are, quoted ones included.

    Raises:
        UserError: it cannot be read.
    """
    try:
        tree = _environment().parse(source)
    except Exception as error:
        raise _failed(error) from error
    texts = [node.data for node in tree.find_all(nodes.TemplateData)]
    texts += [node.value for node in tree.find_all(nodes.Const)]
    return [text for text in texts if isinstance(text, str) and text.strip()]


def _failed(error: Exception) -> UserError:
    line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
    return UserError(f"prompt template{line}: {type(error).__name__}: {error}; mend the template")


S = TypeVar("S", bound=Sequence[Any])


def common_prefix(sequences: Sequence[S]) -> S:
    """The longest beginning of all texts, or of all lists of tokens; there must be one of them at least."""
    # the least and the greatest in order differ the earliest
    first, last = min(sequences), max(sequences)  # type: ignore[type-var]
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]  # type: ignore[return-value]


def check_prompt(template: str, instruction: str, labels: Sequence[str], multi_label: bool = False) -> None:
    """Renders a probe with and without an example and a passage; arguments as of `Prompt`.

    Raises:
        UserError: the template fails, or does not show the input, the example's output or a passage that it reads.
    """
    prompt = Prompt(template, instruction, labels, multi_label)
    probe, answer, passage = "probe-input-6174", "probe-output-6174", "probe-passage-6174"
    if probe not in prompt.render(probe):
        raise UserError("prompt template: the input does not appear in the result; it should contain {{ input }}")
    if answer not in prompt.render(probe, [Row(id=0, input="x", outputs=[answer])]):
        raise UserError(
            "prompt template: few-shot examples do not appear; loop over examples, see search_spaces/joint.yaml"
        )
    if shows_passages(template) and passage not in prompt.render(probe, passages=Passages((passage,))):
        raise UserError("prompt template: it reads passages and does not show them; loop over passages")
    # what grows with the input or with the examples shows on long ones
    many = [Row(id=i, input=LONG_INPUT, outputs=[answer]) for i in range(MANY_EXAMPLES)]
    prompt.render(LONG_INPUT, many, passages=Passages((LONG_INPUT,) * MANY_EXAMPLES))
