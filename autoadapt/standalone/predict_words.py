"""Answers by a model of words; needs numpy, scipy and scikit-learn alone."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

UNITS: dict[str, list[dict[str, Any]]] = {
    "words": [{"analyzer": "word", "ngram_range": (1, 2)}],
    "characters": [{"analyzer": "char_wb", "ngram_range": (2, 5)}],
}
UNITS["both"] = [*UNITS["words"], *UNITS["characters"]]
LEAST_LOG_PROBABILITY = math.log(1e-6)
"""Of a label of which there was no training row."""
TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4"}


def read_arrays(file: Path) -> dict[str, Any]:
    """The arrays of a safetensors file: eight bytes that say how long the header is, a header of JSON, numbers."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    arrays = {}
    for name, described in header.items():
        if name != "__metadata__":
            begin, end = described["data_offsets"]
            numbers = np.frombuffer(content[start + begin : start + end], TYPES[described["dtype"]])
            arrays[name] = numbers.reshape(described["shape"])
    return arrays


class Option:
    """A model of words.

    Args:
        folder: with words.json and words.safetensors.
        device: not used, as everything is computed on the CPU.
        labels: to choose from; None: those of option.json in the same folder.
    """

    def __init__(self, folder: Path, device: str | None = None, labels: list[str] | None = None) -> None:
        words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        if labels is None:
            labels = json.loads((folder / "option.json").read_text(encoding="utf-8"))["labels"]
        self.arrays = read_arrays(folder / "words.safetensors")
        self.labels: list[str] = labels or []
        self.kind, self.answers, self.sets = words["kind"], words["answers"], words["sets"]
        self.probabilistic, self.vocabularies = words["probabilistic"], words["vocabularies"]
        self.vectorizers = []
        settings = UNITS[words["units"]] if self.vocabularies else []
        for i, (one, vocabulary) in enumerate(zip(settings, self.vocabularies, strict=True)):
            vectorizer = TfidfVectorizer(**one, sublinear_tf=True, vocabulary=vocabulary)
            vectorizer.idf_ = self.arrays[f"idf{i}"]
            self.vectorizers.append(vectorizer)

    def answer(self, texts: list[str]) -> list[dict[str, Any]]:
        """Answers with their confidences, and the log-probability of every label where one label is chosen."""
        if not texts:
            return []
        if self.sets and self.kind != "majority":
            return [self._set(row) for row in np.exp(-np.logaddexp(0.0, -self._scores(texts))).tolist()]
        return self._choose(texts) if self.labels and not self.sets else self._nearest(texts)

    def _vectors(self, texts: list[str]) -> Any:
        return hstack([vectorizer.transform(texts) for vectorizer in self.vectorizers], format="csr")

    def _scores(self, texts: list[str]) -> Any:
        return self._vectors(texts) @ self.arrays["coefficients"].T + self.arrays["intercepts"]

    def _log_probs(self, texts: list[str]) -> Any:
        if self.kind == "majority":
            return np.log(np.tile(self.arrays["frequencies"], (len(texts), 1)))
        scores = self._scores(texts)
        if self.probabilistic:
            scores = -np.logaddexp(0.0, -scores)
        scores = scores - scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def label_log_probs(self, texts: list[str]) -> Any:
        """Log-probabilities of all labels, shape (texts, labels)."""
        known = self._log_probs(texts)
        every = np.full((len(texts), len(self.labels)), LEAST_LOG_PROBABILITY)
        for i, label in enumerate(self.labels):
            if label in self.answers:
                every[:, i] = np.maximum(known[:, self.answers.index(label)], LEAST_LOG_PROBABILITY)
        return every

    def _choose(self, texts: list[str]) -> list[dict[str, Any]]:
        every = self.label_log_probs(texts)
        best = every.argmax(axis=1)
        return [
            {"answer": self.labels[b], "confidence": math.exp(row[b]), "log_probs": row.tolist()}
            for b, row in zip(best, every, strict=True)
        ]

    def _set(self, probabilities: list[float]) -> dict[str, Any]:
        chosen = [label for label, p in zip(self.answers, probabilities, strict=True) if p >= 0.5]
        confidence = math.prod(max(p, 1 - p) for p in probabilities)
        return {"answer": " | ".join(sorted(chosen)), "confidence": confidence, "log_probs": []}

    def _nearest(self, texts: list[str]) -> list[dict[str, Any]]:
        """The answer of the most similar training row, or the most frequent answer."""
        if self.kind == "majority":
            one = {"answer": self.answers[0], "confidence": float(self.arrays["frequencies"][0]), "log_probs": []}
            return [dict(one) for _ in texts]
        rows = csr_matrix(
            (self.arrays["data"], self.arrays["indices"], self.arrays["indptr"]),
            shape=(len(self.answers), sum(map(len, self.vocabularies))),
        )
        similarities = (self._vectors(texts) @ rows.T).toarray() / len(self.vocabularies)
        best = similarities.argmax(axis=1)
        values = similarities[np.arange(len(texts)), best]
        return [
            {"answer": self.answers[i], "confidence": float(min(max(v, 0.0), 1.0)), "log_probs": []}
            for i, v in zip(best, values, strict=True)
        ]
