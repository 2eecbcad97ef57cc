"""The base model that a worker keeps loaded from job to job, because loading may cost more than a prompted job.

`borrow` lends it to a job that leaves its weights as they are (a prompt); `take` gives it away for good to one that
changes them (an adapter that is merged, full tuning).
"""

import time

import torch

from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.memory import free_unused_memory


class WarmModels:
    """Models of one process; at most one is kept."""

    def __init__(self) -> None:
        self._warm: dict[tuple[str, torch.dtype], LanguageModel] = {}
        self.loading_seconds = 0.0
        """Seconds spent loading models."""
        self.used_stage_3 = False
        """Whether this process has trained under ZeRO-3, after which it should be replaced."""

    def load(
        self, path: str, accelerator: str, dtype: torch.dtype = torch.float32, on_host: bool = False
    ) -> LanguageModel:
        """A newly loaded model; see `autoadapt.models.causal_lm.language_model.load`."""
        start = time.perf_counter()
        model = language_model.load(path, accelerator, dtype, on_host)
        self.loading_seconds += time.perf_counter() - start
        return model

    def borrow(self, path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
        """The warm model of that path, loaded if it is another; the borrower leaves its weights as they were."""
        if (path, dtype) not in self._warm:
            self.drop()
            self._warm[path, dtype] = self.load(path, accelerator, dtype)
        return self._warm[path, dtype]

    def take(self, path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
        """A model whose weights the caller may change; the warm one is given away where it has that precision."""
        warm = self._warm.pop((path, dtype), None)
        if warm is not None:
            return warm
        self.drop()
        return self.load(path, accelerator, dtype)

    def drop(self) -> None:
        """Forgets the warm model and frees its memory."""
        self._warm.clear()
        free_unused_memory()
