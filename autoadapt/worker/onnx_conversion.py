"""Artifacts in ONNX: a folder with ``model.onnx`` in place of the weights, which `OnnxPart` answers with."""

import shutil
from pathlib import Path

from autoadapt.domain.artifact import DESCRIPTION_FILE
from autoadapt.domain.jobs import Devices
from autoadapt.files import hash_files, write_json
from autoadapt.worker.artifacts import placed, read_description
from autoadapt.worker.workshop import Workshop

AGREEMENT = 1e-4
"""By which a log-probability in ONNX may differ from that in PyTorch, both in fp32."""
HEAD_WEIGHTS = "head.safetensors"


def copy_to_onnx(artifact: Path, folder: Path, workshop: Workshop, devices: Devices) -> None:
    """Writes a copy of an artifact in ONNX into an empty folder.

    Args:
        artifact: a classifier on the states of a model.
        folder: exists and is empty.
        workshop: that loads it.
        devices: where it was measured, which decides the precision of a merged adapter.

    Raises:
        UserError: the artifact is damaged, a package is missing, or the model cannot be converted.
    """
    described = read_description(artifact)
    for name in described.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact / name, folder / name)
    completed = workshop.family(described.model.family).add_base_model(folder, described, devices)
    write_json(folder / DESCRIPTION_FILE, completed.model_copy(update={"files": hash_files(folder)}))
    replace_by_onnx(folder, workshop)


def replace_by_onnx(folder: Path, workshop: Workshop, int8: bool = False) -> None:
    """Replaces the weights of an artifact by ``model.onnx``.

    Args:
        folder: of a classifier on the states of a model, whose files lie in it.
        workshop: that loads it.
        int8: whether weights become integers of eight bits.

    Raises:
        UserError: a package is missing, or the model cannot be converted.
    """
    described = read_description(folder).model_copy(update={"precision": "fp32"})
    target = folder / "onnx"
    target.mkdir()
    workshop.family(described.model.family).write_onnx(folder, placed(folder, described), target)
    for weights in folder.glob("*.safetensors*"):
        if weights.name != HEAD_WEIGHTS:
            weights.unlink()
    if int8:
        _quantize(target / "model.onnx", folder / "model.onnx")
        (target / "model.onnx").unlink()
        (target / "model.onnx.data").unlink(missing_ok=True)
    for file in target.glob("model.onnx*"):
        file.rename(folder / file.name)
    shutil.rmtree(target)
    (folder / DESCRIPTION_FILE).unlink()
    write_json(folder / DESCRIPTION_FILE, described.model_copy(update={"files": hash_files(folder)}))


def _quantize(source: Path, target: Path) -> None:
    """Weights of eight bits, and activations that are rounded to eight bits as they come (dynamic quantization)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)
