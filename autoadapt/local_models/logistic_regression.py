"""A head fitted by scikit-learn's logistic regression.

It is a module of its own because scikit-learn is imported for heads alone, before any time is taken.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from autoadapt.domain.params import HeadParams
from autoadapt.local_models.heads import LinearHead

MOST_ITERATIONS = 2000
ABSENT = -1e4
"""Bias of a label that no training row has: its probability is 0. Of sets: a label of every row has its negative."""


def fit_head(features: NDArray[np.float32], targets: NDArray[np.int64], count: int, params: HeadParams) -> LinearHead:
    """A logistic regression on features, by scikit-learn; of sets, one for every label.

    Standard scaling divides by the square root of the width too, so that vectors have a mean square of 1 whatever
    their width and `C` means the same under either scaling.

    Args:
        features: of the training rows, shape (rows, width).
        targets: index of each row's label; of sets, 0 or 1 for every label, shape (rows, labels).
        count: how many labels there are; one that no row has is never chosen.
        params: how features are scaled, and the strength of regularisation.
    """
    width = features.shape[1]
    sets, unit = targets.ndim > 1, params.scaling == "unit"
    head = LinearHead(width, count, pooling=params.pooling, depth=params.depth, unit=unit, sets=sets)
    if head.unit:
        scaled = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    else:
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        # a feature that does not vary says nothing, and is not blown up
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0) / np.sqrt(width)
        head.mean.copy_(torch.from_numpy(mean))
        head.scale.copy_(torch.from_numpy(scale))
        scaled = (features - mean) * scale
    weight, bias = (_of_each if sets else _of_one)(scaled.astype(np.float64), targets, count, params.C)
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(weight))
        head.linear.bias.copy_(torch.from_numpy(bias))
    return head.eval()


Coefficients = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights of shape (labels, width), and biases of shape (labels,)."""


def _of_one(features: NDArray[np.float64], labels: NDArray[np.int64], count: int, c: float) -> Coefficients:
    """Of rows with one label each."""
    weight, bias = np.zeros((count, features.shape[1])), np.full(count, ABSENT)
    seen = np.unique(labels)
    if len(seen) == 1:
        bias[seen[0]] = 0.0
        return weight, bias
    fitted = _fitted(features, labels, c)
    two = len(seen) == 2  # scikit-learn gives the log-odds of the second label alone
    weight[seen[1:] if two else seen] = fitted.coef_
    bias[seen] = [0.0, *fitted.intercept_] if two else fitted.intercept_
    return weight, bias


def _of_each(features: NDArray[np.float64], members: NDArray[np.int64], count: int, c: float) -> Coefficients:
    """Of rows with a set of labels each."""
    weight, bias = np.zeros((count, features.shape[1])), np.full(count, ABSENT)
    for i, member in enumerate(members.T):
        if member.all():
            bias[i] = -ABSENT
        elif member.any():
            fitted = _fitted(features, member, c)
            weight[i], bias[i] = fitted.coef_[0], fitted.intercept_[0]
    return weight, bias


def _fitted(features: NDArray[np.float64], labels: NDArray[np.int64], c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        # a regularisation so weak that the minimum lies far away: the coefficients reached by then are good ones
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=MOST_ITERATIONS).fit(features, labels)
