"""Contrastive training of encoders: which pairs are drawn, their loss, training in parts, artifacts, few rows."""

import collections
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from job_runs import DEVICES, JobRun, encoder, quality
from sklearn.linear_model import LogisticRegression

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, TrainingSettings
from autoadapt.domain.model import Capabilities
from autoadapt.domain.params import MOST_PAIRS
from autoadapt.local_models.features import Features
from autoadapt.models.encoder.contrastive import TextVectors
from autoadapt.models.encoder.encoder_model import EncoderModel, input_reader, load
from autoadapt.shelves import FAMILIES, METHODS
from autoadapt.training.losses import LabelledExample, PairExample, PairLoss
from autoadapt.training.pairs import draw_pairs
from autoadapt.training.plain import PlainBackend
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of
from autoadapt.worker.workshop import Workshop

LEARNS = {"learning_rate": 2e-3, "batch_size": 8, "pairs_per_row": 10}


@pytest.fixture
def jobs(tiny_encoder: Path, tmp_path: Path) -> JobRun:
    return JobRun(tmp_path / "run", encoder(tiny_encoder))


def keep(jobs: JobRun, split: str, labels: set[str], count: int = 1000) -> None:
    """Leaves the first rows of some labels in a split."""
    file = jobs.root / "data" / f"{split}.jsonl"
    lines = [line for line in file.read_text().splitlines() if json.loads(line)["outputs"][0] in labels]
    file.write_text("".join(f"{line}\n" for line in lines[:count]))


def vectors(lm: EncoderModel, texts: list[str]) -> np.ndarray:
    """Features of texts, each computed alone, hence without any padding."""
    read = input_reader(lm, [])
    with torch.no_grad():
        return np.concatenate([Features(lm, "mean").of([read(text)]).numpy() for text in texts]).astype(np.float64)


# -- pairs


@pytest.mark.parametrize("labels", [[0, 1] * 12, [0] * 20 + [1] * 3 + [2] * 2, [4, 0, 4, 2, 0, 4, 2]])
def test_half_of_the_pairs_are_of_one_label_and_every_row_begins_as_many(labels: list[int]) -> None:
    pairs = draw_pairs(labels, 20, seed=3)
    assert len(pairs) == 20 * len(labels)
    same = [labels[i] == labels[j] for i, j in pairs]
    assert sum(same) == len(pairs) // 2
    assert set(collections.Counter(i for i, _ in pairs).values()) == {20}
    assert all(i != j for i, j in pairs)


def test_the_other_row_is_drawn_uniformly_from_those_that_suit() -> None:
    labels = [1, 0, 2, 1, 1, 0, 1]
    pairs = draw_pairs(labels, 1000, seed=0)
    partners: dict[tuple[int, bool], collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for i, j in pairs:
        partners[i, labels[i] == labels[j]][j] += 1
    for (i, same), counts in partners.items():
        suits = {j for j in range(7) if (labels[j] == labels[i]) == same and (j != i or (same and labels[i] == 2))}
        assert set(counts) == suits
        drawn, share = sum(counts.values()), 1 / len(suits)
        deviation = math.sqrt(drawn * share * (1 - share))
        assert all(abs(count - drawn * share) <= 4.5 * deviation for count in counts.values())


def test_pairs_are_decided_by_their_seed() -> None:
    labels = [i % 5 for i in range(40)]
    assert draw_pairs(labels, 6, seed=1) == draw_pairs(labels, 6, seed=1)
    assert draw_pairs(labels, 6, seed=1) != draw_pairs(labels, 6, seed=2)


def test_with_many_rows_pairs_are_limited_and_shared_by_all_rows() -> None:
    labels = [i % 3 for i in range(3000)]
    pairs = draw_pairs(labels, 20, seed=1)
    assert len(pairs) == MOST_PAIRS
    assert set(collections.Counter(i for i, _ in pairs).values()) == {2, 3}
    assert len({i for i, _ in pairs}) == 3000


def test_rows_of_one_label_and_a_single_row_of_a_label_have_pairs_too() -> None:
    assert draw_pairs([7], 2, seed=0) == [(0, 0), (0, 0)]
    assert {frozenset(pair) for pair in draw_pairs([7, 7], 4, seed=0)} == {frozenset((0, 1))}
    alone = draw_pairs([0, 1], 4, seed=0)
    assert collections.Counter(i == j for i, j in alone) == {True: 4, False: 4}


# -- predicted work


def test_steps_and_passes_of_a_candidate_count_its_pairs() -> None:
    def candidate(**params: int) -> Candidate:
        return Candidate(method="contrastive", model="minilm", params={"batch_size": 16, **params})

    for rows, per_row in ((30, 10), (48, 20), (3000, 20)):
        one = candidate(num_train_epochs=1, pairs_per_row=per_row)
        pairs = draw_pairs([i % 2 for i in range(rows)], per_row, seed=0)
        assert one.steps(rows) == math.ceil(len(pairs) / 16)
        assert one.passes == per_row
    full = candidate(num_train_epochs=4)
    assert (full.steps(30), full.passes) == (8, 4)


# -- loss


def test_loss_is_the_squared_error_of_cosines(tiny_encoder: Path) -> None:
    lm = load(str(tiny_encoder), "cpu")
    texts = ["a ripe apple", "two green pears and the long saw", "one steel wrench", "foxes at night"]
    labels, read = [0, 0, 1, 2], input_reader(lm, [])
    rows = [LabelledExample((e := read(t)).ids, k, e.types) for t, k in zip(texts, labels, strict=True)]
    chosen = [(0, 1), (1, 2), (3, 3), (0, 3), (2, 1)]
    v = vectors(lm, texts)
    expected = 0.0
    for i, j in chosen:
        cosine = v[i] @ v[j] / math.sqrt((v[i] @ v[i]) * (v[j] @ v[j]))
        expected += (cosine - (1.0 if labels[i] == labels[j] else 0.0)) ** 2
    loss, pairs = PairLoss(lm.tokenizer.pad_token_id), [PairExample(rows[i], rows[j]) for i, j in chosen]
    model = TextVectors(lm.model)
    whole = loss.summed(model, pairs, lm.device)
    assert loss.count(pairs) == 5
    assert whole.item() == pytest.approx(expected, rel=1e-5)
    parts = [loss.summed(model, part, lm.device).item() for part in (pairs[:2], pairs[2:])]
    assert sum(parts) == pytest.approx(whole.item(), rel=1e-5)
    assert len(pairs[0].ids) == len(rows[0].ids) + len(rows[1].ids)


# -- training


def test_training_brings_texts_of_a_label_together_and_parts_the_others(jobs: JobRun) -> None:
    job = jobs.fit("contrastive", params=LEARNS)
    measurement = jobs.measure(job)
    assert quality(measurement) > 0.9
    assert measurement.train_steps == math.ceil(60 * 10 / 8)
    assert measurement.parameters_trained == FAMILIES.get("encoder").capabilities(jobs.model).parameters
    rows = rows_of(jobs.root, "validation")
    same = np.array([[a.outputs == b.outputs for b in rows] for a in rows])
    gaps = []
    for folder in (jobs.model.location, str(jobs.artifact(job))):
        v = vectors(load(folder, "cpu"), [row.input for row in rows])
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        gaps.append((v @ v.T)[same].mean() - (v @ v.T)[~same].mean())
    assert gaps[0] < 0.2
    assert gaps[1] > 0.5


def test_rungs_equal_an_uninterrupted_training(jobs: JobRun) -> None:
    whole_job = jobs.fit("contrastive", trial=0, params=LEARNS)
    whole = jobs.measure(whole_job)
    half = Fidelity(rows=36, steps=0.4, latency_requests=3)
    first_job = jobs.fit("contrastive", trial=1, params=LEARNS, fidelity=half, keep_checkpoint=True)
    first = jobs.measure(first_job)
    assert not jobs.artifact(first_job).exists()
    assert first.train_steps == round(0.4 * whole.train_steps)
    assert sum(row.confidence or 0 for row in first.rows) / 36 > 1 / 3
    between = jobs.predictions(first_job)
    parts_job = jobs.fit("contrastive", trial=1, params=LEARNS, rung=1)
    parts = jobs.measure(parts_job)
    assert parts.train_steps == whole.train_steps
    assert parts.train_loss == pytest.approx(whole.train_loss, abs=1e-5)
    for one, other in zip(
        jobs.predictions(parts_job).splitlines(), jobs.predictions(whole_job).splitlines(), strict=True
    ):
        assert json.loads(one)["log_probs"] == pytest.approx(json.loads(other)["log_probs"], abs=1e-3)
    assert between != jobs.predictions(parts_job)


def test_features_of_the_trained_model_are_not_those_that_the_run_keeps(jobs: JobRun) -> None:
    kept = jobs.measure(jobs.fit("head", trial=0, params={"C": 10.0}))
    files = {f: f.read_bytes() for f in (jobs.root / "features").glob("*.safetensors")}
    jobs.measure(jobs.fit("contrastive", trial=1, params=LEARNS))
    assert files
    assert {f: f.read_bytes() for f in (jobs.root / "features").glob("*.safetensors")} == files
    again = jobs.measure(jobs.fit("head", trial=2, params={"C": 10.0}))
    assert [row.confidence for row in again.rows] == [row.confidence for row in kept.rows]


@pytest.mark.parametrize("keep_checkpoint", [True, False])
def test_a_model_that_the_last_step_has_broken_is_no_option(
    jobs: JobRun, monkeypatch: pytest.MonkeyPatch, keep_checkpoint: bool
) -> None:
    """The loss of a step is computed before its update, so that only weights and features show what the last one did."""

    def close(backend: PlainBackend) -> None:
        with torch.no_grad():
            next(iter(backend.trained.values())).fill_(float("nan"))

    monkeypatch.setattr(PlainBackend, "close", close)
    job = jobs.fit("contrastive", params={"pairs_per_row": 1}, keep_checkpoint=keep_checkpoint)
    failure = jobs.failure(job)
    assert failure.failure_class == "nan"
    assert "not finite" in failure.reason
    assert not jobs.artifact(job).exists()


# -- artifacts


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_artifact_answers_as_the_trained_model_did(jobs: JobRun, precision: str) -> None:
    job = jobs.fit("contrastive", params=LEARNS, training=TrainingSettings(precision=precision))
    jobs.measure(job)
    rows = rows_of(jobs.root, "validation")
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    answers = adapted.answer([row.input for row in rows])
    stored = [json.loads(line) for line in jobs.predictions(job).splitlines()]
    assert [a.text for a in answers] == [line["answer"] for line in stored]
    for answer, line in zip(answers, stored, strict=True):
        assert answer.log_probs == pytest.approx(line["log_probs"], abs=2e-3 if precision == "fp32" else 0.1)


def test_the_classifier_is_a_logistic_regression_on_the_features_of_the_saved_model(jobs: JobRun) -> None:
    job = jobs.fit("contrastive", params={**LEARNS, "C": 3.0})
    jobs.measure(job)
    lm = load(str(jobs.artifact(job)), "cpu")
    train, asked = rows_of(jobs.root, "train"), rows_of(jobs.root, "validation")
    scaled = [vectors(lm, [row.input for row in rows]) for rows in (train, asked)]
    scaled = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in scaled]
    fitted = LogisticRegression(C=3.0, max_iter=2000).fit(scaled[0], [row.outputs[0] for row in train])
    assert list(fitted.classes_) == jobs.labels
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    answers = adapted.answer([row.input for row in asked])
    assert np.exp([a.log_probs for a in answers]) == pytest.approx(fitted.predict_proba(scaled[1]), abs=2e-3)


# -- few rows and few labels


def test_two_labels_of_three_are_learnt_and_the_third_is_never_chosen(jobs: JobRun) -> None:
    for split in ("train", "validation"):
        keep(jobs, split, {"fruit", "tool"})
    job = jobs.fit("contrastive", params=LEARNS, fidelity=Fidelity(rows=24, steps=1.0, latency_requests=3))
    assert quality(jobs.measure(job)) > 0.9
    assert {json.loads(line)["answer"] for line in jobs.predictions(job).splitlines()} == {"fruit", "tool"}


@pytest.mark.parametrize("count", [1, 5])
def test_where_rows_have_one_label_it_is_every_answer(jobs: JobRun, count: int) -> None:
    keep(jobs, "train", {"tool"}, count)
    job = jobs.fit("contrastive", params={"pairs_per_row": 4})
    measurement = jobs.measure(job)
    stored = [json.loads(line) for line in jobs.predictions(job).splitlines()]
    assert {line["answer"] for line in stored} == {"tool"}
    assert all(row.confidence == pytest.approx(1) for row in measurement.rows)


def test_one_row_of_each_label_is_enough_to_train(jobs: JobRun) -> None:
    keep(jobs, "train", {"fruit", "tool", "animal"}, 3)
    measurement = jobs.measure(jobs.fit("contrastive", params=LEARNS))
    assert measurement.train_steps == math.ceil(3 * 10 / 8)
    assert all(0 < (row.confidence or 0) <= 1 for row in measurement.rows)


# -- where it is offered


def test_it_is_for_labels_and_for_models_that_compare_texts(tiny_encoder: Path, tiny_model: Path) -> None:
    method = METHODS.get("contrastive")
    assert method.lacks(FAMILIES.get("encoder").capabilities(encoder(tiny_encoder)), "label") == []
    assert method.lacks(FAMILIES.get("encoder").capabilities(encoder(tiny_encoder)), "text")
    assert "contrasts" in method.lacks(Capabilities(scores_labels=True, embeds=True, trains=True), "label")


def test_its_first_rate_suits_minilm_and_larger_encoders() -> None:
    method = METHODS.get("contrastive")
    small, base = (
        method.suited(method.first[0], Capabilities(parameters=n))["learning_rate"] for n in (22_713_216, 110_000_000)
    )
    assert small == pytest.approx(5e-5, rel=0.05)
    assert 1.5e-5 < base < 3e-5
