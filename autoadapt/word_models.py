"""Fitting, saving and asking models of words: the floor, and what chooses examples and labels for prompts.

Texts become TF-IDF vectors (Spärck Jones 1972; term frequencies as 1 + log) of words and pairs of words, or of two to
five characters within words, or both side by side. A linear classifier scores labels: logistic regressions, one label
against the rest, or linear support vector machines. Everything is stored as plain arrays and JSON.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from autoadapt.domain.label_sets import labels_in, probable_set
from autoadapt.domain.params import WordModel, WordParams

UNITS: dict[str, tuple[dict[str, Any], ...]] = {
    "words": ({"analyzer": "word", "ngram_range": (1, 2)},),
    "characters": ({"analyzer": "char_wb", "ngram_range": (2, 5)},),
}
UNITS["both"] = (*UNITS["words"], *UNITS["characters"])
DESCRIPTION, ARRAYS = "words.json", "words.safetensors"
LEAST_PROBABILITY = 1e-6
"""Of a label of which there is no training row."""
MOST_ITERATIONS = 1000


@dataclass
class Words:
    """A fitted model of words."""

    kind: WordModel
    units: str
    answers: list[str]
    """Labels that were seen, in the order of the scores; texts: the answer of every row, or the most frequent one."""
    arrays: dict[str, Any] = field(default_factory=dict)
    """`idf0`, `idf1`: inverse document frequencies. Labels: `coefficients` of shape (labels, units), `intercepts` of
    shape (labels,). Nearest: vectors of the rows as `data`, `indices`, `indptr`. Majority: `frequencies` of labels."""
    vocabularies: list[list[str]] = field(default_factory=list)
    """Units by column, for every vectorizer."""
    probabilistic: bool = True
    """Whether scores are log-odds of probabilities; False: margins of support vector machines."""
    sets: bool = False
    """Whether an answer is a set of labels."""

    def __post_init__(self) -> None:
        self._vectorizers: list[TfidfVectorizer] = []

    @property
    def parameters(self) -> int:
        """Numbers that were fitted."""
        return sum(int(array.size) for array in self.arrays.values())

    def vectors(self, texts: Sequence[str]) -> csr_matrix:
        """TF-IDF vectors, shape (texts, units); the part of every vectorizer has length 1."""
        if not self._vectorizers:
            for i, (settings, vocabulary) in enumerate(zip(UNITS[self.units], self.vocabularies, strict=True)):
                vectorizer = TfidfVectorizer(**settings, sublinear_tf=True, vocabulary=vocabulary)
                vectorizer.idf_ = self.arrays[f"idf{i}"]
                self._vectorizers.append(vectorizer)
        return hstack([v.transform(texts) for v in self._vectorizers], format="csr")

    def log_probs(self, texts: Sequence[str]) -> Any:
        """Log-probabilities of `answers`, shape (texts, answers); of margins they are not calibrated."""
        if self.kind == "majority":
            return np.log(np.tile(self.arrays["frequencies"], (len(texts), 1)))
        scores = self._scores(texts)
        if self.probabilistic:  # each label against the rest; their probabilities are scaled to sum to 1
            scores = -np.logaddexp(0.0, -scores)
        scores = scores - scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def members(self, texts: Sequence[str]) -> Any:
        """Sets: the probability of every label by itself, shape (texts, answers); of margins it is not calibrated."""
        return np.exp(-np.logaddexp(0.0, -self._scores(texts)))

    def _scores(self, texts: Sequence[str]) -> Any:
        return self.vectors(texts) @ self.arrays["coefficients"].T + self.arrays["intercepts"]

    def nearest(self, texts: Sequence[str]) -> tuple[list[str], list[float]]:
        """Of every text the answer of the row that is most similar by cosine, and the similarity from 0 to 1."""
        if self.kind == "majority":
            return [self.answers[0]] * len(texts), [float(self.arrays["frequencies"][0])] * len(texts)
        rows = csr_matrix(
            (self.arrays["data"], self.arrays["indices"], self.arrays["indptr"]),
            shape=(len(self.answers), sum(map(len, self.vocabularies))),
        )
        similarities = (self.vectors(texts) @ rows.T).toarray() / len(self.vocabularies)
        best = similarities.argmax(axis=1)
        values = similarities[np.arange(len(texts)), best]
        return [self.answers[i] for i in best], [float(min(max(v, 0.0), 1.0)) for v in values]

    def label_log_probs(self, texts: Sequence[str], labels: Sequence[str]) -> Any:
        """Log-probabilities of `labels` in their order, shape (texts, labels), none below `LEAST_PROBABILITY`."""
        known, column = self.log_probs(texts), {label: i for i, label in enumerate(self.answers)}
        every = np.full((len(texts), len(labels)), np.log(LEAST_PROBABILITY))
        for i, label in enumerate(labels):
            if label in column:
                every[:, i] = np.maximum(known[:, column[label]], np.log(LEAST_PROBABILITY))
        return every

    def answered(
        self, texts: Sequence[str], labels: Sequence[str] | None
    ) -> list[tuple[str, float, tuple[float, ...]]]:
        """Of every text the answer, its confidence, and the log-probability of every label where one is chosen.

        Args:
            texts: inputs.
            labels: to choose from; None or empty: free text.
        """
        if self.sets and self.kind != "majority":
            return [(*probable_set(self.answers, row), ()) for row in self.members(texts).tolist()]
        if not labels or self.sets:
            return [(text, similarity, ()) for text, similarity in zip(*self.nearest(texts), strict=True)]
        every = self.label_log_probs(texts, labels)
        best = every.argmax(axis=1)
        return [(labels[b], float(np.exp(row[b])), tuple(row.tolist())) for b, row in zip(best, every, strict=True)]


def fit_words(
    kind: WordModel,
    params: WordParams,
    texts: Sequence[str],
    answers: Sequence[str],
    labels: Sequence[str] | None,
    sets: bool = False,
) -> Words:
    """Fits a model of words.

    Args:
        kind: which one.
        params: its parameters.
        texts: inputs of the training rows.
        answers: as many answers.
        labels: the allowed labels; None: free text.
        sets: whether an answer is a set of labels (`autoadapt.domain.label_sets`).
    """
    counts = Counter(answers)
    if kind == "majority" or (kind == "tfidf" and len(counts) == 1) or not any(text.strip() for text in texts):
        common = [answer for answer, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        seen = common if labels and not sets else common[:1]
        shares = np.array([counts[answer] / len(answers) for answer in seen])
        return Words("majority", params.units, seen, {"frequencies": shares}, sets=sets)
    words = Words(kind, params.units, list(answers), sets=sets)
    parts = []
    for i, settings in enumerate(UNITS[params.units]):
        vectorizer = _fitted(TfidfVectorizer(**settings, sublinear_tf=True), texts)
        words.vocabularies.append([str(unit) for unit in vectorizer.get_feature_names_out()])
        words.arrays[f"idf{i}"] = np.asarray(vectorizer.idf_)
        parts.append(vectorizer.transform(texts))
    matrix = hstack(parts, format="csr")
    if kind == "nearest":
        words.arrays |= {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        return words
    return _classified(words, params, matrix, answers)


def _fitted(vectorizer: TfidfVectorizer, texts: Sequence[str]) -> TfidfVectorizer:
    try:
        return vectorizer.fit(texts)
    except ValueError:  # single characters alone: the default pattern asks for words of two
        return vectorizer.set_params(token_pattern=r"(?u)\S+").fit(texts)


def _classified(words: Words, params: WordParams, matrix: csr_matrix, answers: Sequence[str]) -> Words:
    words.probabilistic = params.classifier == "logistic_regression"
    one: Any = LinearSVC(C=params.C, max_iter=MOST_ITERATIONS, random_state=0)
    if words.probabilistic:
        one = LogisticRegression(C=params.C, solver="liblinear", dual=True, max_iter=MOST_ITERATIONS, random_state=0)
    if words.sets:
        return _classified_by_label(words, one, matrix, answers)
    fitted = OneVsRestClassifier(one).fit(matrix, list(answers))
    coefficients = np.vstack([e.coef_ for e in fitted.estimators_])
    intercepts = np.concatenate([e.intercept_ for e in fitted.estimators_])
    words.answers = [str(label) for label in fitted.classes_]
    if len(words.answers) == 2:  # one classifier decides between two
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.r_[-intercepts, intercepts]
    words.arrays |= {"coefficients": coefficients, "intercepts": intercepts}
    return words


def _classified_by_label(words: Words, one: Any, matrix: csr_matrix, answers: Sequence[str]) -> Words:
    """A classifier for every label, which decides by itself whether the label belongs to a set."""
    sets = [labels_in(answer) for answer in answers]
    words.answers = sorted(frozenset().union(*sets))
    coefficients, intercepts = np.zeros((len(words.answers), matrix.shape[1])), np.zeros(len(words.answers))
    for i, label in enumerate(words.answers):
        member = np.array([label in one_set for one_set in sets])
        if member.all():  # there is nothing to learn of a label that every row has
            intercepts[i] = -np.log(LEAST_PROBABILITY)
        else:
            fitted = one.fit(matrix, member)
            coefficients[i], intercepts[i] = fitted.coef_[0], fitted.intercept_[0]
    words.arrays |= {"coefficients": coefficients, "intercepts": intercepts}
    return words


def save_words(words: Words) -> Callable[[Path], None]:
    """A function that writes a model of words into a folder, as JSON and safetensors."""

    def fill(folder: Path) -> None:
        description = {
            "kind": words.kind,
            "units": words.units,
            "answers": words.answers,
            "vocabularies": words.vocabularies,
            "probabilistic": words.probabilistic,
            "sets": words.sets,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
        save_file({name: np.ascontiguousarray(array) for name, array in words.arrays.items()}, folder / ARRAYS)

    return fill


def load_words(folder: Path) -> Words:
    """A model of words as `save_words` has written it."""
    return Words(**json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")), arrays=load_file(folder / ARRAYS))


class WordSimilarity:
    """Cosine similarity of texts by TF-IDF of their words, of any length.

    Args:
        texts: with which others are compared.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = _fitted(TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True), texts)
        self._matrix = self._vectorizer.transform(texts)

    def to(self, text: str) -> Any:
        """Of every text with another one, shape (texts,)."""
        return (self._matrix @ self._vectorizer.transform([text]).T).toarray().ravel()

    def between(self, chosen: Any) -> Any:
        """Of some texts with each other, given by their numbers; shape (chosen, chosen)."""
        part = self._matrix[chosen]
        return (part @ part.T).toarray()
