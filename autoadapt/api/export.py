"""Export: an option of a finished run as a bundle; what ``autoadapt export`` calls."""

from pathlib import Path
from typing import Literal

from autoadapt.bundle.description import BundleDescription


def export(
    run: str | Path,
    folder: str | Path,
    *,
    option: int | str | None = None,
    onnx: Literal["fp32", "int8", "as_measured"] | None = "as_measured",
) -> BundleDescription:
    """Writes an option as one folder that answers without AutoAdapt, after checking that it answers as the run did.

    Args:
        run: its run folder.
        folder: of the bundle, which must not exist.
        option: number of a trial, or of a cascade such as ``3 > 12``; None: the recommended option.
        onnx: write classifiers on a model's states in ONNX: in ``fp32``, in which they answer as in the run, or with
            weights of eight bits, ``int8``, which are scored anew. None: in PyTorch. ``as_measured``: in ONNX where the
            run has found that to be faster, so that the times that it states hold.

    Raises:
        UserError: there is no such option, its weights are gone or damaged, the folder exists, an answer differs, or
            the option cannot be converted to ONNX.
    """
    from autoadapt.bundle.making import make_bundle, refuse_existing
    from autoadapt.bundle.sources import number_of, source_of
    from autoadapt.runs.study import Study

    refuse_existing(Path(folder))
    number = number_of(option) if isinstance(option, str) else option
    source = source_of(Study.load(run), number)
    if onnx == "as_measured":
        onnx = "fp32" if source.served_in_onnx else None
    return make_bundle(source, Path(folder), onnx)


def push(folder: str | Path, repository: str) -> str:
    """Uploads a bundle to the Hugging Face hub; returns its address there.

    Args:
        folder: of the bundle.
        repository: ``owner/name``, made as a private one where there is none.

    Raises:
        UserError: huggingface_hub is absent, there is no token, or the hub cannot be reached or refuses.
    """
    from autoadapt.bundle.hub import push as push_folder

    return push_folder(Path(folder), repository)
