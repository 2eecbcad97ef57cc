"""Causal language models of transformers: named ones (embedded, smollm2), folders and hub repositories.

This file imports no heavy library; the modules beside it do, and they are imported when a worker opens a model.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autoadapt import model_files
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices, Fit
from autoadapt.domain.method import Adapted, Context, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.outcome import FailureClass
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select

if TYPE_CHECKING:
    from autoadapt.local_models.warm_models import WarmModels
    from autoadapt.models.causal_lm.language_model import LanguageModel


class CausalLm(ModelFamily):
    """Models that predict the next token; they are prompted, tuned in full, or tuned by adapters of peft."""

    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "peft")

    def __init__(self) -> None:
        self._models: WarmModels[LanguageModel] | None = None

    def claims(self, name: str, base: Path) -> bool:
        return model_files.is_model_name(name, base) and not model_files.names_encoder(name, base)

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        location = str(model_files.find_model(name, base, download))
        return ModelReference(name=name, family="causal_lm", location=location)

    def capabilities(self, model: ModelReference) -> Capabilities:
        folder = Path(model.place)
        return Capabilities(
            generates=True,
            reads_prompts=True,
            scores_labels=True,
            answers_label_sets=True,
            embeds=True,
            trains=True,
            adapters=True,
            context_length=model_files.context_length(folder),
            parameters=model_files.count_weights(folder),
        )

    def obstacle(self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]]) -> str | None:
        folder, limit = Path(model.place), model_files.context_length(Path(model.place))
        if limit is None or "template" not in job.candidate.params:
            return None
        from autoadapt.models.causal_lm.lengths import too_long

        return too_long(folder, limit, job, splits["train"], splits["validation"])

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
        from autoadapt.local_models.artifacts import Option, place_here
        from autoadapt.models.causal_lm.options import load_option

        option = Option(folder, description.weights, place_here(description.model), description.precision)
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
        from autoadapt.local_models.memory import is_out_of_memory

        return "oom" if is_out_of_memory(error) else None

    def meters(self, accelerator: str) -> Mapping[str, Callable[[], Any]]:
        if accelerator != "cuda":
            return {}
        from autoadapt.local_models.memory import gpu_meters

        return gpu_meters()

    def join_group(self, rank: int, world: int, meeting_file: Path, accelerator: str) -> None:
        from autoadapt.training.deepspeed_backend import join_group

        join_group(rank, world, meeting_file, accelerator)

    def _warm_models(self, devices: Devices) -> "WarmModels[LanguageModel]":
        import torch

        # the process may have been forked after torch was imported, when environment variables come too late
        torch.set_num_threads(devices.threads)
        if self._models is None:
            from autoadapt.local_models.warm_models import WarmModels
            from autoadapt.models.causal_lm import language_model

            self._models = WarmModels(language_model.load)
        return self._models
