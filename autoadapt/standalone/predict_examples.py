"""What the prompt of an option shows: its examples, and of many labels those that an input most likely has."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
RELEVANCE, CANDIDATES_PER_SHOT, SAME = 0.5, 10, 0.999
"""Of examples that are unlike each other (maximal marginal relevance)."""


class Examples:
    """The examples that a prompt shows, the same for every input or chosen for it, and the labels that it offers.

    Args:
        folder: with examples.jsonl, example_vectors.safetensors and shortlist/, as far as the option has them.
        option: option.json.
        embed: gives the model's vector of a text.
    """

    def __init__(self, folder: Path, option: dict[str, Any], embed: Callable[[str], Any]) -> None:
        self.few_shot, self.shortlist, self.count = option["few_shot"], None, option.get("shortlist", 0)
        self.labels: list[str] = option["labels"] or []
        self.rows: list[Row] = []
        self.choosing: dict[str | None, Callable[[str], list[Row]]] = {}
        if self.count:
            import predict_words

            self.shortlist = predict_words.Option(folder / "shortlist", labels=self.labels)
        if self.few_shot is None:
            return
        self.rows = [json.loads(line) for line in (folder / "examples.jsonl").read_bytes().splitlines()]
        if not self.few_shot["all_rows"]:
            return
        groups: dict[str | None, list[int]] = {None: list(range(len(self.rows)))}
        if self.count:
            groups = {row["outputs"][0]: [] for row in self.rows}
            for i, row in enumerate(self.rows):
                groups[row["outputs"][0]].append(i)
        prepare = self._selector(self.few_shot["selector"], folder, embed)
        self.choosing = {label: prepare(numbers) for label, numbers in groups.items()}

    def offered(self, text: str) -> list[str]:
        """The labels that the prompt of an input offers, the most likely first; empty: all."""
        if self.shortlist is None:
            return []
        log_probs = self.shortlist.label_log_probs([text])[0]
        return [self.labels[i] for i in (-log_probs).argsort(kind="stable")[: self.count]]

    def of(self, text: str, offered: list[str]) -> list[Row]:
        """The examples for one input."""
        if not self.choosing:
            return self.rows
        if not offered:
            return self._ordered(self.choosing[None](text))
        known = [label for label in offered if label in self.choosing]
        wanted = Counter(known[i % len(known)] for i in range(self.few_shot["shots"] if known else 0))
        best = {label: self.choosing[label](text)[::-1][:count] for label, count in wanted.items()}
        longest = max(map(len, best.values()), default=0)
        turns = [best[label][i] for i in range(longest) for label in known if i < len(best.get(label, ()))]
        return self._ordered(turns[::-1])

    def _ordered(self, rows: list[Row]) -> list[Row]:
        if self.few_shot["order"] == "best_first":
            return rows[::-1]
        if self.few_shot["order"] == "by_label":
            place = {row["outputs"][0]: i for i, row in enumerate(rows)}
            return sorted(rows, key=lambda row: place[row["outputs"][0]])
        return rows

    def _selector(self, name: str, folder: Path, embed: Callable[[str], Any]) -> Callable[[list[int]], Any]:
        """From numbers of rows to a function that chooses among these."""
        if name in ("nearest", "diverse"):
            return self._nearest if name == "nearest" else self._diverse
        if name == "nearest_embedding":
            from safetensors.numpy import load_file

            stored = load_file(folder / "example_vectors.safetensors")
            return lambda numbers: self._nearest_vectors(numbers, stored, embed)
        if self.count and name in ("random", "balanced", "hard"):  # which take rows as they stand in the file
            return lambda numbers: lambda text: [self.rows[i] for i in numbers]
        raise SystemExit(f"predict.py: the selector {name} needs `autoadapt predict`")

    def _words(self, numbers: list[int]) -> tuple[Any, Callable[[str], Any]]:
        """Vectors of the words of rows, and a function that gives their similarity with a text."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = [self.rows[i]["input"] for i in numbers]
        vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError:  # there is no word in them
            matrix = vectorizer.set_params(token_pattern=r"(?u)\S+").fit_transform(texts)
        return matrix, lambda text: (matrix @ vectorizer.transform([text]).T).toarray().ravel()

    def _nearest(self, numbers: list[int]) -> Callable[[str], list[Row]]:
        _, similarity = self._words(numbers)
        return lambda text: self._best(numbers, similarity(text))

    def _nearest_vectors(self, numbers: list[int], stored: Any, embed: Any) -> Callable[[str], list[Row]]:
        def nearest(text: str) -> list[Row]:
            centred = embed(text) - stored["mean"]
            return self._best(numbers, stored["vectors"][numbers] @ (centred / max(np.linalg.norm(centred), 1e-12)))

        return nearest

    def _best(self, numbers: list[int], similarity: Any) -> list[Row]:
        best = similarity.argsort(kind="stable")[::-1][: self.few_shot["shots"]]
        return [self.rows[numbers[i]] for i in reversed(best)]

    def _diverse(self, numbers: list[int]) -> Callable[[str], list[Row]]:
        matrix, similarity = self._words(numbers)

        def diverse(text: str) -> list[Row]:
            relevance, shots = similarity(text), self.few_shot["shots"]
            candidates = relevance.argsort(kind="stable")[::-1][: CANDIDATES_PER_SHOT * shots]
            relevance, between = relevance[candidates], (matrix[candidates] @ matrix[candidates].T).toarray()
            left, chosen = list(range(len(candidates))), list[int]()
            while left and len(chosen) < shots:
                gains = RELEVANCE * relevance[left]
                if chosen:
                    alike = between[left][:, chosen].max(axis=1)
                    gains = gains - (1 - RELEVANCE) * alike - (alike > SAME)
                chosen.append(left.pop(int(gains.argmax())))
            return [self.rows[numbers[candidates[i]]] for i in reversed(chosen)]

        return diverse
