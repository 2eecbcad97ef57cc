"""The base model that a worker keeps loaded from job to job, because loading may cost more than a prompted job.

`borrow` lends it to a job that leaves its weights as they are (a prompt, a head); `take` gives it away for good to one
that changes them (an adapter that is merged, full tuning).
"""

import time
from typing import Generic, Protocol, TypeVar

import torch

from autoadapt.local_models.loading import LoadedModel
from autoadapt.local_models.memory import free_unused_memory

M = TypeVar("M", bound=LoadedModel)
M_co = TypeVar("M_co", bound=LoadedModel, covariant=True)


class Load(Protocol[M_co]):
    """Loads a model folder; see `autoadapt.models.causal_lm.language_model.load`."""

    def __call__(self, path: str, accelerator: str, dtype: torch.dtype, on_host: bool) -> M_co: ...


class WarmModels(Generic[M]):
    """Models of one process and one family; at most one is kept.

    Args:
        load: how the family loads a folder.
    """

    def __init__(self, load: Load[M]) -> None:
        self._load = load
        self._warm: dict[tuple[str, torch.dtype], M] = {}
        self.loading_seconds = 0.0
        """Seconds spent loading models."""
        self.used_stage_3 = False
        """Whether this process has trained under ZeRO-3, after which it should be replaced."""

    def load(self, path: str, accelerator: str, dtype: torch.dtype = torch.float32, on_host: bool = False) -> M:
        """A newly loaded model, its weights in `dtype`; with `on_host` they stay in host memory."""
        start = time.perf_counter()
        model = self._load(path, accelerator, dtype, on_host)
        self.loading_seconds += time.perf_counter() - start
        return model

    def borrow(self, path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> M:
        """The warm model of that path, loaded if it is another; the borrower leaves its weights as they were."""
        if (path, dtype) not in self._warm:
            self.drop()
            self._warm[path, dtype] = self.load(path, accelerator, dtype)
        return self._warm[path, dtype]

    def take(self, path: str, accelerator: str, dtype: torch.dtype = torch.float32) -> M:
        """A model whose weights the caller may change; the warm one is given away where it has that precision."""
        warm = self._warm.pop((path, dtype), None)
        if warm is not None:
            return warm
        self.drop()
        return self.load(path, accelerator, dtype)

    def keep_only(self, *paths: str) -> None:
        """Forgets the warm model if it is none of these, so that its memory is not counted as a job's that begins."""
        if any(path not in paths for path, _ in self._warm):
            self.drop()

    @property
    def kept_bytes(self) -> int:
        """Bytes of the warm model's weights."""
        return sum(model.weight_bytes for model in self._warm.values())

    def drop(self) -> None:
        """Forgets the warm model and frees its memory."""
        self._warm.clear()
        free_unused_memory()
