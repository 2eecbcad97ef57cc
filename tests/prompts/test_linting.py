"""Lint of entries of the prompt library: every finding, and none where nothing is wrong."""

from typing import Any

import pytest

from autoadapt.domain.prompt_entry import LABEL_TYPES, PromptEntry
from autoadapt.domain.rows import Row
from autoadapt.prompts.linting import Finding, TaskRows, lint
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks.prompt_library import PromptLibrary

BODY = "{% for e in examples %}{{ e.input }} => {{ e.output }}\n{% endfor %}{{ input }} =>"
LABELS = ("ripe fruit", "tool")
LEAKED = "A long row that is answered on its own"
TASK = TaskRows(LABELS, False, {"validation": [Row(id=0, input=LEAKED, outputs=["tool"])], "test": []})


def entry(**changes: Any) -> PromptEntry:
    content = {
        "id": "mine",
        "task_type": "classify",
        "template": "{{ instruction }}\n" + BODY,
        "instruction": "Say it.",
    }
    return PromptEntry.model_validate({**content, **changes})


def findings(one: PromptEntry, task: TaskRows | None = None) -> list[tuple[str, str]]:
    return [(finding.severity, finding.place) for finding in lint(one, task)]


@pytest.mark.parametrize("stored", PromptLibrary().entries, ids=lambda stored: stored.entry.id)
def test_installed_entry_has_no_finding_and_shows_all_that_it_is_given(stored: Any) -> None:
    one = stored.entry
    assert lint(one) == []
    assert (one.id, one.notes != "", stored.path.stem) == (one.id, True, one.id)
    labels = list(LABELS) if one.task_type in LABEL_TYPES else []
    prompt = Prompt(one.bound_template, one.bound_instruction, labels)
    shown = prompt.render("the input", [Row(id=1, input="an example", outputs=["its answer"])])
    assert prompt.instruction
    assert prompt.instruction in shown
    assert all(label in shown for label in labels)
    assert shown.index("an example") < shown.index("its answer") < shown.index("the input") < len(shown)
    # an empty instruction, which is searched where a slot replaces it, leaves a prompt that works
    assert "the input" in Prompt(one.bound_template, "", labels).render("the input")


def test_installed_entries_are_15_to_25_for_every_task_type_and_all_different() -> None:
    entries = [stored.entry for stored in PromptLibrary().entries]
    assert 15 <= len(entries) <= 25
    assert len({one.version for one in entries}) == len({one.id for one in entries}) == len(entries)
    assert {one.task_type for one in entries} == {
        *("classify", "route", "extract_json", "question_answering", "summarise", "rewrite")
    }


def test_entry_without_fault_has_no_finding() -> None:
    assert findings(entry(), TASK) == []
    assert findings(entry(instruction="One of {{ labels | join(', ') }}."), TASK) == []
    assert findings(entry(task_type="rewrite"), TaskRows((), False, {})) == []


def test_variable_that_is_not_defined_is_an_error_that_names_the_nearest_one() -> None:
    (finding,) = lint(entry(instruction="You are {{ persno }}.{{ persona }}", variables={"persona": "x"}))
    assert (finding.severity, finding.place) == ("error", "instruction")
    assert "did you mean 'persona'?" in finding.message
    assert findings(entry(template=BODY + "{{ instruction }}{{ lable }}")) == [("error", "template")]
    # an instruction is rendered before there is an input
    assert findings(entry(instruction="About {{ input }}.")) == [("error", "instruction")]


def test_variable_that_is_never_used_is_a_warning() -> None:
    assert findings(entry(variables={"tone": "kind"})) == [("warning", "variables.tone")]
    assert findings(entry(variables={"tone": "kind"}, instruction="Be {{ tone }}.")) == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (BODY, "does not show the instruction"),
        ("{{ instruction }} {% for e in examples %}{{ e.output }}{% endfor %}", "the input does not appear"),
        ("{{ instruction }} {{ input }}", "examples do not appear"),
        ("{{ instruction }} {{ input }", "TemplateSyntaxError"),
        ("{{ instruction }}" + BODY + "{{ 'x' * 10000000 }}", "operator * is not allowed"),
    ],
)
def test_template_that_cannot_be_used_is_an_error(template: str, said: str) -> None:
    (finding,) = lint(entry(template=template))
    assert (finding.severity, finding.place) == ("error", "template")
    assert said in finding.message


def test_label_between_input_and_answer_gives_it_away() -> None:
    given = lint(entry(template="{{ instruction }}\n" + BODY + " Ripe Fruit?"), TASK)
    assert given[0] == Finding(
        severity="error",
        place="template",
        message="shows ripe fruit between the input and the answer, which gives it away; remove it",
    )
    every = entry(template="{{ instruction }}\n" + BODY + " {{ labels | join(' or ') }}?")
    assert findings(every, TASK) == []


def test_some_labels_by_name_are_a_warning_and_all_of_them_are_none() -> None:
    assert findings(entry(instruction="A tool is no food."), TASK) == [("warning", "instruction")]
    assert findings(entry(instruction="Is it ripe fruit or a tool?"), TASK) == []
    assert findings(entry(instruction="A toolbox or fruit."), TASK) == [], "parts of words are no labels"
    named = entry(variables={"hint": "like a tool"}, instruction="{{ hint }}")
    assert findings(named, TASK) == [("warning", "variables.hint")]


@pytest.mark.parametrize("place", ["template", "instruction", "variables.shown"])
def test_row_that_is_answered_is_an_error_wherever_it_stands(place: str) -> None:
    leaked = f"a long  ROW {LEAKED[11:]}"
    changes: dict[str, Any] = {
        "template": {"template": f"{{{{ instruction }}}}\n{leaked} => tool, ripe fruit\n{BODY}"},
        "instruction": {"instruction": leaked},
        "variables.shown": {"instruction": "{{ shown }}", "variables": {"shown": leaked}},
    }[place]
    (finding,) = lint(entry(**changes), TASK)
    assert (finding.severity, finding.place) == ("error", place)
    assert "holds the input of 1 validation row" in finding.message


def test_answer_in_free_text_that_stands_in_an_entry_is_an_error() -> None:
    answer = "an answer of many words to be found"
    rows = TaskRows((), False, {"test": [Row(id=0, input="short", outputs=["other", answer])]})
    (finding,) = lint(entry(task_type="summarise", instruction=f"Write such as: {answer}"), rows)
    assert finding.severity == "error"
    assert "holds the answer of 1 test row" in finding.message


def test_version_is_that_of_the_content_alone() -> None:
    one = entry(variables={"a": "1", "b": "2"}, instruction="{{ a }}{{ b }}")
    same = entry(id="other", notes="n", variables={"b": "2", "a": "1"}, instruction=" {{ a }}{{ b }}\n")
    assert one.version == same.version
    assert len(one.version) == 12
    changed = [{"task_type": "route"}, {"template": BODY + "{{ instruction }}"}, {"variables": {"a": "1", "b": "3"}}]
    versions = {one.model_copy(update=change).version for change in changed}
    assert len(versions - {one.version}) == 3


@pytest.mark.parametrize(
    "value", ['a "quoted" one', "back\\slash \\n", "two\nlines\ttab", "ünï → 😀", "{{ labels }} {% if %}", "'"]
)
def test_value_of_a_variable_is_shown_as_it_is(value: str) -> None:
    one = entry(variables={"said": value}, instruction="<{{ said }}>")
    prompt = Prompt(one.bound_template, one.bound_instruction, LABELS)
    assert prompt.render("x").startswith(f"<{value}>\n")
