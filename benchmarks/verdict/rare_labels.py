"""How often does the interval of macro F1 hold the true value where a label is rare? See README.md.

python benchmarks/verdict/rare_labels.py [--runs 300]
"""

import argparse
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from autoadapt.shelves import METRICS
from autoadapt.verdict.intervals import interval

METRIC = METRICS.get("macro_f1")


@dataclass(frozen=True)
class Case:
    """Labels, how often each is asked for, and how often it is answered rightly.

    Args:
        rows: of the test.
        labels: how many there are.
        rare: share of the last one; None: all are equally frequent.
        right: share of rows of the other labels that are answered rightly.
        rare_right: the same of the last one.
    """

    rows: int
    labels: int
    rare: float | None
    right: float
    rare_right: float

    @property
    def joint(self) -> Any:
        """Probabilities of reference and predicted label, shape (labels, labels); wrong answers fall on frequent ones."""
        shares = np.full(self.labels, 1 / self.labels)
        if self.rare is not None:
            shares = np.array([(1 - self.rare) / (self.labels - 1)] * (self.labels - 1) + [self.rare])
        right = np.array([self.right] * (self.labels - 1) + [self.rare_right])
        wrong = np.tile(shares, (self.labels, 1))
        np.fill_diagonal(wrong, 0.0)
        answers = wrong / wrong.sum(1, keepdims=True) * (1 - right)[:, None] + np.diag(right)
        return shares[:, None] * answers

    @property
    def true(self) -> float:
        """Macro F1 over endlessly many rows, by its definition."""
        joint = self.joint
        return float(np.mean(2 * np.diag(joint) / (joint.sum(0) + joint.sum(1))))

    def draw(self, random: np.random.Generator) -> Any:
        """Statistics of rows, with at least one of every label, as stratified splits have."""
        joint = self.joint
        while True:
            cells = random.choice(joint.size, self.rows, p=joint.ravel())
            truth, predicted = np.divmod(cells, self.labels)
            if len(np.unique(truth)) == self.labels:
                return np.column_stack([truth == predicted, truth, predicted]).astype(float)


RARE = [Case(n, k, 0.01, *q) for n in (200, 500) for k in (3, 4, 10) for q in ((0.85, 0.6), (0.92, 0.92), (0.8, 0.2))]
USUAL = [Case(n, k, None, q, q) for n in (200, 500) for k in (4, 10, 20) for q in (0.7, 0.85, 0.92)]


def resampled(stats: Any, seed: int) -> tuple[float, float]:
    """The bias-corrected accelerated bootstrap over rows, for comparison."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where all resamples are equal
        found = bootstrap(
            (np.arange(len(stats)),),
            lambda index: METRIC.value(stats[index]),
            n_resamples=1000,
            vectorized=False,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def covered(case: Case, runs: int, resample: bool) -> tuple[float, float, float, float]:
    """Share of intervals that hold the true value and their mean width; the same of the bootstrap."""
    found, true = [], case.true
    for run in range(runs):
        stats = case.draw(np.random.default_rng([case.rows, case.labels, run]))
        (low, high), (least, most) = interval(METRIC, stats, run), resampled(stats, run) if resample else (0.0, 0.0)
        found.append((low <= true <= high, high - low, least <= true <= most, most - least))
    means = np.mean(np.array(found, float), axis=0)
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300, help="of each case")
    parser.add_argument("--bootstrap", action="store_true", help="compare with resampled rows (slow)")
    arguments = parser.parse_args()
    for title, cases in (("a label with 1 % of the rows", RARE), ("labels equally frequent", USUAL)):
        print(f"{title}\n rows labels right (rare)  covers  width (points)  bootstrap covers  width")
        lines = []
        for case in cases:
            lines.append(line := covered(case, arguments.runs, arguments.bootstrap))
            print(
                f"{case.rows:5d} {case.labels:6d}  {case.right:.2f} ({case.rare_right:.2f}) {line[0]:8.1%} "
                f"{100 * line[1]:10.1f} {line[2]:18.1%} {100 * line[3]:8.1f}",
                flush=True,
            )
        means = np.mean(lines, axis=0)
        print(f"  all {means[0]:25.1%} {100 * means[1]:10.1f} {means[2]:18.1%} {100 * means[3]:8.1f}")


if __name__ == "__main__":
    main()
