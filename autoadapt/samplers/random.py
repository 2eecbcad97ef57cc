"""Uniform random search."""

from typing import Any

from optuna.samplers import RandomSampler

from autoadapt.domain.history import History
from autoadapt.domain.sampler import Sampler


class Random(Sampler):
    """Every candidate independent of what was seen: the baseline."""

    def build(self, seed: int, history: History) -> Any:
        return RandomSampler(seed=seed)
