"""F1 averaged over labels, each label counting the same."""

from typing import Any, ClassVar

import numpy as np

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric


class MacroF1(Metric):
    """Unweighted mean of 2 TP / (2 TP + FP + FN) over the labels seen in references or predictions.

    Statistics of a row: right (0 or 1), number of the reference label, number of the predicted one (-1 for an answer
    that is no label: it misses the reference label and belongs to no other). Equal to
    scikit-learn's ``f1_score(average="macro")``; written with counts because intervals call it thousands of times.
    """

    answers: ClassVar[AnswerKind] = "label"
    labels_count_alike: ClassVar[bool] = True

    def row(self, answered: AnsweredRow) -> list[float]:
        prediction, labels = answered.prediction, answered.labels
        truth = prediction if prediction in answered.references else answered.references[0]
        predicted = labels.index(prediction) if prediction in labels else -1
        return [float(prediction == truth), float(labels.index(truth)), float(predicted)]

    def value(self, stats: Any) -> float:
        truth, predicted = stats[:, 1].astype(int), stats[:, 2].astype(int)
        size = int(max(truth.max(), predicted.max())) + 1
        both = np.bincount(truth, minlength=size) + np.bincount(predicted[predicted >= 0], minlength=size)
        right = np.bincount(truth[truth == predicted], minlength=size)
        seen = both > 0
        return float((2 * right[seen] / both[seen]).mean())
