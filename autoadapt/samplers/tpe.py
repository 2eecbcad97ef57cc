"""Tree-structured Parzen estimator over the joint conditional space (Bergstra et al. 2011; Ozaki et al. 2022)."""

import warnings
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from autoadapt.domain.history import History
from autoadapt.domain.sampler import Sampler


class Tpe(Sampler):
    """Multivariate within each group of parameters that occur together; pending trials count as poor ones.

    Without ``group`` Optuna models the parameters of a conditional space one by one; without ``constant_liar`` parallel
    workers are given the same candidate.
    """

    def build(self, seed: int, history: History) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # group and multivariate are what is wanted
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=8)
