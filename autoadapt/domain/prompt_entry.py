"""PromptEntry: a prompt of the library, whose content is its version; PromptSettings: which of them a task searches.

An entry is a YAML file. `template` says how instruction, examples and input stand together, `instruction` is the
entry's own text, and `variables` are further names that both may use, with the values that they have by default.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field, field_validator

from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.strict import PathText, PlacedError, StrictModel

TaskType = Literal["classify", "route", "extract_json", "question_answering", "summarise", "rewrite"]
TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
LABEL_TYPES: tuple[TaskType, ...] = ("classify", "route")
"""Task types whose answers are labels; those of the others are written."""
GIVEN_TO_TEMPLATE = ("instruction", "labels", "multi_label", "examples", "input")
GIVEN_TO_INSTRUCTION = ("labels", "multi_label")
"""Variables that every template and every instruction is rendered with."""
ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
TAKEN = {*GIVEN_TO_TEMPLATE, "loop", "self", "super", "caller", "varargs", "kwargs", "true", "false", "none"}
TAKEN |= {"and", "or", "not", "in", "is", "if", "elif", "else", "for", "set", "block", "macro", "filter", "import"}
"""Names that mean something in every template."""
VERSION_DIGITS = 12


class PromptResult(StrictModel):
    """What a run has measured of an entry."""

    study: str
    """Name of the task."""
    option: str
    """Its number in the run."""
    method: str
    model: str
    params: dict[str, str | int | float | bool | None] = Field(default={})
    """Parameters of the candidate, template and instruction apart."""
    metric: str
    quality: float
    low: float
    high: float
    """With `low` the 95 % interval of its quality."""
    split: Literal["test", "validation"]
    rows: int = Field(ge=1)
    data: str
    """First digits of the SHA-256 of the frozen splits."""


class PromptEntry(StrictModel):
    """One prompt of the library."""

    id: str
    """By which tasks and commands name it: small letters, digits, `.`, `_` and `-`."""
    task_type: TaskType
    """What it is for."""
    template: str = Field(min_length=1)
    """Jinja over instruction, labels, multi_label, examples, input and the entry's own variables."""
    instruction: str = ""
    """Jinja over labels, multi_label and the entry's own variables; shown where the template writes
    ``{{ instruction }}``."""
    variables: dict[str, str] = Field(default={})
    """Further variables with their defaults; a task may set others."""
    notes: str = ""
    """For people: when it suits, and where it comes from. A change of them makes no new version."""
    results: list[PromptResult] = Field(default=[])
    """What runs have measured of this content, written by `autoadapt prompts save`."""

    @field_validator("id")
    @classmethod
    def _plain_id(cls, value: str) -> str:
        if not ID.fullmatch(value):
            raise ValueError("must be 1 to 64 small letters, digits, '.', '_' or '-', beginning with a letter or digit")
        return value

    @field_validator("variables")
    @classmethod
    def _plain_variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not VARIABLE.fullmatch(name):
                raise PlacedError(
                    (name,), "a variable is named by small letters, digits and _, and begins with a letter"
                )
            if name in TAKEN:
                raise PlacedError((name,), "this name is taken in every template; give the variable another")
        return value

    @property
    def version(self) -> str:
        """Of the content: the first digits of the SHA-256 of all that changes a prompt; id, notes, results apart.

        White space at the end of a template and around an instruction is never shown, and does not count.
        """
        content = [self.task_type, self.template.rstrip(), self.instruction.strip(), sorted(self.variables.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:VERSION_DIGITS]

    @property
    def name(self) -> str:
        """Id and version, such as ``classify-expert@1f0c93ab77d2``."""
        return f"{self.id}@{self.version}"

    @property
    def bound_template(self) -> str:
        """The template with the values of its variables in it, so that it can be rendered like any other."""
        return self._binding + self.template

    @property
    def bound_instruction(self) -> str:
        """The same for the instruction."""
        return self._binding + self.instruction

    @property
    def _binding(self) -> str:
        return "".join(f'{{% set {name} = "{_literal(value)}" %}}' for name, value in self.variables.items())

    def fits(self, answers: AnswerKind, task_type: TaskType | None = None) -> bool:
        """Whether it is for tasks of this kind.

        Args:
            answers: what the task's metric asks for.
            task_type: of the task; None: any that has such answers.
        """
        return (self.task_type in LABEL_TYPES) == (answers != "text") and task_type in (None, self.task_type)

    def with_variables(self, values: Mapping[str, str]) -> "PromptEntry":
        """The same with other values of those variables that it has: another content, hence another version."""
        known = {name: value for name, value in values.items() if name in self.variables}
        return self.model_copy(update={"variables": {**self.variables, **known}}) if known else self


def _literal(value: str) -> str:
    """A text as it stands between double quotes in Jinja, which reads Python's escapes."""
    return value.encode("unicode_escape").decode("ascii").replace('"', '\\"')


class PromptSettings(StrictModel):
    """Prompts of the library that are searched beside the templates of the search space."""

    folders: list[PathText] = Field(default=[])
    """Your own folders of entries, one YAML file each (`autoadapt prompts show ID` prints one)."""
    use: Literal["auto"] | list[str] = "auto"
    """Ids (`classify-expert`, or `classify-expert@VERSION`) and patterns (`classify-*`) of entries of the library and
    of `folders`; auto: every entry of `folders` that is for tasks of this kind. They become choices of `template`."""
    task_type: TaskType | None = None
    """What the task is, by which patterns and auto choose among entries; by default what its metric asks for decides:
    a label, or a text."""
    variables: dict[str, str] = Field(default={})
    """Values of variables of the entries, such as {persona: a nurse}; they change the version."""

    @field_validator("use")
    @classmethod
    def _no_repeats(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and (repeated := sorted({one for one in value if value.count(one) > 1})):
            raise ValueError(f"names {', '.join(repeated)} more than once")
        return value
