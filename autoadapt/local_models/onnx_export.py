"""Writing a model as it gives features in ONNX, by the exporter of transformers."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from autoadapt.errors import Exit, UserError
from autoadapt.local_models.features import Features, shortened

STATES = "last_hidden_state"
"""The output that holds the state of every token."""


def write_onnx(features: Features, folder: Path) -> None:
    """Writes ``model.onnx``, for batches of any size and texts of any length, and ``config.json`` into a folder.

    Layers that the features do not need are left out.

    Args:
        features: of a model in fp32 on the CPU.
        folder: where to write; weights beside what one file holds go to ``model.onnx.data``.

    Raises:
        UserError: a package is missing, or the model cannot be exported.
    """
    try:
        from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter
    except ImportError as error:
        raise UserError("--onnx needs packages: pip install 'autoadapt[onnx]'", Exit.ENVIRONMENT) from error
    model, tokenizer = features.backbone, features.lm.tokenizer
    given = dict(tokenizer(["a", "b c d"], padding=True, return_tensors="pt"))
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if "token_type_ids" in given else [])]
    inputs = {name: given[name] for name in names}
    sizes = {name: {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for name in names}
    config = OnnxConfig(dynamic=True, dynamic_shapes=sizes)
    with shortened(model, features.layers) as cut, _quiet():
        if features.layers is not None and not cut:
            raise UserError("--onnx: this model has no plain list of layers from which features could be read")
        try:
            OnnxExporter().export(model, inputs, config=config).save_pretrained(folder)
        except ImportError as error:
            raise UserError(f"--onnx: {error}; pip install 'autoadapt[onnx]'", Exit.ENVIRONMENT) from error
        except Exception as error:
            name = type(model).__name__
            raise UserError(
                f"--onnx: {name} cannot be exported ({type(error).__name__}: {error})", Exit.DATA
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its steps, and warns of operators that this model does not have."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
