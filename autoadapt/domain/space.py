"""SearchSpace: the candidates that may be tried, as written in ``search_spaces/*.yaml``.

A parameter is written as a list (choices), a mapping ``{low, high, log, step}`` (a range) or a scalar (fixed). Any of
them may stand under ``search`` beside ``when: {other: [values]}``, which makes it conditional on an earlier parameter
of the same branch, on ``answers`` (``label`` or ``text``, from the metric), on ``labels`` (``few``, or ``many``: more
than 20), or on ``reasons`` (whether the model is one that reasons well, `Capabilities.reasons`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from autoadapt.domain.model import Capabilities
from autoadapt.domain.prompt_entry import PromptEntry
from autoadapt.domain.strict import PlacedError, StrictModel
from autoadapt.errors import did_you_mean

Scalar = str | int | float | bool | None
MOST_FEW_LABELS = 20
"""A task with more labels has many: prompts that list them all get long."""
ANSWERS, LABELS, REASONS, EFFORT = "answers", "labels", "reasons", "reasoning_effort"
"""Conditions that no parameter decides; the parameter whose values each model has for itself."""
MOST_STEPS = 1_000_000
"""Values of a range with steps."""


class Choices(StrictModel):
    """One of a list."""

    choices: list[Scalar] = Field(min_length=1)
    when: dict[str, list[Scalar]] = Field(default={})

    @model_validator(mode="after")
    def _distinct(self) -> "Choices":
        if len({repr(c) for c in self.choices}) < len(self.choices):
            raise ValueError("lists a choice twice")
        return self


class Names(Choices):
    """Choices of which no two are nearer to each other than others, also where they are numbers."""


class Range(StrictModel):
    """A number between `low` and `high`, both included; integers when both are written as integers."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: dict[str, list[Scalar]] = Field(default={})

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low {self.low} is greater than high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError("a log range must begin above 0")
        if self.log and self.step is not None:
            raise ValueError("give either log or step, not both")
        if self.step is not None:
            self._check_step(self.step)
        return self

    def _check_step(self, step: int | float) -> None:
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if whole and not isinstance(step, int):
            raise ValueError(f"step {step} must be an integer, because low and high are; or write them as {self.low}.0")
        if step <= 0:
            raise ValueError(f"step {step} must be greater than 0; leave it out for every value of the range")
        width = self.high - self.low
        if step > width:
            raise ValueError(f"step {step} is greater than the range from {self.low} to {self.high}")
        if width / step > MOST_STEPS:
            raise ValueError(f"step {step} makes more than {MOST_STEPS:,} values; leave it out for a continuous range")


def _to_spec(value: object) -> object:
    """Reads the short forms: list, range mapping, scalar, or {search: any of them, when: {...}}."""
    if isinstance(value, Choices | Range):
        return value
    when: dict[str, Any] = {}
    if isinstance(value, dict) and "search" in value:
        unknown = sorted(set(value) - {"search", "when"})
        if unknown:
            raise ValueError(f"unknown key '{unknown[0]}' beside search; known: search, when")
        raw = value.get("when") or {}
        if not isinstance(raw, dict):
            raise ValueError("when must map a parameter to a list of values")
        when = {k: v if isinstance(v, list) else [v] for k, v in raw.items()}
        value = value["search"]
    if isinstance(value, list):
        return Choices(choices=value, when=when)
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"low", "high", "log", "step", "when", "choices"})
        if unknown:
            raise ValueError(f"unknown key '{unknown[0]}'; a range has low, high, log, step")
        return (Choices if "choices" in value else Range)(**{"when": when, **value})
    return Choices(choices=[value], when=when)  # type: ignore[list-item]


def applies(spec: "Choices | Range", chosen: Mapping[str, Scalar]) -> bool:
    """Whether a parameter applies, given the ones before it (and ``answers``)."""
    return all(chosen.get(name) in values for name, values in spec.when.items())


def specs_on(
    specs: Mapping[str, "Choices | Range"], known: Capabilities | None, defaults: Mapping[str, Any], labels: int
) -> dict[str, "Choices | Range"]:
    """The parameters of a branch that a model takes, without conditions on what it can do and on how many labels are.

    A parameter that does not apply counts as its default in conditions on it.

    Args:
        specs: of the branch.
        known: what the model can do; None: nothing is known of it.
        defaults: parameter -> the value that it has where it is absent.
        labels: how many the task has.
    """
    fixed: dict[str, Any] = {LABELS: "many" if labels > MOST_FEW_LABELS else "few"}
    if known is not None:
        fixed[REASONS] = known.reasons
    taken: dict[str, Choices | Range] = {}
    for name, spec in specs.items():
        meets = all(fixed[other] in values for other, values in spec.when.items() if other in fixed)
        when = {other: values for other, values in spec.when.items() if other not in fixed and other != REASONS}
        own = spec.model_copy(update={"when": when})
        if name == EFFORT and known is not None and isinstance(own, Choices):
            own = own.model_copy(update={"choices": [c for c in own.choices if c in known.reasoning_efforts]})
            meets = meets and bool(own.choices)
        if meets:
            taken[name] = own
        else:
            fixed[name] = defaults.get(name)
    return taken


@dataclass(frozen=True)
class Branch:
    """The parameters of an arm in order, those of the prompt first. An arm is a method on the models that it suits.

    Where a family of models has parameters of its own for a method, its models have an arm of their own.

    Args:
        method: of the arm.
        models: on which it can be used; empty: all.
        specs: parameter -> its choices or range.
        shared: how many of them are the prompt's, which other arms share; 0 where no prompt is read.
        answers: ``label``, ``labels`` or ``text``, from the metric.
    """

    method: str
    specs: Mapping[str, "Choices | Range"]
    shared: int
    answers: str
    models: tuple[str, ...] = ()


def arm_of(branches: Mapping[str, Branch], method: str, model: str) -> str:
    """The arm to which a method on a model belongs.

    Args:
        branches: every arm by name.
        method: of a candidate.
        model: the same.

    Raises:
        KeyError: they do not suit each other.
    """
    for name, branch in branches.items():
        if branch.method == method and (not branch.models or model in branch.models):
            return name
    raise KeyError(f"{method} on {model}")


Spec = Annotated[Choices | Range, BeforeValidator(_to_spec)]


class SearchSpace(StrictModel):
    """The joint space: one branch per method, and the prompt parameters that all branches share."""

    version: int = Field(default=1, ge=1, le=1)
    """Version of this file's format."""
    templates: dict[str, str] = Field(min_length=1)
    """Prompt templates by name (Jinja; variables: instruction, labels, multi_label, examples, input)."""
    instructions: dict[str, str] = Field(min_length=1)
    """Instructions by name (Jinja; variables: labels, multi_label, and schema with `task: extract`); the empty text is
    allowed."""
    prompts: list[str] = Field(default=[])
    """Ids and patterns of entries of the prompt library, each a template with its own instruction, that are further
    choices of `template` in tasks of their kind."""
    entries: dict[str, PromptEntry] = Field(default={})
    """The entries that are searched, by their name among the templates; filled in, not given."""
    shared: dict[str, Spec]
    """Prompt parameters of all methods and models that read prompts: `template` and `instruction`; a tuned branch tunes
    WITH this prompt."""
    branches: dict[str, dict[str, Spec]] = Field(min_length=1)
    """Method -> its own parameters; METHOD@FAMILY -> its parameters on models of that family, where they differ."""
    first: list[dict[str, Scalar]] = Field(default=[])
    """Candidates tried before the sampler chooses: a `method` and any of its parameters; others the first choice."""

    def prompt(self, params: Mapping[str, Scalar], written: str | None = None) -> tuple[str, str]:
        """Template and instruction of a candidate; of a model that reads no prompts, the input alone.

        Args:
            params: of the candidate.
            written: the instruction of its slot; None: it uses none.
        """
        if "template" not in params:
            return "{{ input }}", ""
        name = str(params["template"])
        if written is not None:
            return self.templates[name], written
        if (entry := self.entries.get(name)) is not None:
            return self.templates[name], entry.bound_instruction
        return self.templates[name], self.instructions[str(params["instruction"])]

    @model_validator(mode="after")
    def _known_names(self) -> "SearchSpace":
        for key, texts in (("template", self.templates), ("instruction", self.instructions)):
            spec = self.shared.get(key)
            if not isinstance(spec, Choices):
                raise PlacedError(("shared", key), f"must list names from {key}s")
            for name in spec.choices:
                if name not in texts:
                    raise PlacedError(("shared", key), f"names '{name}', which {key}s does not define")
        return self

    @model_validator(mode="after")
    def _known_conditions(self) -> "SearchSpace":
        for branch, specs in self.branches.items():
            earlier = [ANSWERS, LABELS, REASONS, *self.shared]
            for parameter, spec in specs.items():
                for name in spec.when:
                    if name not in earlier:
                        raise PlacedError(
                            ("branches", branch, parameter),
                            f"when names '{name}', which is no earlier parameter of this branch: "
                            f"{did_you_mean(name, earlier)}",
                        )
                earlier.append(parameter)
        return self
