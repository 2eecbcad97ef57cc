"""Other wordings of prompts and other spellings of rows: the same for every search, and none changes what is meant."""

import random

import pytest

from autoadapt.domain.jobs import PromptText
from autoadapt.domain.robustness import Variant
from autoadapt.domain.rows import Row
from autoadapt.prompts.rendering import Prompt, literal
from autoadapt.prompts.spellings import TYPO_RATE, neighbours, spelled, spelling_variants, with_typos
from autoadapt.prompts.wordings import Wordings, orders, rewordings, separated

LABELS = ["positive", "negative"]
TEMPLATE = (
    "{{ instruction }}\n\n{% for e in examples %}Text: {{ e.input }}\nLabel: {{ e.output }}\n\n{% endfor %}"
    "Text: {{ input }}\nLabel:"
)
OPTIONS = "Classify the text as one of: {{ labels | join(', ') }}."
OWN = PromptText(template=TEMPLATE, instruction=OPTIONS)
EXAMPLES = [Row(id=i, input=f"example {i}", outputs=[LABELS[i % 2]]) for i in range(4)]


def of_kind(variants: list[Variant], kind: str) -> list[Variant]:
    return [variant for variant in variants if variant.kind == kind]


def rendered(variant: Variant, examples: list[Row] | None = None) -> str:
    prompt = Prompt(variant.template or TEMPLATE, variant.instruction or OPTIONS, variant.labels or LABELS)
    return prompt.render("a good film", examples or [])


def test_a_zero_shot_prompt_has_other_instructions_orders_of_labels_and_separators() -> None:
    variants = Wordings(OWN, LABELS).variants(3)
    assert {v.kind for v in variants} == {"instruction", "label_order", "separators"}
    assert len({v.name for v in variants}) == len(variants)
    texts = [rendered(v) for v in variants]
    assert len({*texts, rendered(Variant(kind="case", name="own"))}) == len(variants) + 1, "no two are alike"
    assert Wordings(OWN, LABELS).variants(3) == variants, "they follow from the prompt alone"


def test_every_other_wording_still_names_all_labels_and_shows_the_input() -> None:
    for variant in Wordings(OWN, LABELS, shots=(4, True)).variants(20):
        shown = rendered(variant, EXAMPLES)
        assert "a good film" in shown
        assert all(shown.lower().count(label) >= 1 for label in LABELS), variant.name


def test_instructions_of_the_space_count_as_rewordings_where_they_name_the_labels_alike() -> None:
    others = ["", "Classify the text.", "Choose one of: {{ labels | join(', ') }}."]
    names = [v.name for v in of_kind(Wordings(OWN, LABELS, others=others).variants(20), "instruction")]
    assert "Choose one of: positive, negative." in names[0]
    assert not any(name.endswith(": Classify the text.") for name in names), "that one names no labels"
    short = Wordings(OWN.model_copy(update={"instruction": "Classify the text."}), LABELS, others=others)
    assert not any("positive" in v.name for v in short.variants(20))


def test_a_label_that_is_a_word_of_the_instruction_is_not_reworded() -> None:
    wordings = Wordings(OWN, ["read", "write"]).variants(20)
    texts = [
        Prompt("{{ instruction }}{{ input }}", v.instruction or "", []).render("") for v in wordings if v.instruction
    ]
    assert texts
    assert all("read" in text and "write" in text for text in texts)


def test_no_instruction_has_no_rewording_and_no_order_of_labels() -> None:
    bare = Wordings(OWN.model_copy(update={"instruction": ""}), LABELS).variants(3)
    assert {v.kind for v in bare} == {"separators"}
    listed = Wordings(OWN.model_copy(update={"instruction": ""}), LABELS, labels_shown="listed").variants(3)
    assert {v.kind for v in listed} == {"separators", "label_order"}


@pytest.mark.parametrize(
    ("shots", "kinds"),
    [((4, True), {"shot_order", "shot_draw"}), ((4, False), {"shot_order"}), ((1, True), {"shot_draw"})],
)
def test_examples_are_shown_in_other_orders_and_drawn_anew(shots: tuple[int, bool], kinds: set[str]) -> None:
    variants = Wordings(OWN, LABELS, shots=shots).variants(2)
    assert {v.kind for v in variants} - {"instruction", "label_order", "separators"} == kinds
    for variant in of_kind(variants, "shot_order"):
        assert sorted(variant.order or []) == [0, 1, 2, 3]


def test_a_zero_shot_prompt_is_not_varied_in_what_stands_between_examples() -> None:
    template = "{% for e in examples %}{{ e.input }} - {{ e.output }}\n\n{% endfor %}{{ input }}\nAnswer"
    text = PromptText(template=template, instruction="")
    assert Wordings(text, LABELS).variants(5) == []
    assert [v.name for v in Wordings(text, LABELS, shots=(2, False)).variants(5) if v.kind == "separators"]


def test_orders_are_all_there_are_and_never_the_own_one() -> None:
    assert list(orders(1)) == []
    assert list(orders(2)) == [(1, 0)]
    assert len({*orders(3)}) == 5
    assert (0, 1, 2) not in {*orders(3)}


def test_a_reworded_instruction_is_rendered_as_it_is_whatever_it_contains() -> None:
    for text in ('say "{{ labels }}" {% raw %}', "back\\slash\nand line", "émoji 🙂 }} {# #}"):
        assert Prompt("{{ instruction }}{{ input }}", literal(text), LABELS).instruction == text


def test_courtesy_is_for_verbs_alone() -> None:
    assert "Please choose one of: a." in list(rewordings("Choose one of: a."))
    assert not any(text.startswith("Please") for text in rewordings("One of: a."))


def test_what_a_template_computes_is_left_alone_by_other_separators() -> None:
    template = "{% if instruction %}a: {{ 'b: c' }}{% endif %}: {{ input }}\n\nAnswer:"
    changed = dict(separated(template))
    assert changed["dashes"] == "{% if instruction %}a - {{ 'b: c' }}{% endif %} - {{ input }}\n\nAnswer -"
    assert changed["single line breaks"].endswith("{{ input }}\nAnswer:")


def test_typing_errors_follow_from_seed_and_row() -> None:
    row = Row(id=7, input="What is the capital of Yugoslavia ?", outputs=["LOC"])
    first, second = (Variant(kind="typos", name=f"typos {i}", seed=i) for i in range(2))
    assert spelled(row, first, []) == spelled(row, first, []) != row.input
    assert len({spelled(row.model_copy(update={"id": i}), v, []) for i in range(20) for v in (first, second)}) > 10


def test_about_one_word_in_ten_has_a_typing_error_and_short_words_have_none() -> None:
    generator, words = random.Random(0), ["quality"] * 1000
    changed = sum(a != "quality" for a in with_typos(" ".join(words), generator).split(" "))
    assert 0.7 * TYPO_RATE < changed / 1000 < 1.3 * TYPO_RATE
    assert with_typos("is it so 12345 ?", generator) == "is it so 12345 ?"
    assert with_typos("one quality", generator) != "one quality", "one of every text that has such a word"


@pytest.mark.parametrize("seed", range(50))
def test_a_typing_error_changes_one_letter_place_and_not_the_first_letter(seed: int) -> None:
    changed = with_typos("quality", random.Random(seed))
    assert changed[0] == "q"
    assert changed != "quality"
    assert abs(len(changed) - len("quality")) <= 1


def test_neighbours_are_those_of_the_keyboard() -> None:
    assert neighbours("s") == "ad"
    assert neighbours("S") == "AD"
    assert neighbours("q") == "w"
    assert neighbours("é") == ""


def test_names_of_columns_are_not_misspelled() -> None:
    row = Row(id=0, input="question: What is it called?\npassage: Nobody knows.", outputs=["yes"])
    lower, upper = spelling_variants(2)[2:]
    assert spelled(row, lower, ["question", "passage"]) == "question: what is it called\npassage: nobody knows"
    assert spelled(row, upper, ["question", "passage"]) == "question: WHAT IS IT CALLED?\npassage: NOBODY KNOWS."
    assert spelled(Row(id=0, input="!?", outputs=[""]), lower, []) == "!?", "nothing would be left"
