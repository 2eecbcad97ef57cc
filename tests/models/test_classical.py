"""Models of words: what they learn equals scikit-learn's own pipelines; they answer alike after saving and loading."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import labelled_rows

from autoadapt.domain.method import Training
from autoadapt.domain.params import WordModel, WordParams
from autoadapt.models.classical.words import AdaptedWords
from autoadapt.word_models import Words, fit_words, load_words, save_words

ROWS = labelled_rows(90)
TEXTS, ANSWERS = [r["text"] for r in ROWS], [r["label"] for r in ROWS]
LABELS = ["animal", "fruit", "tool"]
ASKED = ["the ripe plum", "a steel saw", "one grey owl", "", "zzz"]


def fitted(kind: WordModel = "tfidf", **params: object) -> Words:
    return fit_words(kind, WordParams.model_validate(params), TEXTS, ANSWERS, LABELS)


def test_logistic_regression_equals_a_pipeline_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline, make_union

    pipeline = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        ),
        OneVsRestClassifier(LogisticRegression(C=10, solver="liblinear", dual=True, max_iter=1000, random_state=0)),
    ).fit(TEXTS, ANSWERS)
    expected = pipeline.predict_proba(ASKED)
    assert np.allclose(np.exp(fitted(C=10.0).log_probs(ASKED)), expected, atol=1e-6)


@pytest.mark.parametrize("labels", [2, 3])
def test_margins_of_support_vector_machines_choose_as_scikit_learn_does(labels: int) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    known = LABELS[:labels]
    texts = [t for t, a in zip(TEXTS, ANSWERS, strict=True) if a in known]
    answers = [a for a in ANSWERS if a in known]
    words = fit_words("tfidf", WordParams(units="words", classifier="linear_svm", C=1.0), texts, answers, known)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    pipeline = make_pipeline(vectorizer, LinearSVC(C=1.0, max_iter=1000, random_state=0)).fit(texts, answers)
    chosen = [words.answers[i] for i in words.log_probs(texts).argmax(axis=1)]
    assert chosen == list(pipeline.predict(texts))


def test_probabilities_sum_to_one_whatever_is_fitted() -> None:
    for classifier in ("logistic_regression", "linear_svm"):
        for units in ("words", "characters", "both"):
            probabilities = np.exp(fitted(classifier=classifier, units=units).log_probs(ASKED))
            assert np.allclose(probabilities.sum(axis=1), 1.0)


def test_majority_answers_by_the_counts_of_the_rows() -> None:
    answers = ["b"] * 5 + ["a"] * 3
    words = fit_words("majority", WordParams(), ["x"] * 8, answers, ["a", "b", "c"])
    adapted = AdaptedWords(words, ["a", "b", "c"], Training())
    (answer,) = adapted.answer(["anything"])
    counts = Counter(answers)
    assert answer.text == "b"
    assert answer.confidence == pytest.approx(counts["b"] / 8)
    assert np.exp(answer.log_probs) == pytest.approx([counts["a"] / 8, counts["b"] / 8, 0], abs=1e-5)


def test_nearest_row_is_that_of_greatest_cosine_similarity() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    answers = [f"about {text}" for text in TEXTS]
    adapted = AdaptedWords(fit_words("nearest", WordParams(units="words"), TEXTS, answers, None), None, Training())
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    similarities = (vectorizer.fit_transform(TEXTS) @ vectorizer.transform(ASKED).T).toarray()
    for i, answer in enumerate(adapted.answer(ASKED)):
        assert answer.text == answers[similarities[:, i].argmax()]
        assert answer.confidence == pytest.approx(similarities[:, i].max(), abs=1e-6)


@pytest.mark.parametrize("kind", ["majority", "tfidf", "nearest"])
def test_saved_model_answers_alike_and_holds_no_pickle(kind: WordModel, tmp_path: Path) -> None:
    words = fitted(kind)
    labels = None if kind == "nearest" else LABELS
    save_words(words)(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["words.json", "words.safetensors"]
    before = AdaptedWords(words, labels, Training()).answer(ASKED)
    after = AdaptedWords(load_words(tmp_path), labels, Training()).answer(ASKED)
    assert [(a.text, a.confidence, a.log_probs) for a in after] == [(a.text, a.confidence, a.log_probs) for a in before]


def test_label_without_rows_is_never_chosen() -> None:
    words = fit_words("tfidf", WordParams(), TEXTS, ANSWERS, [*LABELS, "mineral"])
    answers = AdaptedWords(words, ["mineral", *LABELS], Training()).answer(ASKED)
    assert all(a.text != "mineral" and a.log_probs[0] < -10 for a in answers)


@pytest.mark.parametrize(
    ("texts", "answers"),
    [(["", " "], ["a", "b"]), (["x", "y", "z"], ["a", "b", "a"]), (["one", "two"], ["a", "a"]), (["?!"], ["a"])],
    ids=["empty", "single characters", "one label", "punctuation"],
)
@pytest.mark.parametrize("kind", ["majority", "tfidf", "nearest"])
def test_rows_without_words_can_be_fitted(kind: WordModel, texts: list[str], answers: list[str]) -> None:
    labels = None if kind == "nearest" else ["a", "b"]
    adapted = AdaptedWords(fit_words(kind, WordParams(), texts, answers, labels), labels, Training())
    assert [a.text in answers for a in adapted.answer(["x", ""])] == [True, True]
    assert adapted.answer([]) == []
