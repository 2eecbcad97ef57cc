"""Whether validation and test rows are alike: labels, lengths and words. A search chooses on the former alone."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from autoadapt.domain.rows import Row

LEVEL = 0.001
"""p below which a difference is stated; each of the three kinds is tested once."""
LEAST_LABEL_SHARE, LEAST_RATIO, LEAST_UNSEEN = 0.05, 1.3, 0.05
"""Differences that matter: share of the rows of one label, ratio of median lengths, share of words that are new."""

FEW_ROWS = 5
"""Rows of a label below which a mean over labels hangs on single rows of it."""
MOST_NAMED = 5
"""Such labels that are named."""


def few_rows_notes(validation: Sequence[Row], test: Sequence[Row]) -> list[str]:
    """Labels with too few rows for a metric in which every label counts the same, a sentence for each split.

    Its interval then holds the true value as often as it says, but is wide (`benchmarks/verdict/rare_labels.py`).
    """
    notes = []
    for name, rows in (("validation", validation), ("test", test)):
        counts = Counter(row.outputs[0] for row in rows)
        few = sorted((label for label, count in counts.items() if count < FEW_ROWS), key=lambda label: counts[label])
        if few:
            named = ", ".join(f"'{label}' {counts[label]}" for label in few[:MOST_NAMED])
            more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
            notes.append(
                f"labels with fewer than {FEW_ROWS} {name} rows ({named}{more}): every label counts the same, so that "
                "single rows move the metric, and its interval is wide"
            )
    return notes


def split_differences(
    train: Sequence[Row], validation: Sequence[Row], test: Sequence[Row], labelled: bool
) -> list[str]:
    """What is different in test rows, a sentence each; none where they may be from the same source.

    Args:
        train: rows that are learnt from.
        validation: rows that options are chosen by.
        test: rows that they are judged by.
        labelled: whether outputs are labels.
    """
    if not validation or not test:
        return []
    kinds = [_labels(validation, test)] if labelled else []
    kinds += [_lengths(validation, test), _words(train, validation, test)]
    return [sentence for sentence in kinds if sentence is not None]


def _labels(validation: Sequence[Row], test: Sequence[Row]) -> str | None:
    """Differs by a chi-squared test of homogeneity."""
    from scipy.stats import chi2_contingency

    counts = [Counter(label for row in rows for label in row.outputs[:1]) for rows in (validation, test)]
    labels = sorted(counts[0] | counts[1])
    if len(labels) < 2:
        return None
    table = np.array([[count[label] for label in labels] for count in counts])
    shares = table / table.sum(axis=1, keepdims=True)
    largest = int(np.argmax(np.abs(shares[1] - shares[0])))
    if abs(shares[1, largest] - shares[0, largest]) < LEAST_LABEL_SHARE or chi2_contingency(table).pvalue >= LEVEL:
        return None
    return (
        f"label '{labels[largest]}' is {shares[1, largest]:.1%} of the test rows and {shares[0, largest]:.1%} of the "
        "validation rows: a quality over all rows is not the same question on both"
    )


def _lengths(validation: Sequence[Row], test: Sequence[Row]) -> str | None:
    """Differs by the test of Mann and Whitney."""
    words = [[len(row.input.split()) for row in rows] for rows in (validation, test)]
    before, after = (float(np.median(counts)) for counts in words)
    ratio = max(before, after, 1.0) / max(min(before, after), 1.0)
    if ratio < LEAST_RATIO or _p(*words) >= LEVEL:
        return None
    return f"inputs have {after:.0f} words in the median test row and {before:.0f} in the median validation row"


def _words(train: Sequence[Row], validation: Sequence[Row], test: Sequence[Row]) -> str | None:
    """Differs by the test of Mann and Whitney on each row's share of words that no training row has."""
    known = {word for row in train for word in row.input.casefold().split()}
    if not known:
        return None
    shares = [[_unseen(row, known) for row in rows] for rows in (validation, test)]
    before, after = (float(np.mean(of_rows)) for of_rows in shares)
    if abs(after - before) < LEAST_UNSEEN or _p(*shares) >= LEVEL:
        return None
    return (
        f"{after:.0%} of the words of a test row are in no training row, and {before:.0%} of those of a validation row"
    )


def _unseen(row: Row, known: set[str]) -> float:
    words = row.input.casefold().split()
    return sum(word not in known for word in words) / len(words) if words else 0.0


def _p(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(first, second).pvalue)
