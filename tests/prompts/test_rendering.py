"""Prompts: data stays data, templates cannot escape or exhaust."""

import pytest

from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.prompts.rendering import Prompt, check_prompt
from autoadapt.tasks.space import space_folder
from autoadapt.tasks.yaml_document import Document

PLAIN = "{{ instruction }}|{% for e in examples %}{{ e.input }}={{ e.output }};{% endfor %}{{ input }}="


def test_braces_in_a_row_stay_text() -> None:
    prompt = Prompt(PLAIN, "", [])
    row = Row(id=0, input="{{ 7*7 }}", outputs=["{% raw %}"])
    assert prompt.render("{{ labels }}", [row]) == "|{{ 7*7 }}={% raw %};{{ labels }}="


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}{{ input }}",
        "{{ 'x' * 1000000000 }}{{ input }}",
        "{{ 10 ** 10 ** 10 }}{{ input }}",
        "{{ '%1000000000d' % 1 }}{{ input }}",
        "{{ 'x'.center(1000000000) }}{{ input }}",
        "{{ 'x' | center(1000000000) }}{{ input }}",
        "{% for i in range(100000) %}x{% endfor %}{{ input }}",
        "{{ lipsum(1000) }}{{ input }}",
        "{{ inptu }}",
        "{{ input",
        "{% include 'x' %}{{ input }}",
    ],
)
def test_a_bad_template_ends_in_a_message(template: str) -> None:
    with pytest.raises(UserError, match="prompt template"):
        check_prompt(template, "", ["a", "b"])


@pytest.mark.parametrize("template", ["", "   ", "nothing of the input", "{{ input }} but no examples"])
def test_a_template_must_show_input_and_examples(template: str) -> None:
    with pytest.raises(UserError, match="prompt template"):
        check_prompt(template, "", [])


@pytest.mark.parametrize("name", [p.stem for p in space_folder().glob("*.yaml")])
@pytest.mark.parametrize(("labels", "multi_label"), [([], False), (["a", "b"], False), (["a", "b"], True)])
def test_bundled_prompts_render(name: str, labels: list[str], multi_label: bool) -> None:
    space = Document(space_folder() / f"{name}.yaml").values
    for template in space["templates"].values():
        for instruction in space["instructions"].values():
            check_prompt(template, instruction, labels, multi_label)
            asked = Prompt(template, instruction, labels, multi_label).instruction
            assert "one of" not in asked or not multi_label
