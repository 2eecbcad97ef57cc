"""Making a bundle: a folder that appears whole, and only after it has answered as the run did."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from autoadapt.bundle.checking import check, run_devices
from autoadapt.bundle.description import (
    ADAPTER_FOLDER,
    BUNDLE_FILE,
    MODEL_FOLDER,
    BundleDescription,
    InputColumns,
    Part,
    PartKind,
)
from autoadapt.bundle.documents import write_documents
from autoadapt.bundle.licences import licence_of
from autoadapt.bundle.onnx import Before, check_onnx, convert, needs_conversion
from autoadapt.bundle.sources import PartSource, Source
from autoadapt.domain.artifact import DESCRIPTION_FILE, ArtifactDescription
from autoadapt.domain.jobs import Devices
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.model import ModelReference
from autoadapt.domain.option import number_text
from autoadapt.errors import Exit, UserError
from autoadapt.files import files_below, hash_files, home_path, is_full_disk, write_json
from autoadapt.runs.lock import version
from autoadapt.worker.artifacts import read_description
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.onnx_part import STANDALONE
from autoadapt.worker.workshop import Workshop

SCRIPTS: dict[PartKind, tuple[str, ...]] = {
    "prompted": (
        "predict_loading.py",
        "predict_examples.py",
        "predict_passages.py",
        "predict_words.py",
        "predict_prompted.py",
        "predict_reasoning.py",
    ),
    "features": ("predict_loading.py", "predict_states.py", "predict_features.py"),
    "onnx": ("predict_loading.py", "predict_states.py", "predict_onnx.py"),
    "words": ("predict_words.py",),
}
Onnx = Literal["fp32", "int8"]
"""Kinds of numbers in which a bundle in ONNX computes."""
PATH_KEYS = ("_name_or_path", "name_or_path", "base_model_name_or_path")
"""Of configurations of transformers and peft, which hold the path that a model was loaded from."""
PACKAGES = [
    *("autoadapt", "numpy", "scipy", "scikit-learn", "torch", "transformers", "peft", "safetensors", "jinja2"),
    *("onnxruntime", "bm25s"),
]


def make_bundle(source: Source, folder: Path, onnx: Onnx | None = None) -> BundleDescription:
    """Writes an option as a bundle, and checks that it answers as the run did.

    Args:
        source: what it is made of.
        folder: of the bundle, which must not exist.
        onnx: in which its models are, where they are classifiers on the states of a model; None: in PyTorch.

    Raises:
        UserError: the folder exists or cannot be written, an artifact is damaged, the bundle answers otherwise, or no
            part of the option can be converted to ONNX.
    """
    folder = home_path(folder).absolute()
    refuse_existing(folder)
    if onnx is not None:
        needs_conversion([read_description(part.artifact) for part in source.parts])
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error
    try:
        description = _fill(source, temporary, onnx)
        refuse_existing(folder)
        temporary.rename(folder)
    except Exception as error:
        if is_full_disk(error):
            raise UserError(f"{folder}: there is no room for the bundle ({error})", Exit.ENVIRONMENT) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return description


def refuse_existing(folder: Path) -> None:
    """Raises a UserError where the folder of a bundle to be made exists already, even an empty one."""
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} exists already; name a folder that does not, or remove it first")


def _fill(source: Source, folder: Path, onnx: Onnx | None) -> BundleDescription:
    devices, workshop = run_devices(own_devices(), source.study.lock), Workshop()
    if devices.accelerator == "cpu":  # else DeepSpeed, which peft imports, prints that it found no accelerator
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    places = [Path()] if len(source.parts) == 1 else [Path("first"), Path("second")]
    artifacts = [
        _write_part(part, folder / place, workshop, devices) for part, place in zip(source.parts, places, strict=True)
    ]
    parts = [
        _part(part, place, artifact, (folder, workshop))
        for part, place, artifact in zip(source.parts, places, artifacts, strict=True)
    ]
    workshop.drop()
    description = _described(source, parts, artifacts)
    if all(part.kind in SCRIPTS for part in parts):
        _copy_scripts(parts, folder)
    if all(part.kind != "remote" for part in parts):
        _seal(folder, description)
        checked = check(source, folder, devices, _scored_labels(artifacts))
        description = description.model_copy(update={"checked": checked})
    if onnx is not None:
        description = _in_onnx(source, folder, description, onnx == "int8")
        artifacts = [read_description(folder / part.folder / MODEL_FOLDER) for part in description.parts]
    write_documents(folder, description, artifacts)
    return _seal(folder, description)


def _in_onnx(source: Source, folder: Path, description: BundleDescription, int8: bool) -> BundleDescription:
    """Converts a bundle that was checked, compares it with what it was, and checks it again."""
    cpu = run_devices(own_devices(), source.study.lock).model_copy(update={"accelerator": "cpu"})
    before = Before(source, folder, cpu)
    workshop = Workshop()
    parts = [convert(folder, part, int8, workshop) if part.kind == "features" else part for part in description.parts]
    for script in folder.glob("predict*.py"):
        script.unlink()
    _copy_scripts(parts, folder)
    description = _seal(folder, description.model_copy(update={"parts": parts, "checked": None}))
    figures = before.compared(folder, cpu, int8)
    checked, quality, figures = check_onnx(source, folder, cpu, description.labels or [], figures)
    return description.model_copy(update={"checked": checked, "quality": quality, "onnx": figures})


def _scored_labels(artifacts: list[ArtifactDescription]) -> list[str]:
    first = artifacts[0]
    return [] if first.multi_label else first.labels or []


def _seal(folder: Path, description: BundleDescription) -> BundleDescription:
    """Writes ``option.json`` with the hashes of all other files, and gives every file its mode."""
    (folder / BUNDLE_FILE).unlink(missing_ok=True)
    description = description.model_copy(update={"files": hash_files(folder)})
    write_json(folder / BUNDLE_FILE, description)
    for path in files_below(folder):
        path.chmod(0o644)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        path.chmod(0o755)
    return description


def _write_part(part: PartSource, folder: Path, workshop: Workshop, devices: Devices) -> ArtifactDescription:
    """Writes ``model/``, an artifact that needs no other folder, and ``adapter/`` where there is an adapter."""
    described = read_description(part.artifact)
    model = folder / MODEL_FOLDER
    model.mkdir(parents=True)
    for name in described.files:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part.artifact / name, model / name)
    if described.weights == "adapter" and "adapter_config.json" in described.files:  # of peft
        adapter = folder / ADAPTER_FOLDER
        adapter.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(part.artifact / name, adapter / name)
    family = workshop.family(described.model.family)
    name = public_name(described.model)
    completed = _without_paths(family.add_base_model(model, described, devices), name)
    for configuration in folder.rglob("*.json"):
        _remove_paths(configuration, name)
    completed = completed.model_copy(update={"files": hash_files(model)})
    write_json(model / DESCRIPTION_FILE, completed)
    return completed


def public_name(model: ModelReference) -> str:
    """A base model's name as strangers may read it: of a folder on this machine its last part alone."""
    of_hub = f"models--{model.name.replace('/', '--')}" in model.location
    is_folder = Path(model.location).is_absolute() and "/" in model.name and not of_hub
    return Path(model.name).name if is_folder else model.name


def _without_paths(description: ArtifactDescription, name: str) -> ArtifactDescription:
    model = description.model.model_copy(update={"name": name})
    candidate = description.candidate.model_copy(update={"model": name})
    return description.model_copy(update={"model": model, "candidate": candidate})


def _remove_paths(file: Path, name: str) -> None:
    """Puts the base model's name where a configuration states a path on this machine."""
    if file.name not in ("config.json", "adapter_config.json", "tokenizer_config.json", "generation_config.json"):
        return
    content = json.loads(file.read_text(encoding="utf-8"))
    texts = [key for key, value in content.items() if isinstance(value, str)]
    found = [key for key in texts if key in PATH_KEYS or content[key].startswith("/")]
    if found:
        content |= dict.fromkeys(found, name)
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _part(part: PartSource, place: Path, artifact: ArtifactDescription, made: tuple[Path, Workshop]) -> Part:
    adapter = made[0] / place / ADAPTER_FOLDER / "adapter_config.json"
    rank = json.loads(adapter.read_bytes()).get("r") if adapter.is_file() else None
    original = read_description(part.artifact)
    return Part(
        folder=place.as_posix(),
        kind=_kind(artifact, made[1].family(original.model.family).capabilities(original.model).remote),
        trial=part.trial,
        method=artifact.candidate.method,
        base_model=artifact.model.name,
        licence=licence_of(original.model),
        precision=artifact.precision,
        adapter_rank=rank if isinstance(rank, int) else None,
        final_fit=part.final_fit,
        prompt_sha256=_prompt_hash(artifact),
        prompt_entry=artifact.prompt.entry,
    )


def _prompt_hash(artifact: ArtifactDescription) -> str:
    return hashlib.sha256(f"{artifact.prompt.template}\0{artifact.prompt.instruction}".encode()).hexdigest()


def _kind(artifact: ArtifactDescription, remote: bool) -> PartKind:
    """What answers: a standalone script exists for the families of AutoAdapt that compute on this machine."""
    family = artifact.model.family
    if remote:
        return "remote"
    if family == "classical":
        return "words"
    if family == "encoder" or (family == "causal_lm" and artifact.weights == "head"):
        return "features"
    return "prompted" if family == "causal_lm" else "plugin"


def _copy_scripts(parts: list[Part], folder: Path) -> None:
    for name in sorted({"predict.py", *(name for part in parts for name in SCRIPTS[part.kind])}):
        shutil.copyfile(STANDALONE / name, folder / name)


def _described(source: Source, parts: list[Part], artifacts: list[ArtifactDescription]) -> BundleDescription:
    study, task = source.study, source.study.task
    columns = task.data.columns
    lock: dict[str, Any] = study.lock
    first = artifacts[0]
    kind: AnswerKind = "text" if first.labels is None else "labels" if first.multi_label else "label"
    price = {**task.economics.model_dump(mode="json"), "source": study.price_source}
    return BundleDescription(
        task=task.name,
        option=number_text(source.option.trial),
        metric=task.metric,
        answers=kind,
        labels=first.labels,
        columns=InputColumns(
            input=[columns.input] if isinstance(columns.input, str) else list(columns.input),
            output=columns.output,
            references=columns.references,
        ),
        parts=parts,
        cascade=source.cascade,
        quality=source.quality,
        figures=source.option.model_copy(update={"model": " > ".join(part.base_model for part in parts)}),
        price={name: value for name, value in price.items() if name != "price_book"},
        hardware=dict(lock.get("hardware") or {}),
        data=dict((lock.get("identity") or {}).get("data") or {}),
        versions={name: version(name) for name in PACKAGES} | dict(lock.get("versions") or {}),
    )
