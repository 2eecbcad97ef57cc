"""Models that answer with a set of labels: what they learn against scikit-learn, and that artifacts answer alike."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import slow_after
from job_runs import CLASSICAL, DEVICES, causal_lm, encoder
from label_set_rows import LABELS, SETS, LabelSetRun, set_rows

from autoadapt.domain.label_sets import labels_in, text_of_set
from autoadapt.domain.method import Training
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.params import HeadParams, WordModel, WordParams
from autoadapt.local_models.heads import label_members, read_head
from autoadapt.local_models.logistic_regression import fit_head
from autoadapt.models.classical.words import AdaptedWords
from autoadapt.shelves import METRICS
from autoadapt.training.losses import LabelledExample, LabelSetLoss
from autoadapt.word_models import Words, fit_words, load_words, save_words
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of

ROWS = set_rows(99)
TEXTS = [str(row["text"]) for row in ROWS]
ANSWERS = [text_of_set(row["label"]) for row in ROWS]  # type: ignore[arg-type]
ASKED = ["the ripe plum and a steel saw", "one grey owl", "", "zzz", "a wolf and a hammer and dry figs"]


def fitted(kind: WordModel = "tfidf", **params: object) -> Words:
    return fit_words(kind, WordParams.model_validate(params), TEXTS, ANSWERS, LABELS, sets=True)


@pytest.mark.parametrize("classifier", ["logistic_regression", "linear_svm"])
def test_word_models_choose_the_sets_that_scikit_learn_chooses(classifier: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MultiLabelBinarizer
    from sklearn.svm import LinearSVC

    binarizer = MultiLabelBinarizer().fit(labels_in(answer) for answer in ANSWERS)
    one = LinearSVC(C=1.0, max_iter=1000, random_state=0)
    if classifier == "logistic_regression":
        one = LogisticRegression(solver="liblinear", dual=True, max_iter=1000, random_state=0)
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), OneVsRestClassifier(one))
    pipeline.fit(TEXTS, binarizer.transform([labels_in(answer) for answer in ANSWERS]))
    expected = [text_of_set(labels) for labels in binarizer.inverse_transform(pipeline.predict(ASKED))]
    words = fitted(classifier=classifier, units="words", C=1.0)
    answers = AdaptedWords(words, LABELS, Training()).answer(ASKED)
    assert [a.text for a in answers] == expected
    assert all(a.log_probs == () for a in answers)
    if classifier == "logistic_regression":
        p = pipeline.predict_proba(ASKED)
        assert [a.confidence for a in answers] == pytest.approx(np.maximum(p, 1 - p).prod(axis=1), abs=1e-6)


def test_majority_answers_with_the_most_frequent_set() -> None:
    answers = ["a | b"] * 4 + ["a"] * 3 + [""]
    words = fit_words("majority", WordParams(), ["x"] * 8, answers, ["a", "b"], sets=True)
    (answer,) = AdaptedWords(words, ["a", "b"], Training()).answer(["anything"])
    assert (answer.text, answer.confidence) == ("a | b", 0.5)


@pytest.mark.parametrize("kind", ["majority", "tfidf"])
def test_saved_word_model_answers_with_the_same_sets(kind: WordModel, tmp_path: Path) -> None:
    words = fitted(kind)
    save_words(words)(tmp_path)
    before = AdaptedWords(words, LABELS, Training()).answer(ASKED)
    after = AdaptedWords(load_words(tmp_path), LABELS, Training()).answer(ASKED)
    assert [(a.text, a.confidence) for a in after] == [(a.text, a.confidence) for a in before]


def test_labels_of_every_row_and_of_none_are_learned_as_such() -> None:
    answers = [text_of_set(["always", *labels_in(a)]) for a in ANSWERS]
    labels = ["always", *LABELS, "never"]
    words = fit_words("tfidf", WordParams(), TEXTS, answers, labels, sets=True)
    chosen = [labels_in(a.text) for a in AdaptedWords(words, labels, Training()).answer(ASKED)]
    assert all("always" in one and "never" not in one for one in chosen)
    features = np.random.default_rng(0).normal(size=(len(answers), 6)).astype(np.float32)
    head = fit_head(features, label_members(labels, answers), len(labels), HeadParams())
    p = head(torch.from_numpy(features)).sigmoid()
    assert bool((p[:, 0] == 1).all())
    assert bool((p[:, -1] == 0).all())


def test_head_of_sets_equals_a_logistic_regression_for_every_label(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    features = np.random.default_rng(0).normal(size=(len(ANSWERS), 6)).astype(np.float32)
    members = label_members(LABELS, ANSWERS)
    head = fit_head(features, members, len(LABELS), HeadParams(scaling="unit", C=5.0))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    reference = OneVsRestClassifier(LogisticRegression(C=5.0, max_iter=2000)).fit(unit, members)
    found = head(torch.from_numpy(features)).sigmoid().detach().numpy()
    np.testing.assert_allclose(found, reference.predict_proba(unit), atol=1e-3)
    head.write(tmp_path)
    assert read_head(tmp_path, torch.device("cpu")).sets


def test_loss_of_sets_is_the_negative_logarithm_of_their_probability() -> None:
    logits = torch.tensor([[0.3, -1.2, 2.0], [-0.4, 0.0, 0.7]])
    targets = [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    examples = [LabelledExample([1, 2], target) for target in targets]
    loss = LabelSetLoss(pad=0).summed(lambda **batch: logits, examples, torch.device("cpu"))
    likelihood = 1.0
    for row, target in zip(logits.sigmoid().tolist(), targets, strict=True):
        likelihood *= math.prod(p if y else 1 - p for p, y in zip(row, target, strict=True))
    assert float(loss) == pytest.approx(-math.log(likelihood), rel=1e-5)
    assert LabelSetLoss(pad=0).count(examples) == 2


def micro_f1(measurement: Measurement) -> float:
    return METRICS.get("micro_f1").value(np.array([row.stats for row in measurement.rows]))


def majority(jobs: LabelSetRun) -> float:
    """Micro F1 on the validation rows of the most frequent set of the training rows, by its definition."""
    seen = Counter(row.outputs[0] for row in rows_of(jobs.root, "train"))
    answer = labels_in(max(sorted(seen), key=lambda one: seen[one]))
    truth = [labels_in(row.outputs[0]) for row in rows_of(jobs.root, "validation")]
    return 2 * sum(len(t & answer) for t in truth) / sum(len(t) + len(answer) for t in truth)


def answers_alike(jobs: LabelSetRun, method: str, **params: object) -> float:
    """Fits, and loads the artifact in a place of its own, which must answer as was measured; returns micro F1."""
    job = jobs.fit_sets(method, **params)
    measurement = jobs.measure(job)
    lines = [json.loads(line) for line in jobs.predictions(job).splitlines()]
    rows = rows_of(jobs.root, "validation")
    assert [line["expected"] for line in lines] == [row.outputs for row in rows]
    adapted = load_artifact(jobs.artifact(job), type(jobs.workshop)(), DEVICES, lambda: None)
    adapted.prepare([row.input for row in rows])
    answers = adapted.answer([row.input for row in rows])
    assert [a.text for a in answers] == [line["answer"] for line in lines]
    assert all(a.confidence is None or 0 <= a.confidence <= 1 for a in answers)
    return micro_f1(measurement)


@pytest.mark.parametrize(
    ("method", "params"),
    slow_after(
        1,
        [
            ("head", {"C": 1000.0, "scaling": "standard"}),
            ("lora", {"r": 8, "learning_rate": 1e-2, "num_train_epochs": 30}),
            ("full", {"learning_rate": 2e-3, "num_train_epochs": 15}),
        ],
    ),
)
def test_encoder_learns_sets(tmp_path: Path, tiny_encoder: Path, method: str, params: dict[str, object]) -> None:
    jobs = LabelSetRun(tmp_path / "run", encoder(tiny_encoder))
    assert answers_alike(jobs, method, **params) > majority(jobs) + 0.2


def test_word_models_learn_sets(tmp_path: Path) -> None:
    jobs = LabelSetRun(tmp_path / "run", CLASSICAL)
    assert answers_alike(jobs, "majority") == pytest.approx(majority(jobs))
    assert answers_alike(jobs, "tfidf") > majority(jobs) + 0.4


@pytest.mark.parametrize(
    ("method", "params"),
    [("head", {"C": 1000.0}), ("full", {"learning_rate": 5e-3, "num_train_epochs": 30})],
)
def test_causal_model_learns_sets_by_a_head_or_writes_them(
    tmp_path: Path, tiny_model: Path, method: str, params: dict[str, object]
) -> None:
    jobs = LabelSetRun(tmp_path / "run", causal_lm(tiny_model))
    assert answers_alike(jobs, method, **params) > majority(jobs) + 0.1


def test_prompted_causal_model_writes_its_answer(tmp_path: Path, tiny_model: Path) -> None:
    """Random weights know no labels; what they write is scored as it stands."""
    jobs = LabelSetRun(tmp_path / "run", causal_lm(tiny_model))
    assert answers_alike(jobs, "prompt", shots=2, selector="nearest") < 1


def test_every_set_of_the_rows_occurs() -> None:
    assert {frozenset(map(str, row["label"])) for row in ROWS} == {frozenset(s) for s in SETS}  # type: ignore[call-overload]
    assert len({*TEXTS}) == len(TEXTS)
