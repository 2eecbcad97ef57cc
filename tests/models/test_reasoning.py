"""Reasoning and drawn answers of models on this machine: the same in every batch, distributed as they should be."""

from pathlib import Path

import pytest
import torch
from job_runs import TEMPLATE, JobRun, causal_lm

from autoadapt.domain.jobs import PromptText
from autoadapt.domain.method import Decoding, Training
from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.reasoning import WritingAnswerer
from autoadapt.models.causal_lm.sampling import Draws, seed_of_sample
from autoadapt.models.causal_lm.stops import cut, ends
from autoadapt.prompts.voting import agreed

INPUTS = ["a ripe apple", "the long saw and two wrenches", "x", "a very long line about wolves, cats and deer"]
DRAWN = {"temperature": 0.9, "top_p": 0.95, "seed": 3}
STEPS = {"reasoning": "steps", "reasoning_tokens": 12}


def answerer(folder: Path, labels: list[str], **decoding: object) -> Answerer:
    stated = Decoding.model_validate(decoding)
    lm = language_model.load(str(folder), "cpu")
    job = JobRunless(labels)
    encoder = make_encoder(lm, job, None, stated)  # type: ignore[arg-type]
    return make_answerer(lm, encoder, job, stated, Training(), lambda: None)  # type: ignore[arg-type]


class JobRunless:
    """What an encoder and an answerer ask of a job."""

    prompt = PromptText(template=TEMPLATE, instruction="")
    multi_label = False
    max_new_tokens = 10

    def __init__(self, labels: list[str]) -> None:
        self.labels = self.scored_labels = labels


@pytest.mark.parametrize("labels", [[], ["fruit", "tool", "animal"]], ids=["text", "labels"])
@pytest.mark.parametrize("decoding", [{}, {**DRAWN, "samples": 3}], ids=["greedy", "drawn"])
@pytest.mark.parametrize("reasoning", [{}, STEPS], ids=["none", "steps"])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_batches_answer_like_single_requests(
    tiny_model: Path,
    chat_model: Path,
    labels: list[str],
    decoding: dict[str, object],
    reasoning: dict[str, object],
    chat: bool,
) -> None:
    model = answerer(chat_model if chat else tiny_model, labels, **decoding, **reasoning)
    assert isinstance(model, WritingAnswerer) == bool(decoding or reasoning)
    together = model.answer(INPUTS * 9)
    single = [model.answer([text])[0] for text in INPUTS]
    assert together == single * 9
    for one in single:
        assert one.tokens_out <= (12 + (4 if labels else 10)) * (3 if decoding else 1)
        assert bool(one.log_probs) == bool(labels)


def test_each_input_number_and_seed_draws_another_answer(tiny_model: Path) -> None:
    drawn = [answerer(tiny_model, [], **{**DRAWN, "seed": seed}).answer(["a ripe apple"] * 2) for seed in (1, 2)]
    assert drawn[0][0] == drawn[0][1]
    assert drawn[0][0].text != drawn[1][0].text
    assert len({seed_of_sample(s, text, k) for s in (1, 2) for text in INPUTS for k in range(5)}) == 40


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.7)])
def test_tokens_are_drawn_by_their_probabilities(temperature: float, top_p: float) -> None:
    """Against the definition: p to the power of 1/T, of which the most probable tokens up to top_p are left."""
    p = torch.tensor([0.1, 0.5, 0.25, 0.15])
    flat = p ** (1 / temperature)
    flat = flat / flat.sum()
    expected = flat if top_p == 1.0 else torch.tensor([0.0, 2 / 3, 1 / 3, 0.0])
    count = 4000
    draws = Draws([seed_of_sample(0, str(i), 0) for i in range(count)], temperature, top_p)
    chosen = draws(torch.zeros(count, 1), p.log().expand(count, -1)).argmax(-1)
    assert torch.bincount(chosen, minlength=4) / count == pytest.approx(expected, abs=0.03)
    assert draws.steps[0] == pytest.approx(p.log()[chosen], abs=1e-4), "log-likelihoods are those at temperature 1"


def test_labels_behind_reasoning_equal_a_computation_without_any_shortcut(tiny_model: Path) -> None:
    labels = ["fruit", "tool", "animal"]
    model = answerer(tiny_model, labels, **STEPS)
    lm, text = model.lm, INPUTS[0]
    prompt = model.encoder.encode(text).ids
    written = model.lm.model.generate(
        torch.tensor([prompt]), max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=2
    )[0, len(prompt) :].tolist()
    written = written[: written.index(2)] if 2 in written else written
    reasoning = lm.tokenizer.decode(written, skip_special_tokens=True).strip()
    for stop in ("marker", "blank_line"):
        reasoning = cut(stop, reasoning)
    before = [*prompt, *lm.tokenizer(f" {reasoning}\nAnswer:", add_special_tokens=False)["input_ids"]]
    sums = []
    for label in labels:
        ids = lm.tokenizer(f" {label}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = lm.model(torch.tensor([[*before, *ids]])).logits[0].log_softmax(-1)
        sums.append(sum(logits[len(before) - 1 + j, t].item() for j, t in enumerate(ids)))
    answer = model.answer([text])[0]
    assert answer.log_probs == pytest.approx(torch.tensor(sums).log_softmax(-1).tolist(), abs=1e-3)
    assert (answer.tokens_in, answer.tokens_out) == (
        len(prompt),
        len(written) + len(model.scorer.labels[labels.index(answer.text)]),
    )


def test_several_samples_are_the_mean_of_single_ones(tiny_model: Path) -> None:
    model = answerer(tiny_model, ["fruit", "tool", "animal"], **STEPS, **DRAWN, samples=3)
    assert isinstance(model, WritingAnswerer)
    encoded = [model.encoder.encode(INPUTS[0])]
    from autoadapt.models.causal_lm.answering import FirstToken

    each = [model._drawn(encoded, [seed_of_sample(3, INPUTS[0], k)], FirstToken())[0] for k in range(3)]
    assert model.answer(INPUTS[:1])[0].log_probs == pytest.approx(agreed(each, model.labels).log_probs, abs=1e-5)
    assert len({one.log_probs for one in each}) > 1


def test_calibration_behind_reasoning_subtracts_the_labels_own_likelihood(tiny_model: Path) -> None:
    labels = ["fruit", "tool", "animal"]
    raw, model = (answerer(tiny_model, labels, **STEPS, label_score=score) for score in ("sum", "calibrated"))
    model.prepare(INPUTS)
    raw.prepare(INPUTS)
    blank = model.encoder.encode("N/A").ids + model.encoder.answer("\nAnswer:")
    bias = model.scorer.scores([Encoded(blank, False)])[0]
    expected = (torch.tensor(raw.answer(INPUTS[:1])[0].log_probs) - bias).log_softmax(-1)
    assert model.answer(INPUTS[:1])[0].log_probs == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("stop", "text", "whole"),
    [
        ("line", "\n one two\nthree", "one two"),
        ("blank_line", "\n\n one\ntwo \n\n three", "one\ntwo"),
        ("marker", "because so.\n**Answer:** yes", "because so."),
        ("###", "one\n### two ### three", "one"),
    ],
)
def test_a_text_ends_at_its_stop(stop: str, text: str, whole: str) -> None:
    assert cut(stop, text) == whole
    assert ends(stop, text)
    assert not ends(stop, "\n none of them")


def test_a_stop_shortens_what_is_written(tiny_model: Path) -> None:
    free = answerer(tiny_model, [], stop="none").answer(INPUTS)
    stop = free[0].text[2:5]
    stopped = answerer(tiny_model, [], stop=stop).answer(INPUTS)
    assert stopped[0].text == free[0].text.split(stop)[0].strip()
    assert 0 < stopped[0].tokens_out < free[0].tokens_out


def test_a_job_reasons_draws_and_leaves_an_artifact_that_answers_the_same(tmp_path: Path, tiny_model: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    job = jobs.fit("prompt", params={**STEPS, "samples": 2, "temperature": 0.7, "top_p": 0.9})
    measured = jobs.measure(job)
    assert min(row.tokens_out for row in measured.rows) >= 4
    assert measured.answering.tokens_out == sum(row.tokens_out for row in measured.rows)
    assert len(measured.tokens_out_latency) == len(measured.latency_ms), "latency depends on what is written"
    first = jobs.predictions(job)
    jobs.workshop.drop()
    again = jobs.fit("prompt", trial=1, params=job.candidate.params)
    jobs.measure(again)
    assert jobs.predictions(again) == first
    assert jobs.measure(jobs.score(job)).answering.tokens_out > 0


@pytest.mark.shared
@pytest.mark.slow
def test_a_real_model_reasons_in_words(tmp_path: Path) -> None:
    from autoadapt.errors import UserError
    from autoadapt.models.causal_lm import CausalLm

    try:
        folder = Path(CausalLm().find("smollm2", tmp_path, download=False).location)
    except UserError as error:
        pytest.skip(str(error))
    model = answerer(folder, ["negative", "positive"], reasoning="steps", reasoning_tokens=32)
    one = model.answer(["a warm, funny and moving film"])[0]
    assert 10 < one.tokens_out <= 34
    assert one.text in ("negative", "positive")
