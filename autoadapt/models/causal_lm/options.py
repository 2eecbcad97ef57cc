"""Finished options of causal language models: written into an artifact folder, and loaded from one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices, PromptText
from autoadapt.domain.method import Adapted, Training, Weights
from autoadapt.domain.selector import Select
from autoadapt.errors import Exit, UserError
from autoadapt.models.causal_lm.language_model import LanguageModel, compute_dtype
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.warm_models import WarmModels

ADAPTER_FILE = "adapter_model.safetensors"


@dataclass(frozen=True)
class Option:
    """Where an option's weights are and in which precision it computes."""

    folder: Path
    """Of the artifact."""
    weights: Weights
    base: str
    """Folder of the base model."""
    precision: str


def load_option(
    models: WarmModels,
    option: Option,
    description: ArtifactDescription,
    devices: Devices,
    tick: Callable[[], None],
    select: Select | None,
) -> Adapted:
    """An option that answers; arguments as of `ModelFamily.load`."""
    lm = load_weights(models, option, devices)
    training = Training(artifact_bytes=deployed_bytes(option.folder, option.weights, description.prompt))
    encoder = make_encoder(lm, description, select, description.decoding.tuned)
    return make_answerer(lm, encoder, description, description.decoding, training, tick)


def load_weights(models: WarmModels, option: Option, devices: Devices) -> LanguageModel:
    """The model of an option, adapters merged into its weights."""
    dtype = compute_dtype(option.precision, devices.accelerator)
    if option.weights == "none":
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
    """

    def fill(target: Path) -> None:
        # save_pretrained empties the dict it is given, hence a copy
        model.save_pretrained(target, state_dict=dict(gathered) if gathered is not None else None)
        tokenizer.save_pretrained(target)

    return fill


def deployed_bytes(folder: Path, weights: Weights, prompt: PromptText) -> int:
    """Bytes that must be deployed in addition to the base model: trained weights, or else the prompt."""
    if weights == "none":
        return len(json.dumps({"template": prompt.template, "instruction": prompt.instruction}).encode())
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
