"""A part in ONNX as AutoAdapt asks it: by the script that answers in the bundle without AutoAdapt."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Answer, Training
from autoadapt.errors import Exit, UserError

STANDALONE = Path(__file__).parents[1] / "standalone"
"""The scripts that bundles hold."""


class OnnxPart:
    """An option in ONNX that answers inputs (see `autoadapt.domain.method.Adapted`).

    Args:
        folder: with ``model.onnx``.
        devices: where it answers, with how many threads.

    Raises:
        UserError: onnxruntime is missing.
    """

    def __init__(self, folder: Path, devices: Devices) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise UserError(f"{folder} is in ONNX: pip install 'autoadapt[onnx]'", Exit.ENVIRONMENT)
        for name in ("predict_loading", "predict_states"):
            _script(name)  # which the last one imports by these names
        self._option = _script("predict_onnx").Option(folder, threads=devices.threads)
        self.training = Training()
        self.parameters_total = 0

    def prepare(self, inputs: Sequence[str]) -> int:
        """Inputs share nothing that could be computed once."""
        return 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers a batch."""
        return [
            Answer(
                text=answer["answer"],
                tokens_in=answer["tokens_in"],
                tokens_out=0,
                confidence=answer["confidence"],
                log_probs=tuple(answer["log_probs"]),
            )
            for answer in self._option.answer(list(inputs))
        ]

    def close(self) -> None:
        """Frees the model."""
        del self._option


def _script(name: str) -> ModuleType:
    """One of the scripts that bundles hold, as a module; that of this package, not the bundle's own."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, STANDALONE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
