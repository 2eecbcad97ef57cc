"""Encoders of transformers (BERT, MiniLM, DeBERTa, ModernBERT and their kind): folders, hub repositories, and `minilm`.

This file imports no heavy library; the modules beside it do, and they are imported when a worker opens a model.

`minilm` is all-MiniLM-L6-v2 (see `autoadapt.named_models`).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autoadapt import model_files
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Context, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.selector import Select
from autoadapt.local_models.family import LocalFamily
from autoadapt.local_models.known_types import ANY

if TYPE_CHECKING:
    from autoadapt.local_models.warm_models import Load
    from autoadapt.models.encoder.encoder_model import EncoderModel

TRAINING: Mapping[str, Any] = {
    "num_train_epochs": {"low": 4, "high": 12},
    "batch_size": [8, 16, 32],
    "warmup_ratio": [0.0, 0.1],
    "weight_decay": [0.0, 0.01],
}


class Encoder(LocalFamily["EncoderModel"]):
    """Models that read a whole text at once and choose a label; they read no prompt and write nothing."""

    name: ClassVar[str] = "encoder"
    types: ClassVar[str] = ANY
    kind: ClassVar[str] = "encoder"
    branches: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "head": {
            "pooling": ["mean", "cls"],
            "scaling": ["unit", "standard"],
            "depth": [1.0, 0.8],
            "C": {"low": 1.0, "high": 1000.0, "log": True},
        },
        "lora": {
            "r": [4, 8, 16, 32],
            "lora_alpha": [16, 32, 64],
            "lora_dropout": [0.0, 0.1],
            "target_modules": ["all-linear", "attention"],
            "learning_rate": {"low": 2e-4, "high": 3e-3, "log": True},
            **TRAINING,
        },
        "ia3": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, **TRAINING, "weight_decay": 0.0},
        "full": {"learning_rate": {"low": 2e-5, "high": 5e-4, "log": True}, **TRAINING},
    }
    first: ClassVar[Mapping[str, Sequence[Mapping[str, Any]]]] = {
        "head": (
            {"pooling": "mean", "scaling": "unit", "depth": 1.0, "C": 30.0},
            {"pooling": "mean", "scaling": "unit", "depth": 0.8, "C": 30.0},
        ),
        "lora": (
            {
                "r": 16,
                "lora_alpha": 32,
                "learning_rate": 1e-3,
                "num_train_epochs": 8,
                "batch_size": 16,
                "warmup_ratio": 0.1,
            },
        ),
        "ia3": ({"learning_rate": 1e-2, "num_train_epochs": 8, "warmup_ratio": 0.1},),
        "full": ({"learning_rate": 1e-4, "num_train_epochs": 8, "batch_size": 16, "warmup_ratio": 0.1},),
    }

    def claims(self, name: str, base: Path) -> bool:
        return model_files.names_encoder(name, base)

    def capabilities(self, model: ModelReference) -> Capabilities:
        folder = Path(model.place)
        return Capabilities(
            scores_labels=True,
            answers_label_sets=True,
            embeds=True,
            contrasts=True,
            trains=True,
            adapters=True,
            context_length=model_files.context_length(folder),
            parameters=model_files.count_weights(folder),
        )

    def open(self, context: Context, model: ModelReference) -> Model:
        from autoadapt.models.encoder.opened import OpenedEncoder

        return OpenedEncoder(context, model, self.warm_models(context.devices))

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        from autoadapt.local_models.artifacts import Option, place_here
        from autoadapt.models.encoder.options import load_option

        option = Option(folder, description.weights, place_here(description.model), description.precision)
        return load_option(self.warm_models(devices), option, description, devices, tick)

    def loader(self) -> "Load[EncoderModel]":
        from autoadapt.models.encoder import encoder_model

        return encoder_model.load
