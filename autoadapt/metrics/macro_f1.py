"""F1 averaged over labels, each label counting the same."""

from typing import Any, ClassVar, Literal

import numpy as np

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric

MOST_LABELS = 100
"""With more, draws of every pair of labels take too much memory."""


class MacroF1(Metric):
    """Unweighted mean of 2 TP / (2 TP + FP + FN) over the labels seen in references or predictions.

    Statistics of a row: right (0 or 1), number of the reference label, number of the predicted one (-1 for an answer
    that is no label: it misses the reference label and belongs to no other). Equal to
    scikit-learn's ``f1_score(average="macro")``; written with counts because intervals call it thousands of times.
    """

    answers: ClassVar[AnswerKind] = "label"
    labels_count_alike: ClassVar[bool] = True
    interval: ClassVar[Literal["wilson", "bootstrap", "posterior"]] = "posterior"

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

    def draws(self, stats: Any, count: int, random: Any) -> Any:
        """Shares of all pairs of reference and predicted label, drawn from Dirichlet distributions.

        Resampled rows say nothing of a label of which every one of two rows was answered rightly. So each label is
        given one row more, of which as large a part is right as of all rows; the rest is spread over the other labels.
        """
        truth, predicted = stats[:, 1].astype(int), stats[:, 2].astype(int)
        size = int(max(truth.max(), predicted.max())) + 1
        if not 1 < size <= MOST_LABELS:
            return None
        seen = np.zeros((size, size + 1))
        np.add.at(seen, (truth, predicted), 1)  # an answer that is no label counts in the last column
        right = (np.trace(seen) + 0.5) / (len(stats) + 1)
        more = np.full((size, size + 1), (1 - right) / (size - 1))
        np.fill_diagonal(more, right)
        more[:, -1] = 0.0
        cells = random.standard_gamma(seen + more, (count, size, size + 1))
        shares = random.standard_gamma(seen.sum(1), (count, size))
        joint = cells / cells.sum(2, keepdims=True) * (shares / shares.sum(1, keepdims=True))[:, :, None]
        labels = seen.sum(1) + seen[:, :-1].sum(0) > 0
        hits = np.diagonal(joint, axis1=1, axis2=2)[:, labels]
        return np.mean(2 * hits / (joint.sum(2) + joint[:, :, :-1].sum(1))[:, labels], axis=1)
