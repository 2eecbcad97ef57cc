"""What the options of a finished run answered to its test rows, from its files alone, and scores of such answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 2000
Score = Callable[[list[str], list[str]], float]


class Answers:
    """Answers of one run.

    Args:
        run: its folder.
    """

    def __init__(self, run: Path) -> None:
        self.run, self.results = run, json.loads((run / "results.json").read_text())

    @property
    def expected(self) -> list[str]:
        """The right answers to all test rows."""
        return [row["outputs"][0] for row in read(self.run / "data" / "test.jsonl")]

    def of(self, trial: int) -> list[str]:
        """Answers of an option; those of a cascade are put together from its two parts."""
        return self._answers(trial, {})

    def of_final_fit(self) -> list[str]:
        """Answers of the recommended option after its final fit."""
        final = self.results["verdict"]["final_fit"]
        folders = {int(Path(a).parts[1]): self.run / Path(a).parent for a in final["artifacts"]}
        return self._answers(final["trial"], folders)

    def _answers(self, trial: int, folders: dict[int, Path]) -> list[str]:
        """Answers of an option, where these folders answer in place of trials."""

        def predictions(part: int) -> list[dict[str, Any]]:
            return read(folders.get(part, self.run / "trials" / f"{part:04d}") / "predictions-test.jsonl")

        cascade = next((o["cascade"] for o in self.results["options"] if o["trial"] == trial), None)
        if cascade is None:
            return [answered["answer"] for answered in predictions(trial)]
        first, second = predictions(cascade["first"]), predictions(cascade["second"])
        sure = [confidence(one["log_probs"], cascade["temperature"]) >= cascade["threshold"] for one in first]
        return [(a if kept else b)["answer"] for a, b, kept in zip(first, second, sure, strict=True)]


def confidence(log_probs: list[float], temperature: float) -> float:
    """Highest probability after the log-probabilities are divided by a temperature."""
    scaled = np.array(log_probs) / temperature
    return float(1 / np.exp(scaled - scaled.max()).sum())


def score_of(run: Path) -> Score:
    """The metric of a run."""
    metric = json.loads((run / "task.lock.yaml").read_text())["task"]["metric"]
    return macro_f1 if "macro_f1" in json.dumps(metric) else accuracy


def accuracy(answers: list[str], expected: list[str]) -> float:
    """Share of right answers."""
    return float(np.mean(np.array(answers) == np.array(expected)))


def macro_f1(answers: list[str], expected: list[str]) -> float:
    """Mean F1 of all labels that are expected."""
    from sklearn.metrics import f1_score

    return float(f1_score(expected, answers, average="macro", labels=sorted(set(expected)), zero_division=0))


def paired_interval(first: list[str], second: list[str], expected: list[str], score: Score) -> tuple[float, float]:
    """95 % interval of the difference of scores, by a bootstrap over rows."""
    random, rows = np.random.default_rng(0), len(expected)
    a, b, e = np.array(first), np.array(second), np.array(expected)
    differences = []
    for _ in range(RESAMPLES):
        drawn = random.integers(rows, size=rows)
        differences.append(score(a[drawn], e[drawn]) - score(b[drawn], e[drawn]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
