"""What an option's artifact holds of a model on this machine: weights or an adapter with the tokenizer, or a head."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from autoadapt import model_files
from autoadapt.domain.artifact import HERE, ArtifactDescription
from autoadapt.domain.jobs import Devices, PromptText
from autoadapt.domain.method import Weights
from autoadapt.domain.model import ModelReference
from autoadapt.errors import Exit, UserError
from autoadapt.local_models.loading import LoadedModel, compute_dtype
from autoadapt.local_models.warm_models import WarmModels
from autoadapt.registry import expanded

ADAPTER_FILE = "adapter_model.safetensors"
M = TypeVar("M", bound=LoadedModel)


@dataclass(frozen=True)
class Option:
    """Where an option's weights are and in which precision it computes."""

    folder: Path
    """Of the artifact."""
    weights: Weights
    base: str
    """Folder of the base model."""
    precision: str


def load_weights(models: WarmModels[M], option: Option, devices: Devices) -> M:
    """The model of an option, adapters merged into its weights."""
    dtype = compute_dtype(option.precision, devices.accelerator)
    if option.weights in ("none", "head"):
        return models.borrow(option.base, devices.accelerator, dtype)
    if option.weights == "full":
        models.drop()
        return models.load(str(option.folder), devices.accelerator, dtype)
    if not (option.folder / ADAPTER_FILE).is_file():  # peft would look for pickled ones, and on the hub
        raise UserError(f"artifact {option.folder}: it has no {ADAPTER_FILE}", Exit.DATA)
    from peft import PeftModel

    lm = models.take(option.base, devices.accelerator, dtype)
    lm.model = PeftModel.from_pretrained(lm.model, str(option.folder)).merge_and_unload()
    return lm


def write_weights(
    model: Any, tokenizer: Any, gathered: dict[str, torch.Tensor] | None = None
) -> Callable[[Path], None]:
    """A function that writes adapter or model with the tokenizer into a folder, as safetensors.

    Args:
        model: of transformers or peft.
        tokenizer: its tokenizer.
        gathered: the weights where they had to be gathered from several ranks.

    Raises:
        FloatingPointError: by the function; the last step of training has left weights that are not finite.
    """

    def fill(target: Path) -> None:
        trained = (p for p in model.parameters() if p.requires_grad) if gathered is None else gathered.values()
        if not all(bool(torch.isfinite(weights).all()) for weights in trained):
            raise FloatingPointError("training has ended with weights that are not finite")
        # save_pretrained empties the dict it is given, hence a copy
        model.save_pretrained(target, state_dict=dict(gathered) if gathered is not None else None)
        tokenizer.save_pretrained(target)

    return fill


def deployed_bytes(folder: Path, weights: Weights, prompt: PromptText) -> int:
    """Bytes that must be deployed in addition to the base model: trained weights, or else the prompt."""
    if weights == "none":
        return len(json.dumps({"template": prompt.template, "instruction": prompt.instruction}).encode())
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def place_here(model: ModelReference) -> str:
    """Folder of a base model on this machine, which need not be the machine that wrote the reference."""
    if Path(model.place).is_dir():
        return model.place
    return str(model_files.find_model(expanded(model.name), Path(), download=False))


def add_base_model(
    models: WarmModels[M], folder: Path, description: ArtifactDescription, devices: Devices
) -> ArtifactDescription:
    """Completes a copy of an artifact, see `ModelFamily.add_base_model`.

    An adapter is merged into the weights in the precision in which the option was measured, and its own files are
    removed; a prompt or a head gets the files of the base model beside it.
    """
    dtype = compute_dtype(description.precision, devices.accelerator)
    weights = description.weights
    if weights == "adapter":
        base = place_here(description.model)
        lm = load_weights(models, Option(folder, weights, base, description.precision), devices)
        for name in (ADAPTER_FILE, "adapter_config.json", "README.md"):
            (folder / name).unlink(missing_ok=True)
        lm.model.save_pretrained(folder)
        models.drop()
        weights = "full"
    elif weights in ("none", "head"):
        base_folder = Path(place_here(description.model))
        for pattern in model_files.FILES:
            for file in base_folder.glob(pattern):
                if not (folder / file.name).exists():
                    shutil.copyfile(file, folder / file.name)
    precision: Literal["bf16", "fp32"] = "bf16" if dtype == torch.bfloat16 else "fp32"
    model = description.model.model_copy(update={"location": HERE})
    return description.model_copy(update={"weights": weights, "model": model, "precision": precision})
