"""What a method and a base model each add to a logarithm (of cost, latency, seconds): ridge regression.

A model seen with prompts alone has a price by it for trained candidates too; what is left over is for a Gaussian
process.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

RIDGE = 0.05
"""Weight of the prior beside one observation."""


class Trend:
    """Additive effects: value = level + method + model.

    Args:
        known: observations (method index, model index, value), a sequence or an array of shape (n, 3).
        usual: for each method, its effect as thought likely beforehand.
        models: number of base models.
    """

    def __init__(self, known: Any, usual: Sequence[float], models: int) -> None:
        self._methods = len(usual)
        prior = np.r_[0.0, usual, np.zeros(models)]
        matrix = RIDGE * np.diag(np.r_[1e-6, np.ones(len(prior) - 1)])
        right = np.zeros(len(prior))
        if len(known):
            observed = np.asarray(known, float)
            design = np.zeros((len(known), len(prior)))
            design[:, 0] = 1.0
            each = np.arange(len(known))
            design[each, 1 + observed[:, 0].astype(int)] = 1.0
            design[each, 1 + self._methods + observed[:, 1].astype(int)] = 1.0
            matrix += design.T @ design
            right += design.T @ (observed[:, 2] - design @ prior)
        self._effects = prior + np.linalg.solve(matrix, right)

    def __call__(self, methods: Any, models: Any) -> Any:
        """Values, shape (m,), for method and model indices of shape (m,)."""
        models = np.asarray(models, int)
        return self._effects[0] + self._effects[1 + np.asarray(methods)] + self._effects[1 + self._methods + models]
