"""Tasks of JSON answers: the schema reaches metric, prompts and servers, and rows that do not satisfy it are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.remote import RemoteModel
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.prompts.rendering import Prompt, literal
from autoadapt.providers.dialects import Chat, Responses
from autoadapt.providers.replies import Question
from autoadapt.tasks.parsing import to_yaml
from autoadapt.tasks.resolve import ResolvedTask, resolve

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["fruit", "tool"]}, "count": {"type": ["integer", "null"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


def rows(count: int = 120, **changes: Any) -> list[dict[str, Any]]:
    """Rows with an object for an answer; `changes` are made to the last one."""
    made: list[dict[str, Any]] = [
        {"input": f"{i} {'apples' if i % 2 else 'hammers'}", "output": {"kind": ["tool", "fruit"][i % 2], "count": i}}
        for i in range(count)
    ]
    made[-1] |= changes
    return made


@pytest.fixture
def task(make_task: MakeTask) -> Path:
    """A task file of JSON answers."""
    data = {"path": "data.jsonl"}
    path = make_task(
        task="extract", schema="schema.json", metric=None, data=data, search_space="quick", models=["embedded"]
    )
    (path.parent / "schema.json").write_text(json.dumps(SCHEMA))
    write_rows(path, rows())
    return path


def write_rows(task: Path, lines: list[dict[str, Any]]) -> None:
    """Puts rows in place of the task's own."""
    (task.parent / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def job(resolved: ResolvedTask) -> Any:
    """A fit of the first candidate."""
    candidate = next(c for c in map(resolved.space.candidate, resolved.space.first()) if c.method == "prompt")
    return resolved._whole_job(candidate)


def test_metric_is_json_fields_with_the_schema(task: Path) -> None:
    resolved = resolve(task)
    assert resolved.task.metric.name == "json_fields"
    assert resolved.task.metric.settings == {"json_schema": SCHEMA}
    assert job(resolved).answer_schema == SCHEMA
    assert json.loads(resolved.splits.train[0].outputs[0])["kind"] in ("fruit", "tool")


def test_first_prompt_names_the_fields_and_another_one_shows_the_schema(task: Path) -> None:
    resolved = resolve(task)
    first = Prompt(job(resolved).prompt.template, job(resolved).prompt.instruction, []).render("2 pears")
    assert "kind (one of fruit | tool), count (integer or null)" in first
    shown = Prompt("{{ instruction }} {{ input }}", resolved.space.space.instructions["schema"], []).instruction
    assert json.dumps(SCHEMA) in shown
    assert {"none", "fields", "schema"} <= {*resolved.space.space.shared["instruction"].choices}  # type: ignore[union-attr]


def test_prompt_of_the_library_is_told_the_schema(task: Path) -> None:
    space = resolve(task, ['prompts.use=["extract-schema"]']).space.space
    template, instruction = space.prompt({"template": "extract-schema"})
    assert f"Its schema is:\n{json.dumps(SCHEMA)}\n" in Prompt(template, instruction, []).instruction
    own = resolve(task, ['prompts.use=["extract-schema"]', "prompts.variables={schema: my own}"]).space.space
    assert "Its schema is:\nmy own\n" in Prompt(*own.prompt({"template": "extract-schema"}), []).instruction


def test_instruction_of_a_space_may_place_the_schema(task: Path) -> None:
    space = {
        "version": 1,
        "templates": {
            "plain": "{{ instruction }}{% for e in examples %}{{ e.input }}{{ e.output }}{% endfor %}{{ input }}"
        },
        "instructions": {"own": "Obey {{ schema }} always."},
        "shared": {"template": ["plain"], "instruction": ["own"]},
        "branches": {"prompt": {"shots": [0]}},
    }
    (task.parent / "space.yaml").write_text(json.dumps(space))
    resolved = resolve(task, ["search_space=space.yaml"])
    assert Prompt("{{ input }}", resolved.space.space.instructions["own"], []).instruction == (
        f"Obey {json.dumps(SCHEMA)} always."
    )


@given(st.text())
def test_any_schema_stands_in_a_prompt_as_it_is(text: str) -> None:
    whole = f"x{text.encode(errors='replace').decode()}x"
    assert Prompt("{{ input }}", literal(whole), []).instruction == whole


def test_longest_answer_suits_the_rows_unless_the_task_says_it(task: Path) -> None:
    long = {"kind": "fruit", "count": 10**300}
    write_rows(task, [{**row, "output": long} for row in rows()])
    assert resolve(task, ["evaluation={rows: 30}"]).task.evaluation.max_new_tokens == len(json.dumps(long)) // 2 + 16
    assert resolve(task, ["evaluation.max_new_tokens=20"]).task.evaluation.max_new_tokens == 20


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"kind": "animal"}, "field 'kind': 'animal' is not one of ['fruit', 'tool']"),
        ({"kind": "fruit", "colour": "red"}, "Additional properties are not allowed"),
        ("fruit", "it is not valid JSON"),
        ('{"kind": "fruit", "count": NaN}', "NaN is no JSON value"),
    ],
)
def test_row_that_does_not_satisfy_the_schema_is_refused_with_its_line(task: Path, output: Any, said: str) -> None:
    write_rows(task, rows(output=output))
    checked = call("check", task)
    assert checked.returncode == 3
    assert said in checked.stderr
    assert "data.jsonl, line 120: column 'output' holds" in checked.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": None}, "extract needs the schema of the answers; give schema: FILE.json"),
        ({"task": None}, "give task: extract, too"),
        ({"schema": "absent.json"}, "absent.json: No such file or directory; name a file with a JSON schema"),
        ({"metric": "accuracy"}, "task: extract has JSON objects for answers, and the metric takes labels"),
        ({"shema": "x.json"}, "did you mean 'schema'?"),
    ],
)
def test_mistake_in_the_task_is_told(task: Path, changes: dict[str, Any], said: str) -> None:
    sets = [f"{key}={'null' if value is None else value}" for key, value in changes.items()]
    with pytest.raises(UserError) as caught:
        resolve(task, sets)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{", '{"type": "string"}', '{"type": "object"}'])
def test_file_that_is_no_schema_is_refused_with_the_line_of_the_task(task: Path, text: str) -> None:
    (task.parent / "schema.json").write_text(text)
    with pytest.raises(UserError, match=r"task\.yaml, line \d+, schema: .*schema\.json: "):
        resolve(task)


def test_task_is_written_as_it_is_read(task: Path) -> None:
    written = to_yaml(resolve(task).task)
    assert "schema: schema.json" in written
    assert Task.model_validate(resolve(task).task.model_dump(mode="json")).schema_file == "schema.json"


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("structured_outputs", {"structured_outputs": {"json": OPEN}}),
        ("grammar", {"json_schema": OPEN}),
        (
            "json_schema",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": False, "schema": OPEN},
                }
            },
        ),
        (None, {}),
    ],
)
def test_server_is_held_to_the_schema_in_the_form_that_it_has(constraint: str | None, expected: dict[str, Any]) -> None:
    question = Question(prompt="p", max_tokens=9, answer_schema=OPEN, constraint=constraint)
    body = Chat(RemoteModel(model="m")).body(question)
    assert {key: body[key] for key in expected} == expected
    assert not {"structured_outputs", "json_schema", "response_format"} & {*body} - {*expected}


def test_responses_are_held_to_a_schema_strictly_where_it_allows_that() -> None:
    strict = {**OPEN, "required": ["a"], "additionalProperties": False}
    question = Question(prompt="p", max_tokens=9, answer_schema=strict, constraint="json_schema")
    held = Responses(RemoteModel(model="m")).body(question)["text"]["format"]
    assert held == {"type": "json_schema", "name": "answer", "strict": True, "schema": strict}
