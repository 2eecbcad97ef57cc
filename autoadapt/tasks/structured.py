"""Tasks whose answers are JSON objects: their schema is read, shown to models, and checked in every row."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.metric import Metric
from autoadapt.domain.rows import Row
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import EXTRACTING, Task
from autoadapt.errors import UserError
from autoadapt.json_answers import AnswerSchema, NotJsonError, read_json
from autoadapt.prompts.rendering import literal
from autoadapt.registry import expanded
from autoadapt.tasks.told_instructions import with_told

PLACE = "{{ schema }}"
"""In an instruction: where the schema is put."""
INSTRUCTIONS = {
    "fields": "Extract the fields of the text as one JSON object. Fields: {fields}. Leave out a field that the text "
    "does not state.",
    "schema": "Extract from the text what this JSON schema describes. Answer with one JSON object that satisfies it "
    f"and with nothing else. Schema: {PLACE}",
}
"""Added to a search space none of whose instructions shows the schema; {fields} are names with their types."""
LONGEST_FILE = 1_000_000
BYTES_PER_TOKEN = 2
"""Of JSON, of which quotes, braces and commas are tokens of their own; text alone has about four."""
SPARE_TOKENS = 16
MOST_TOKENS = 4096


def read_schema(task: Task, base: Path) -> AnswerSchema | None:
    """The schema that a task names; None: its answers are no JSON objects.

    Args:
        task: as written.
        base: folder of its file.

    Raises:
        UserError: the file is missing or no schema of an object.
    """
    if task.schema_file is None:
        return None
    path = (base / expanded(task.schema_file)).expanduser()
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(LONGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{path}: {reason}; name a file with a JSON schema") from error
    if len(text) > LONGEST_FILE:
        raise UserError(f"{path}: more than {LONGEST_FILE:,} characters; give a shorter schema")
    try:
        schema = read_json(text)
    except NotJsonError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(schema, dict):
        raise UserError(f'{path}: no JSON schema; it begins with {{"type": "object", "properties": ...')
    try:
        return AnswerSchema(schema)
    except UserError as error:
        raise UserError(f"{path}: {error}", error.code) from error


def with_schema(task: Task, schema: AnswerSchema | None) -> Task:
    """The task whose metric json_fields knows the schema, so that jobs, bundles and the lock file state it."""
    if schema is None or task.metric.name != EXTRACTING:
        return task
    settings = {**task.metric.settings, "json_schema": schema.schema}
    return task.model_copy(update={"metric": PluginChoice(name=EXTRACTING, settings=settings)})


def told_schema(space: SearchSpace, schema: AnswerSchema | None) -> SearchSpace:
    """The search space whose instructions tell models the schema.

    `{{ schema }}` in an instruction is replaced by it. Where no instruction has that, `INSTRUCTIONS` are added, and
    prompts that are tried first with some instruction are tried with `fields`.
    """
    if schema is None:
        return space
    shown = literal(schema.text())
    fields = literal(", ".join(f"{name} ({_kind(schema, name)})" for name in schema.fields))
    added = {name: text.replace(PLACE, shown).replace("{fields}", fields) for name, text in INSTRUCTIONS.items()}
    return with_told(space, PLACE, shown, added)


def _kind(schema: AnswerSchema, name: str) -> str:
    """The type of a field as prompts show it."""
    field = schema.schema["properties"][name]
    if not isinstance(field, dict):
        return "any"
    if isinstance(field.get("enum"), list):
        return "one of " + " | ".join(map(str, field["enum"]))
    kind = field.get("type", "any")
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def check_of_references(schema: AnswerSchema | None, metric: Metric) -> Callable[[str], str | None]:
    """What is wrong with an accepted answer in the data, by the schema or by the metric.

    Raises:
        UserError: the metric takes no texts, and so no JSON objects.
    """
    if schema is None:
        return metric.reference_mistake
    if metric.answers != "text":
        raise UserError(
            "task: extract has JSON objects for answers, and the metric takes labels; use json_fields or exact_match"
        )

    def mistake(reference: str) -> str | None:
        try:
            return schema.mistake(read_json(reference))
        except NotJsonError as error:
            return f"it is not valid JSON: {error}"

    return mistake


def with_room(task: Task, rows: Sequence[Row]) -> Task:
    """A task of JSON answers whose `evaluation.max_new_tokens`, where it is not given, suits the longest answer."""
    if task.schema_file is None or "max_new_tokens" in task.evaluation.model_fields_set:
        return task
    longest = max((len(output.encode()) for row in rows for output in row.outputs), default=0)
    room = min(MOST_TOKENS, longest // BYTES_PER_TOKEN + SPARE_TOKENS)
    evaluation = task.evaluation.model_copy(update={"max_new_tokens": max(task.evaluation.max_new_tokens, room)})
    return task.model_copy(update={"evaluation": evaluation})
