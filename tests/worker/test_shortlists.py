"""A shortlist of labels: what it offers, what is scored, that it travels, and that it never sees other rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from job_runs import DEVICES, JobRun, causal_lm

from autoadapt.domain.jobs import Fit, PromptText
from autoadapt.domain.params import WordParams
from autoadapt.domain.rows import Row
from autoadapt.files import read_rows, write_rows
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.answering import LEAST_LOG_PROBABILITY
from autoadapt.shelves import SELECTORS
from autoadapt.word_models import fit_words
from autoadapt.worker.artifacts import load_artifact, read_description
from autoadapt.worker.examples import Examples, Shortlist, choose_examples, stored_examples
from autoadapt.worker.measuring import rows_of

LABELS = [f"topic {i}" for i in range(12)]
ROWS = [Row(id=i, input=f"word{i % 12} and filler{i % 5}", outputs=[LABELS[i % 12]]) for i in range(96)]
INSTRUCTION = "One of: {{ labels | join(', ') }}."
SHORT = {"shots": 3, "shortlist": 3, "selector": "nearest"}


@pytest.fixture
def jobs(tiny_model: Path, tmp_path: Path) -> JobRun:
    """A task of twelve labels, whose test rows have words that no training row has."""
    made = JobRun(tmp_path / "run", causal_lm(tiny_model))
    made.labels = LABELS
    shown = {"train": ROWS[:60], "validation": ROWS[60:84], "dev": ROWS[84:88], "test": ROWS[88:]}
    for split, rows in shown.items():
        write_rows(made.root / "data" / f"{split}.jsonl", rows)
    return made


def fit(jobs: JobRun, params: dict[str, Any], **changes: Any) -> Fit:
    job = jobs.fit("prompt", params=params, **changes)
    template = PromptText(template=job.prompt.template, instruction=INSTRUCTION)
    return job.model_copy(update={"prompt": template, "fidelity": job.fidelity.model_copy(update={"rows": 24})})


def lines(jobs: JobRun, split: str = "validation") -> list[dict[str, Any]]:
    file = jobs.root / "trials" / "0000" / f"predictions-{split}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def words_of(rows: Sequence[Row]) -> Any:
    return fit_words("tfidf", WordParams(), [r.input for r in rows], [r.outputs[0] for r in rows], LABELS)


def test_offered_labels_are_the_most_likely_ones_by_the_floor(jobs: JobRun) -> None:
    examples, _ = choose_examples(fit(jobs, SHORT), lambda: ROWS[:60], list)
    assert examples is not None
    log_probs = words_of(ROWS[:60]).log_probs([ROWS[70].input])[0]
    answers = words_of(ROWS[:60]).answers
    expected = [answers[i] for i in np.argsort(-log_probs, kind="stable")[:3]]
    assert examples.offered(ROWS[70].input) == expected
    shown = [row.outputs[0] for row in examples(ROWS[70].input)]
    assert shown == expected[::-1], "one example of each, the most likely one last"


@pytest.mark.parametrize("selector", [name for name in SELECTORS.names() if not SELECTORS.get(name).needs_vectors])
def test_examples_of_offered_labels_take_turns(jobs: JobRun, selector: str) -> None:
    job = fit(jobs, {"shots": 5, "shortlist": 3, "selector": selector})
    examples, _ = choose_examples(job, lambda: ROWS[:60], list)
    assert examples is not None
    offered, shown = examples.offered(ROWS[70].input), examples(ROWS[70].input)
    assert [row.outputs[0] for row in shown] == [offered[i] for i in (1, 0, 2, 1, 0)]
    assert len({row.id for row in shown}) == 5


def test_recall_is_the_share_of_rows_whose_label_was_offered_and_fitting_is_paid_for(jobs: JobRun) -> None:
    measurement = jobs.measure(fit(jobs, SHORT))
    rows = rows_of(jobs.root, "validation", 24)
    shortlist = Shortlist(words_of(ROWS[:60]), LABELS, 3)
    expected = [row.outputs[0] in shortlist.of(row.input) for row in rows]
    assert measurement.shortlist_recall == pytest.approx(sum(expected) / len(expected))
    assert measurement.training.total_device_seconds > 0
    assert measurement.train_seconds == 0, "no weight was trained"
    assert jobs.measure(fit(jobs, {"shots": 3}, trial=1)).shortlist_recall is None
    size = sum(f.stat().st_size for f in (jobs.root / "trials/0000/artifact/shortlist").glob("*"))
    assert measurement.artifact_bytes > size


@pytest.mark.parametrize("score", ["sum", "mean", "calibrated"])
def test_only_offered_labels_are_scored(jobs: JobRun, tiny_model: Path, score: str) -> None:
    """Every score against the log-likelihood of the label's tokens behind the prompt, without any shortcut."""
    jobs.measure(fit(jobs, {**SHORT, "label_score": score}))
    adapted: Any = load_artifact(jobs.root / "trials/0000/artifact", jobs.workshop, DEVICES, lambda: None)
    adapted.prepare([ROWS[60].input])
    lm = language_model.load(str(tiny_model), "cpu")

    def likelihood(prompt: list[int], ids: list[int]) -> float:
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([prompt + ids])).logits.log_softmax(-1)
        return sum(logits[0, len(prompt) - 1 + j, t].item() for j, t in enumerate(ids))

    blank = adapted.encoder.encode("N/A").ids
    for line, row in zip(lines(jobs)[:6], ROWS[60:], strict=False):
        encoded = adapted.encoder.encode(row.input)
        assert set(encoded.offered) == {
            LABELS[k] for k, p in enumerate(line["log_probs"]) if p > LEAST_LOG_PROBABILITY + 1e-3
        }
        numbers = []
        for label in encoded.offered:
            ids = adapted.encoder.answer(label)
            one = likelihood(encoded.ids, ids)
            one = one / len(ids) if score == "mean" else one
            numbers.append(one - likelihood(blank, ids) if score == "calibrated" else one)
        expected = torch.tensor(numbers).log_softmax(-1)
        got = [line["log_probs"][LABELS.index(label)] for label in encoded.offered]
        assert got == pytest.approx(expected.tolist(), abs=2e-3)
        assert line["answer"] == encoded.offered[int(expected.argmax())]


def test_a_prompt_names_offered_labels_alone(jobs: JobRun) -> None:
    jobs.measure(fit(jobs, {"shots": 0, "shortlist": 3}))
    adapted: Any = load_artifact(jobs.root / "trials/0000/artifact", jobs.workshop, DEVICES, lambda: None)
    encoded = adapted.encoder.encode(ROWS[61].input)
    text = adapted.encoder.prompt.render(ROWS[61].input, [], encoded.offered)
    assert f"One of: {', '.join(encoded.offered)}." in text
    assert len(encoded.ids) < len(adapted.encoder._ids(ROWS[61].input, [], ()))


@pytest.mark.parametrize(
    "params",
    [
        SHORT,
        {"shots": 0, "shortlist": 4},
        {"shots": 4, "shortlist": 3, "selector": "hard"},
        {"shots": 3, "selector": "nearest_embedding"},
        {"shots": 3, "shortlist": 3, "selector": "nearest_embedding"},
    ],
)
def test_an_artifact_answers_as_its_fit_did(jobs: JobRun, params: dict[str, Any]) -> None:
    job = fit(jobs, params)
    fitted = jobs.measure(job)
    folder = jobs.root / job.artifact_folder
    adapted = load_artifact(folder, jobs.workshop, DEVICES, lambda: None)
    inputs = [row.input for row in rows_of(jobs.root, "validation", 24)]
    adapted.prepare(inputs)
    again = adapted.answer(inputs)
    assert [a.text for a in again] == [line["answer"] for line in lines(jobs)]
    stored = np.array([line["log_probs"] for line in lines(jobs)])
    assert np.array([a.log_probs for a in again]) == pytest.approx(stored, abs=1e-3)
    assert adapted.training.artifact_bytes == fitted.artifact_bytes
    assert not list(folder.rglob("*.pkl"))


def test_examples_by_vectors_are_the_nearest_by_the_features_of_a_head(jobs: JobRun, tiny_model: Path) -> None:
    job = fit(jobs, {"shots": 3, "selector": "nearest_embedding"})
    measurement = jobs.measure(job)
    assert measurement.training.tokens_in > 0, "the model has read all training rows"
    lm = language_model.load(str(tiny_model), "cpu")

    def vector(text: str) -> np.ndarray:
        ids = lm.start_ids + list(lm.tokenizer(text, add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            hidden = lm.model.base_model(torch.tensor([ids])).last_hidden_state[0]
        return hidden.float().mean(0).numpy()

    features = np.array([vector(row.input) for row in ROWS[:60]])
    centred = features - features.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    adapted: Any = load_artifact(jobs.root / job.artifact_folder, jobs.workshop, DEVICES, lambda: None)
    for row in ROWS[60:66]:
        query = vector(row.input) - features.mean(0)
        similarity = centred @ (query / np.linalg.norm(query))
        chosen = [example.id for example in adapted.encoder.select(row.input)]
        assert similarity[chosen].tolist() == pytest.approx(sorted(similarity)[-3:], abs=1e-4)


@pytest.mark.parametrize(
    "params",
    [SHORT, *({"shots": 4, "selector": name} for name in SELECTORS.names())],
    ids=lambda params: params["selector"] + str(params.get("shortlist", "")),
)
def test_rows_of_validation_and_test_are_never_shown_or_learnt_from(jobs: JobRun, params: dict[str, Any]) -> None:
    """With other rows in all splits but train, an artifact holds the same examples and the same shortlist."""
    job = fit(jobs, params)
    jobs.measure(job)
    folder = jobs.root / job.artifact_folder
    before = {name: file for name, file in read_description(folder).files.items()}
    assert {row.id for row in read_rows(folder / "examples.jsonl")} <= {row.id for row in ROWS[:60]}
    for split in ("validation", "dev", "test"):
        rows = rows_of(jobs.root, split)
        others = [
            r.model_copy(update={"id": r.id + 1000, "input": f"secret {r.id}", "outputs": ["topic 1"]}) for r in rows
        ]
        write_rows(jobs.root / "data" / f"{split}.jsonl", others)
    jobs.measure(job)
    assert read_description(folder).files == before
    examples = stored_examples(folder, read_description(folder))
    assert isinstance(examples, Examples)
    assert "secret" not in "".join(row.input for row in examples.rows)


def test_a_final_fit_chooses_examples_among_training_rows_alone(jobs: JobRun) -> None:
    job = fit(jobs, SHORT)
    refit = jobs.refit(job, rows=8, splits=("train", "validation"))
    jobs.measure(refit)
    rows = read_rows(jobs.root / refit.artifact_folder / "examples.jsonl")
    assert {row.id for row in rows} == {row.id for row in ROWS[:60]}
