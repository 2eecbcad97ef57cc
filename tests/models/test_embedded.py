"""The embedded model: any transformers user can load it, its text comes back whole, and it does better than chance."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.model_files import find_model
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.named_models import EMBEDDED
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks.space import load_space
from autoadapt.tasks.starting import example_folder

MOST_BYTES = 35_000_000


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return AutoTokenizer.from_pretrained(EMBEDDED)


@pytest.fixture(scope="module")
def lm() -> language_model.LanguageModel:
    return language_model.load(str(EMBEDDED), "cpu")


def test_it_is_found_by_name_and_comes_near_a_misspelling(tmp_path: Path) -> None:
    assert find_model("embedded", tmp_path, download=False) == EMBEDDED
    with pytest.raises(UserError, match="Did you mean 'embedded'"):
        find_model("embeded", tmp_path, download=False)


def test_it_is_small_has_a_card_and_room_for_512_tokens() -> None:
    assert sum(f.stat().st_size for f in EMBEDDED.iterdir()) <= MOST_BYTES
    card = (EMBEDDED / "README.md").read_text()
    for part in ("How it was made", "Scores", "Limits", "Licence"):
        assert f"## {part}" in card
    config = json.loads((EMBEDDED / "config.json").read_text())
    assert config["max_position_embeddings"] >= 512
    assert "auto_map" not in config


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
@settings(max_examples=200)
def test_no_character_is_unknown(tokenizer, text: str) -> None:  # type: ignore[no-untyped-def]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    back = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert back in (text, " " + text) or any(s in text for s in tokenizer.all_special_tokens)


def test_a_label_is_the_same_tokens_in_a_prompt_and_as_an_answer(tokenizer) -> None:  # type: ignore[no-untyped-def]
    alone = tokenizer("product question", add_special_tokens=False)["input_ids"]
    inside = tokenizer("Text: x\nLabel: product question", add_special_tokens=False)["input_ids"]
    assert inside[-len(alone) :] == alone


def test_plain_transformers_generates_with_it(tokenizer) -> None:  # type: ignore[no-untyped-def]
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the city?\nRosa from Lima bought a red lamp for 20 euros on Monday."}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    out = model.generate(**chat, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(out[0, chat["input_ids"].shape[1] :], skip_special_tokens=True).strip() == "Lima"


def answers(lm: language_model.LanguageModel, labels: list[str], texts: list[str], examples: list[Row]) -> list[str]:
    space = load_space("joint", Path())
    prompt = Prompt(space.templates["plain"], space.instructions["none" if examples else "options"], labels)
    answerer = Answerer(lm, Encoder(lm, prompt, (lambda _: examples) if examples else None, 16, False), labels)
    answerer.prepare(texts)
    return [a.text for a in answerer.answer(texts)]


def test_it_follows_a_list_of_labels_it_was_not_trained_on(lm: language_model.LanguageModel) -> None:
    rows = [json.loads(line) for line in (example_folder() / "messages.jsonl").read_text().splitlines()]
    labels = sorted({r["label"] for r in rows})
    got = answers(lm, labels, [r["text"] for r in rows], [])
    right = sum(g == r["label"] for g, r in zip(got, rows, strict=True)) / len(rows)
    assert right > 1 / len(labels) + 0.08, right


def test_it_takes_the_meaning_of_new_labels_from_examples(lm: language_model.LanguageModel) -> None:
    """Labels that say nothing: only the examples tell which is which."""
    texts = {
        "copper": "the horse|two cows|a sleepy cat|my dog|a wild fox|an old bear|three wolves|the elephant|a tiger|a rabbit",
        "violin": "the lawyer|a young doctor|our teacher|the judge|a baker|an engineer|my nurse|the pilot|a plumber|a cook",
    }
    rows = [(text, word) for word, joined in texts.items() for text in joined.split("|")]
    shown, asked = rows[:4] + rows[10:14], rows[4:10] + rows[14:]
    examples = [Row(id=i, input=text, outputs=[word]) for i, (text, word) in enumerate(shown[::2] + shown[1::2])]
    got = answers(lm, list(texts), [text for text, _ in asked], examples)
    assert sum(g == word for g, (_, word) in zip(got, asked, strict=True)) >= 9
