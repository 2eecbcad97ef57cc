"""Entries of the prompt library in a search space: choices of `template` that have an instruction of their own."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.prompt_entry import PromptEntry, PromptSettings
from autoadapt.domain.space import Choices, Range, SearchSpace
from autoadapt.errors import UserError, did_you_mean
from autoadapt.prompts.limits import check_limited
from autoadapt.prompts.linting import first_error
from autoadapt.prompts.rendering import check_prompt
from autoadapt.tasks.prompt_library import PromptLibrary, StoredEntry, folders_of, is_pattern

TEXTS_OF_SPACE = {"templates", "instructions", "prompts", "entries"}
"""Fields of a space that are identified by their texts, each apart."""
SCHEMA = "schema"
"""The variable of an entry that stands for the schema of answers."""


def with_library(
    space: SearchSpace, settings: PromptSettings, base: Path, answers: AnswerKind, schema: str | None = None
) -> SearchSpace:
    """A space with those entries of the library that it and the task name.

    Args:
        space: as written.
        settings: of the task.
        base: folder of the task file.
        answers: what the metric asks for.
        schema: of answers that are JSON objects, which entries with a variable `schema` are told unless the task sets
            it; None: there is none.

    Raises:
        UserError: an entry is unknown, wrong, for tasks of another kind, or its name is taken.
    """
    if space.entries:
        raise UserError("entries of a search space are filled in; name them in its `prompts`, or in those of the task")
    if not (space.prompts or settings.folders or settings.use not in ("auto", []) or settings.variables):
        return space
    library = PromptLibrary(folders_of(settings.folders, base))
    chosen = _of_patterns(space.prompts, library, settings, answers, strict=False)
    if settings.use == "auto":
        chosen += [stored for stored in library.own if stored.entry.fits(answers, settings.task_type)]
    else:
        chosen += _of_patterns(settings.use, library, settings, answers, strict=True)
    entries = [stored.entry for stored in chosen]
    told = {} if schema is None or not any(SCHEMA in entry.variables for entry in entries) else {SCHEMA: schema}
    return _joined(space, _named(entries, {**told, **settings.variables}))


def _of_patterns(
    references: Sequence[str], library: PromptLibrary, settings: PromptSettings, answers: AnswerKind, strict: bool
) -> list[StoredEntry]:
    """The entries that references stand for and that are for tasks of this kind.

    Args:
        references: ids and patterns.
        library: in which they are looked up.
        settings: of the task.
        answers: what the metric asks for.
        strict: refuse an id, or a pattern without any entry, for tasks of another kind. The prompts of a search space
            are for any task, and those of another kind are left out.
    """
    found: list[StoredEntry] = []
    for reference in references:
        matching = library.matching(reference) if is_pattern(reference) else [library.find(reference)]
        fitting = [stored for stored in matching if stored.entry.fits(answers, settings.task_type)]
        if strict and not fitting:
            types = ", ".join(sorted({stored.entry.task_type for stored in matching}))
            wanted = settings.task_type or ("tasks with free text" if answers == "text" else "tasks with labels")
            raise UserError(f"the prompt '{reference}' is for {types}, and this task needs one for {wanted}")
        found += fitting
    return found


def _named(entries: Sequence[PromptEntry], variables: Mapping[str, str]) -> dict[str, PromptEntry]:
    """Entries with a task's values of their variables, by id; where two versions of one id are used, by both."""
    known = {name for entry in entries for name in entry.variables}
    for name in variables:
        if name not in known:
            raise UserError(f"variables.{name}: no prompt that is used has this variable: {did_you_mean(name, known)}")
    by_version = {entry.name: entry for entry in entries}
    ids = [entry.id for entry in by_version.values()]
    return {
        entry.id if ids.count(entry.id) == 1 else name: entry.with_variables(variables)
        for name, entry in by_version.items()
    }


def _joined(space: SearchSpace, entries: Mapping[str, PromptEntry]) -> SearchSpace:
    """A space with entries as further choices of `template`; `instruction` is asked for with the others alone."""
    if not entries:
        return space
    for name, entry in entries.items():
        if name in space.templates:
            raise UserError(f"prompt '{name}': the search space has a template of that name; rename one of them")
        if (error := first_error(entry)) is not None:
            raise UserError(f"prompt '{name}': {error}; see `autoadapt prompts lint`")
    template, instruction = space.shared["template"], space.shared["instruction"]
    assert isinstance(template, Choices)
    assert isinstance(instruction, Choices)
    changed: dict[str, Choices | Range] = {
        "template": template.model_copy(update={"choices": [*template.choices, *entries]}),
        "instruction": instruction.model_copy(
            update={"when": {"template": list(template.choices), **instruction.when}}
        ),
    }
    names = [name for name in space.shared if name != "instruction"]
    names.insert(names.index("template") + 1, "instruction")  # which is conditional on the template
    shared = {name: changed.get(name, space.shared[name]) for name in names}
    bound = {name: entry.bound_template for name, entry in entries.items()}
    changes = {"entries": dict(entries), "templates": {**space.templates, **bound}, "shared": shared}
    return space.model_copy(update=changes)


def instructions_of(space: SearchSpace) -> dict[str, str]:
    """Every instruction by its name; those of entries by the names of the entries."""
    return {**space.instructions, **{name: entry.bound_instruction for name, entry in space.entries.items()}}


def check_prompts(space: SearchSpace, labels: Sequence[str], multi_label: bool) -> None:
    """Tries every template with every instruction that it can be shown with.

    Args:
        space: whose prompts they are.
        labels: to choose from; empty for free text.
        multi_label: whether an answer is a set of labels.

    Raises:
        UserError: the first that cannot be used.
    """
    checks: dict[str, Callable[[], object]] = {}
    for name, template in space.templates.items():
        places = {f"search space, template '{name}', instruction '{i}'": text for i, text in space.instructions.items()}
        if (entry := space.entries.get(name)) is not None:
            places = {f"prompt '{name}'": entry.bound_instruction}
        for place, instruction in places.items():
            checks[place] = functools.partial(check_prompt, template, instruction, labels, multi_label)
    check_limited(checks)
