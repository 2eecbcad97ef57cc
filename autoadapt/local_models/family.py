"""What every family of models has in common whose weights are loaded into a worker; imports no heavy library."""

import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from autoadapt import model_files
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices, JobBase
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import FailureClass
from autoadapt.local_models.known_types import check_type

if TYPE_CHECKING:
    from autoadapt.local_models.loading import LoadedModel
    from autoadapt.local_models.warm_models import Load, WarmModels

M = TypeVar("M", bound="LoadedModel")


class LocalFamily(ModelFamily, Generic[M]):
    """A family of transformers models: found as named models, folders or hub repositories, kept warm by a worker."""

    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "peft")
    name: ClassVar[str]
    """Of the family."""
    types: ClassVar[str]
    """The table of `known_types` that lists what it can load."""
    kind: ClassVar[str]
    """A model of the family in words."""

    def __init__(self) -> None:
        self._models: WarmModels[M] | None = None

    @abstractmethod
    def loader(self) -> "Load[M]":
        """How a folder of this family is loaded; imports what that needs."""

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        location = str(model_files.find_model(name, base, download))
        check_type(name, model_files.known_config(location), self.types, self.kind)
        return ModelReference(name=name, family=self.name, location=location)

    def warm_models(self, devices: Devices) -> "WarmModels[M]":
        """The models that this process keeps, its threads set as the devices ask for."""
        import torch

        # the process may have been forked after torch was imported, when environment variables come too late
        torch.set_num_threads(devices.threads)
        if self._models is None:
            from autoadapt.local_models.warm_models import WarmModels

            self._models = WarmModels(self.loader())
        return self._models

    def add_base_model(self, folder: Path, description: ArtifactDescription, devices: Devices) -> ArtifactDescription:
        from autoadapt.local_models.artifacts import add_base_model

        return add_base_model(self.warm_models(devices), folder, description, devices)

    def write_onnx(self, folder: Path, description: ArtifactDescription, target: Path) -> None:
        import torch

        from autoadapt.local_models.heads import HeadAnswerer
        from autoadapt.local_models.onnx_export import write_onnx

        cpu = Devices(kind="cpu", count=1, accelerator="cpu", threads=torch.get_num_threads())
        answerer = self.load(folder, description, cpu, lambda: None, None)
        if not isinstance(answerer, HeadAnswerer):
            return super().write_onnx(folder, description, target)
        write_onnx(answerer.features, target)
        answerer.close()
        self.drop()
        return None

    def begin(self, run: Path, folder: Path, job: JobBase) -> None:
        if self._models is not None:
            self._models.keep_only(job.model.place, str(run / job.artifact_folder))

    def drop(self) -> None:
        if self._models is not None:
            self._models.drop()

    @property
    def kept_bytes(self) -> int:
        return self._models.kept_bytes if self._models is not None else 0

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
