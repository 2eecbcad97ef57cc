"""F1 of sets of labels, with every label of every row counted alike."""

from typing import Any, ClassVar

from autoadapt.domain.label_sets import labels_in
from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric


class MicroF1(Metric):
    """2 TP / (2 TP + FP + FN), summed over rows; 1 where all sets are empty and so are all answers.

    Statistics of a row: its own F1 (1 for an empty answer to an empty set), true positives, false positives, false
    negatives. What a model writes that is no label is a false positive. Equal to scikit-learn's
    ``f1_score(average="micro", zero_division=1)``.
    """

    answers: ClassVar[AnswerKind] = "labels"

    def row(self, answered: AnsweredRow) -> list[float]:
        truth, predicted = labels_in(answered.references[0]), labels_in(answered.prediction)
        right = len(truth & predicted)
        false_positives, false_negatives = len(predicted) - right, len(truth) - right
        return [
            _f1(right, false_positives, false_negatives),
            float(right),
            float(false_positives),
            float(false_negatives),
        ]

    def value(self, stats: Any) -> float:
        return _f1(*map(float, stats[:, 1:4].sum(axis=0)))


def _f1(right: float, false_positives: float, false_negatives: float) -> float:
    counted = 2 * right + false_positives + false_negatives
    return 2 * right / counted if counted else 1.0
