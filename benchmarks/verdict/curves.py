"""Does the band of a learning curve hold the truth at twice the rows? Curves whose law is known: see README.md.

python benchmarks/verdict/curves.py [--runs 400]
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from autoadapt.shelves import METRICS
from autoadapt.verdict.growth import SHARES, curve

ROWS = 1600
"""For training."""
TEST_ROWS = (100, 300, 1000)
ALIKE = 0.7
"""Correlation between the answers of two fits to a test row: fits on nested rows agree on most of them."""
MOST_ERROR = 0.95
Law = Callable[[float], float]
"""Quality expected after training on a multiple of `ROWS`."""


@dataclass(frozen=True)
class Measured:
    """A learning curve as it would be measured, and what is true of it."""

    stats: dict[int, Any]
    """Training rows -> statistics of the test rows."""
    quality: float
    """Expected after training on twice the rows."""
    gain: float
    """That less the quality expected after training on all rows."""


def power(r: np.random.Generator) -> Law:
    """A power law towards no error."""
    error, exponent = r.uniform(0.05, 0.5), r.uniform(0.1, 0.6)
    return lambda x: 1 - error * x**-exponent


def power_with_floor(r: np.random.Generator) -> Law:
    """A power law towards an error that stays."""
    error, floor, exponent = r.uniform(0.05, 0.5), r.uniform(0.0, 0.95), r.uniform(0.2, 1.2)
    return lambda x: 1 - error * (floor + (1 - floor) * x**-exponent)


def exponential(r: np.random.Generator) -> Law:
    """An exponential approach to an error that stays."""
    error, lost, rows = r.uniform(0.05, 0.4), r.uniform(0.0, 0.5), r.uniform(0.1, 1.5)
    return lambda x: 1 - error - lost * float(np.exp(-x / rows))


def logarithmic(r: np.random.Generator) -> Law:
    """Every doubling of the rows adds as many points."""
    error, slope = r.uniform(0.1, 0.5), r.uniform(0.0, 0.06)
    return lambda x: 1 - error + slope * float(np.log2(x))


def sigmoid(r: np.random.Generator) -> Law:
    """Morgan, Mercer and Flodin's growth curve, which rises late (survey of Viering and Loog 2022)."""
    top, low, rows, power_of = r.uniform(0.6, 0.97), r.uniform(0.2, 0.6), r.uniform(0.05, 0.6), r.uniform(0.5, 2.0)
    return lambda x: low + (top - low) * x**power_of / (rows**power_of + x**power_of)


def flat(r: np.random.Generator) -> Law:
    """More rows add nothing."""
    error = r.uniform(0.05, 0.5)
    return lambda x: 1 - error


LAWS = (power, power_with_floor, exponential, logarithmic, sigmoid, flat)


def measured(law: Law, test_rows: int, r: np.random.Generator) -> Measured:
    """Fits on nested parts of the training rows, each as good as its rows and seed happen to be, on the same test rows."""
    deviation = float(np.exp(r.uniform(np.log(0.001), np.log(0.015))))
    row, luck, earlier = np.sqrt(ALIKE) * r.standard_normal(test_rows), 0.0, 0.0
    stats = {}
    for share in (*SHARES, 1.0):
        # the mean over rows of how useful each one is: larger parts share the rows of smaller ones
        luck = (luck * earlier + np.sqrt(share - earlier) * r.standard_normal()) / share
        earlier = share
        random = deviation * np.sqrt(0.5) * (luck + r.standard_normal() / np.sqrt(share))
        quality = float(np.clip(law(share) + random, 0.01, 0.995))
        right = row + np.sqrt(1 - ALIKE) * r.standard_normal(test_rows) < norm.ppf(quality)
        stats[round(ROWS * share)] = right.astype(float)[:, None]
    return Measured(stats, law(2.0), law(2.0) - law(1.0))


def drawn(make: Callable[[np.random.Generator], Law], r: np.random.Generator) -> Law:
    """A curve of a family that is better than chance and never beyond all right."""
    while True:
        law = make(r)
        if law(SHARES[0]) > 1 - MOST_ERROR and law(2.0) < 1.0:
            return law


def table(runs: int, fit: Callable[..., Any] = curve) -> list[tuple[str, int, float, float, float, float]]:
    """By law and test rows: coverage of the band at twice the rows and of the gain, width of the gain, its bias."""
    metric, lines = METRICS.get("accuracy"), []
    for place, make in enumerate(LAWS):
        for test_rows in TEST_ROWS:
            found = []
            for run in range(runs):
                r = np.random.default_rng([place, test_rows, run])
                one = measured(drawn(make, r), test_rows, r)
                result = fit(metric, one.stats, 0, more_rows=ROWS, seed=run)
                end = result.forecast[-1]
                held = end.low <= one.quality <= end.high
                held_gain = result.gain_low - 1e-9 <= one.gain <= result.gain_high + 1e-9
                found.append((held, held_gain, result.gain_high - result.gain_low, result.gain - one.gain))
            means = np.mean(np.array(found, float), axis=0)
            lines.append((make.__name__, test_rows, *(float(m) for m in means)))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=400, help="curves of each law and number of test rows")
    lines = table(parser.parse_args().runs)
    print("law               test rows  band covers  gain covers  width of gain  bias of gain (points)")
    for law, rows, band, gain, width, bias in lines:
        print(f"{law:17s} {rows:9d} {band:12.1%} {gain:12.1%} {100 * width:14.1f} {100 * bias:+13.2f}")
    means = np.mean([line[2:] for line in lines], axis=0)
    print(f"{'all':27s} {means[0]:12.1%} {means[1]:12.1%} {100 * means[2]:14.1f} {100 * means[3]:+13.2f}")


if __name__ == "__main__":
    main()
