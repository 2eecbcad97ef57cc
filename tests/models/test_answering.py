"""Answers: label likelihoods equal a computation without any shortcut; batches equal single requests."""

from pathlib import Path

import pytest
import torch

from autoadapt.domain.method import Decoding
from autoadapt.domain.rows import Row
from autoadapt.errors import Exit, UserError
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.prompts import limits
from autoadapt.prompts.rendering import Prompt

LABELS = ["fruit", "a tool of steel", "animal", "animal farm"]
INPUTS = ["a ripe apple", "the long saw and two wrenches", "x", "a very long line about wolves, cats and deer"]
TEMPLATE = "{{ instruction }}\n{% for e in examples %}{{ e.input }} -> {{ e.output }}\n{% endfor %}{{ input }}\nAnswer:"
EXAMPLES = [Row(id=0, input="a plum", outputs=["fruit"]), Row(id=1, input="an owl", outputs=["animal"])]


def answerer(lm: LanguageModel, labels: list[str], tuned: bool = False, **options: object) -> Answerer:
    prompt = Prompt(TEMPLATE, "One of: {{ labels | join(', ') }}", labels)
    encoder = Encoder(lm, prompt, lambda query: EXAMPLES, 30, tuned)
    return Answerer(lm, encoder, labels, max_new_tokens=12, **options)  # type: ignore[arg-type]


@torch.no_grad()
def brute_force(model: Answerer, text: str, ids: list[int]) -> float:
    prompt = model.encoder.encode(text).ids
    logits = model.lm.model(input_ids=torch.tensor([prompt + ids])).logits.log_softmax(-1)
    return sum(logits[0, len(prompt) - 1 + j, t].item() for j, t in enumerate(ids))


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_label_scores_equal_brute_force(tiny_model: Path, tuned: bool, kept: bool) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), LABELS, tuned)
    if kept:
        assert model.prepare(INPUTS)
    scores = model.scorer.scores([model.encoder.encode(t) for t in INPUTS])
    expected = [[brute_force(model, t, ids) for ids in model.scorer.labels] for t in INPUTS]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["minilm-causal", "stories-260k"])
@pytest.mark.shared
def test_label_scores_equal_brute_force_on_real_models(shared: Path, name: str) -> None:
    model = answerer(language_model.load(str(shared / "models" / name), "cpu"), LABELS)
    model.prepare(INPUTS)
    scores = model.scorer.scores([model.encoder.encode(t) for t in INPUTS])
    expected = [[brute_force(model, t, ids) for ids in model.scorer.labels] for t in INPUTS]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=2e-3, rtol=1e-4)


def test_an_input_outside_the_kept_prefix_is_still_right(tiny_model: Path) -> None:
    lm = language_model.load(str(tiny_model), "cpu")
    labels = ["fruit", "tool"]
    prompt = Prompt("{{ input }}{% for e in examples %}{{ e.output }}{% endfor %} =", "", labels)
    model = Answerer(lm, Encoder(lm, prompt, None, 10, False), labels)
    assert model.prepare(["the same long beginning, one", "the same long beginning, two"])
    for text in ("another beginning", "the same", "the same long beginning, one"):
        scores = model.scorer.scores([model.encoder.encode(text)])[0].tolist()
        assert scores == pytest.approx([brute_force(model, text, ids) for ids in model.scorer.labels], abs=1e-3)


@pytest.mark.parametrize("score", ["sum", "mean", "calibrated"])
def test_batches_answer_like_single_requests(tiny_model: Path, score: str) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), LABELS, decoding=Decoding(label_score=score))
    model.prepare(INPUTS)
    together = model.answer(INPUTS * 20)
    single = [model.answer([t])[0] for t in INPUTS]
    assert together == single * 20


def test_label_scores_decide_differently(tiny_model: Path) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), LABELS, decoding=Decoding(label_score="calibrated"))
    model.prepare(INPUTS)
    blank = model.scorer.scores([model.encoder.encode("N/A")])[0]
    raw = model.scorer.scores([model.encoder.encode(INPUTS[0])])[0]
    expected = LABELS[int((raw - blank).argmax())]
    assert model.answer([INPUTS[0]])[0].text == expected


@pytest.mark.parametrize("score", ["sum", "mean", "calibrated"])
def test_confidence_of_a_label_is_its_share_of_the_scores_that_are_compared(tiny_model: Path, score: str) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), LABELS, decoding=Decoding(label_score=score))
    model.prepare(INPUTS)
    blank = model.encoder.encode("N/A")
    for text, answer in zip(INPUTS, model.answer(INPUTS), strict=True):
        compared = torch.tensor([brute_force(model, text, ids) for ids in model.scorer.labels])
        if score == "mean":
            compared = compared / torch.tensor([len(ids) for ids in model.scorer.labels])
        if score == "calibrated":
            compared = compared - model.scorer.scores([blank])[0]
        shares = compared.softmax(-1)
        assert answer.text == LABELS[int(shares.argmax())]
        assert answer.confidence == pytest.approx(shares.max().item(), abs=1e-3)
        assert answer.log_probs == pytest.approx(shares.log().tolist(), abs=1e-3)


def test_confidence_of_a_text_is_the_geometric_mean_of_its_tokens(tiny_model: Path) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), [])
    for text, answer in zip(INPUTS, model.answer(INPUTS), strict=True):
        ids, log_probs = model.encoder.encode(text).ids, []
        for _ in range(max(1, answer.tokens_out)):
            with torch.no_grad():
                numbers = model.lm.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            log_probs.append(numbers.max().item())
            ids = [*ids, int(numbers.argmax())]
        assert answer.confidence == pytest.approx(2.718281828 ** (sum(log_probs) / len(log_probs)), abs=1e-3)


def test_beams_state_no_confidence(tiny_model: Path) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), [], decoding=Decoding(num_beams=3))
    assert [a.confidence for a in model.answer(INPUTS)] == [None] * len(INPUTS)


@pytest.mark.parametrize("beams", [1, 3])
def test_generation_in_batches_equals_single_requests(tiny_model: Path, beams: int) -> None:
    model = answerer(language_model.load(str(tiny_model), "cpu"), [], decoding=Decoding(num_beams=beams))
    together = model.answer(INPUTS)
    assert together == [model.answer([t])[0] for t in INPUTS]
    assert all(0 <= a.tokens_out <= 12 for a in together)


@pytest.mark.shared
def test_generation_writes_words_on_a_real_model(shared: Path) -> None:
    lm = language_model.load(str(shared / "models" / "stories-260k"), "cpu")
    prompt = Prompt("{{ input }}{% for e in examples %}{% endfor %}", "", [])
    model = Answerer(lm, Encoder(lm, prompt, None, 40, True), [], max_new_tokens=40)
    (answer,) = model.answer(["Once upon a time, there was a little girl named"])
    assert answer.tokens_out > 10
    assert sum(c.isalpha() or c.isspace() for c in answer.text) > 0.8 * len(answer.text)


def test_a_blank_line_ends_a_base_models_answer(tiny_model: Path) -> None:
    from autoadapt.models.causal_lm.stops import Ends

    tokenizer = language_model.load(str(tiny_model), "cpu").tokenizer
    ids = tokenizer(["an answer\n\nmore", "an answer\nmore."], add_special_tokens=False, padding=True)["input_ids"]
    stops = [
        bool(Ends(tokenizer, 0, ["blank_line"])(torch.tensor([row[:n] for row in ids]), None)[0])
        for n in range(1, len(ids[0]) + 1)
    ]
    assert any(stops)
    assert not any(
        bool(Ends(tokenizer, 0, ["blank_line"])(torch.tensor([ids[1][:n]]), None)[0]) for n in range(1, len(ids[1]) + 1)
    )


def test_long_prompts_lose_examples_then_text(tiny_model: Path) -> None:
    lm = language_model.load(str(tiny_model), "cpu")
    long = [Row(id=i, input="many words " * 30, outputs=["fruit"]) for i in range(4)]
    encoder = Encoder(lm, Prompt(TEMPLATE, "", LABELS), lambda query: long, 10, False)
    encoded = encoder.encode("a ripe apple")
    assert encoded.truncated
    assert len(encoded.ids) <= lm.context_length - 10
    assert "a ripe apple" in lm.tokenizer.decode(encoded.ids)
    endless = Encoder(lm, Prompt(TEMPLATE, "", LABELS), None, 10, False).encode("no end " * 5000)
    assert endless.truncated
    assert len(endless.ids) <= lm.context_length - 10
    assert lm.tokenizer.decode(endless.ids).endswith("Answer:")


def test_special_tokens_in_a_row_are_inert(tiny_model: Path, chat_model: Path) -> None:
    for folder in (tiny_model, chat_model):
        lm = language_model.load(str(folder), "cpu")
        encoder = Encoder(lm, Prompt(TEMPLATE, "", LABELS), None, 10, False)
        calm = encoder.encode("hello  world").ids
        hostile = encoder.encode("hello </s><s> world").ids
        for token in (1, 2):
            assert hostile.count(token) == calm.count(token)


DOUBLE = "{% set x = x ~ x %}"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% set x = messages[0].content %}" + DOUBLE * 40 + "{{ x }}", "256 MB of memory"),
        ("{% set x = messages[0].content %}" + DOUBLE * 16 + "{{ x }}", "it makes"),
        ("{% for i in range(9999) %}" * 4 + "{% endfor %}" * 4, "1 s of CPU time"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ messages", "TemplateSyntaxError"),
    ],
)
def test_chat_template_that_means_harm_ends_in_a_message(
    chat_model: Path, template: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1)
    monkeypatch.setattr(limits, "TOO_SLOW", "it takes more than 1 s of CPU time")
    lm = language_model.load(str(chat_model), "cpu")
    lm.tokenizer.chat_template = template
    encoder = Encoder(lm, Prompt(TEMPLATE, "", LABELS), None, 10, True)
    with pytest.raises(UserError, match=f"chat template cannot be used: .*{reason}.*{chat_model}") as raised:
        encoder.encode("a ripe apple")
    assert raised.value.code == Exit.ENVIRONMENT


def test_chat_template_wraps_the_prompt(chat_model: Path) -> None:
    lm = language_model.load(str(chat_model), "cpu")
    encoder = Encoder(lm, Prompt(TEMPLATE, "", LABELS), None, 10, True)
    text = lm.tokenizer.decode(encoder.encode("a ripe apple").ids)
    assert text.startswith("<s>user: ")
    assert text.endswith("<s>assistant: ")
    assert encoder.answer("fruit")[-1] == lm.tokenizer.eos_token_id
