"""Causal language models of transformers: named ones (embedded, smollm2), folders and hub repositories.

This file imports no heavy library; the modules beside it do, and they are imported when a worker opens a model.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autoadapt import model_files
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Context, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.outcome import FailureClass
from autoadapt.domain.selector import Select
from autoadapt.named_models import NAMED
from autoadapt.registry import expanded

if TYPE_CHECKING:
    from autoadapt.models.causal_lm.warm_models import WarmModels


class CausalLm(ModelFamily):
    """Models that predict the next token; they are prompted, tuned in full, or tuned by adapters of peft."""

    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "peft")

    def __init__(self) -> None:
        self._models: WarmModels | None = None

    def claims(self, name: str, base: Path) -> bool:
        named = NAMED.get(name)
        return model_files.is_model_name(name, base) if named is None else named.family == "causal_lm"

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        location = str(model_files.find_model(name, base, download))
        return ModelReference(name=name, family="causal_lm", location=location)

    def capabilities(self, model: ModelReference) -> Capabilities:
        folder = Path(model.place)
        return Capabilities(
            generates=True,
            reads_prompts=True,
            scores_labels=True,
            trains=True,
            adapters=True,
            context_length=model_files.context_length(folder),
            parameters=model_files.count_weights(folder),
        )

    def open(self, context: Context, model: ModelReference) -> Model:
        from autoadapt.models.causal_lm.opened import OpenedCausalLm

        return OpenedCausalLm(context, model, self._warm_models(context.devices))

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        from autoadapt.models.causal_lm.options import Option, load_option

        option = Option(folder, description.weights, _place_here(description.model), description.precision)
        return load_option(self._warm_models(devices), option, description, devices, tick, select)

    def drop(self) -> None:
        if self._models is not None:
            self._models.drop()

    @property
    def loading_seconds(self) -> float:
        return self._models.loading_seconds if self._models is not None else 0.0

    @property
    def should_retire(self) -> bool:
        # ZeRO-3 leaves models behind in module variables of DeepSpeed
        return self._models is not None and self._models.used_stage_3

    def failure_class(self, error: BaseException) -> FailureClass | None:
        if "torch" not in sys.modules:
            return None
        from autoadapt.models.causal_lm.memory import is_out_of_memory

        return "oom" if is_out_of_memory(error) else None

    def meters(self, accelerator: str) -> Mapping[str, Callable[[], Any]]:
        if accelerator != "cuda":
            return {}
        from autoadapt.models.causal_lm.memory import gpu_meters

        return gpu_meters()

    def join_group(self, rank: int, world: int, meeting_file: Path, accelerator: str) -> None:
        from autoadapt.training.deepspeed_backend import join_group

        join_group(rank, world, meeting_file, accelerator)

    def _warm_models(self, devices: Devices) -> "WarmModels":
        import torch

        # the process may have been forked after torch was imported, when environment variables come too late
        torch.set_num_threads(devices.threads)
        if self._models is None:
            from autoadapt.models.causal_lm.warm_models import WarmModels

            self._models = WarmModels()
        return self._models


def _place_here(model: ModelReference) -> str:
    """Folder of a base model on this machine, which need not be the machine that wrote the reference."""
    if Path(model.place).is_dir():
        return model.place
    return str(model_files.find_model(expanded(model.name), Path(), download=False))
