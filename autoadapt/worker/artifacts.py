"""Artifacts: a finished option as a self-contained folder, written by a job that fits and loaded by all that answer.

The folder is made under a temporary name and renamed, and ``option.json``, which lists every other file with size and
SHA-256, is written last; so an artifact is whole or absent, and damage done to it later is recognised.
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from autoadapt.domain.artifact import DESCRIPTION_FILE, HERE, ArtifactDescription
from autoadapt.domain.jobs import Devices, FitJob
from autoadapt.domain.method import Adapted, Decoding, SaveArtifact, Weights
from autoadapt.errors import Exit, UserError
from autoadapt.files import content_of, first_difference, hash_files, write_folder, write_json
from autoadapt.worker.examples import Examples, stored_examples, with_examples
from autoadapt.worker.workshop import Workshop


def save_artifact(
    job: FitJob,
    folder: Path,
    examples: Examples | None,
    decoding: Decoding,
    weights: Weights = "none",
    fill: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Writes the artifact of a job.

    Args:
        job: that has adapted the model.
        folder: of the artifact; an older one is replaced.
        examples: that its prompt shows, with its passages and its shortlist of labels; None: none of them.
        decoding: how answers are read off the model.
        weights: what `fill` writes.
        fill: writes weights, tokenizer and whatever else the family needs into an empty folder.
    """

    def fill_and_describe(target: Path) -> None:
        fill(target)
        if examples is not None:
            examples.write(target)
        description = ArtifactDescription(
            trial=job.trial,
            candidate=job.candidate,
            model=job.model,
            weights=weights,
            prompt=job.prompt,
            input_columns=job.input_columns,
            labels=job.labels,
            multi_label=job.multi_label,
            decoding=decoding,
            max_new_tokens=job.max_new_tokens,
            answer_schema=job.answer_schema,
            precision=job.training.precision,
            few_shot=None if examples is None else examples.few_shot,
            retrieval=None if examples is None or examples.search is None else examples.search.retrieval,
            shortlist=0 if examples is None or examples.shortlist is None else examples.shortlist.count,
            files=hash_files(target),
        )
        write_json(target / DESCRIPTION_FILE, description)

    folder.parent.mkdir(parents=True, exist_ok=True)
    write_folder(folder, fill_and_describe)


def saver(job: FitJob, folder: Path, examples: Examples | None) -> SaveArtifact:
    """`save_artifact` for one job, as a method or a family calls it."""

    def save(decoding: Decoding, weights: Weights = "none", fill: Callable[[Path], None] = lambda folder: None) -> None:
        save_artifact(job, folder, examples, decoding, weights, fill)

    return save


def read_description(folder: Path) -> ArtifactDescription:
    """Verifies an artifact and returns its ``option.json``.

    Raises:
        UserError: the artifact is missing or damaged.
    """
    file = folder / DESCRIPTION_FILE
    try:
        description = ArtifactDescription.model_validate_json(content_of(file))
    except OSError as error:
        raise UserError(f"artifact {folder}: {DESCRIPTION_FILE} is missing or cannot be read", Exit.DATA) from error
    except ValidationError as error:
        raise UserError(f"artifact {folder}: {DESCRIPTION_FILE} is damaged", Exit.DATA) from error
    difference = _first_stranger(folder, description) or first_difference(folder, description.files)
    if difference is not None:
        raise UserError(f"artifact {folder} is damaged and is not loaded: {difference}", Exit.DATA)
    return description


def _first_stranger(folder: Path, description: ArtifactDescription) -> str | None:
    """The first file that is not of the artifact, and why; None: there is none.

    A library that loads a folder reads every file whose name it knows, such as a chat template, listed or not.
    """
    for name in description.files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return f"{name} lies outside of it"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            return f"{name} is a link"
        hidden = any(part.startswith(".") for part in Path(name).parts)  # of a file manager, for example
        if path.is_file() and name not in description.files and name != DESCRIPTION_FILE and not hidden:
            return f"{name} is not listed in {DESCRIPTION_FILE}"
    return None


def placed(folder: Path, description: ArtifactDescription) -> ArtifactDescription:
    """The description of an artifact whose base model may lie in its own folder, with that folder's present place."""
    if description.model.location != HERE:
        return description
    model = description.model.model_copy(update={"location": str(folder.resolve())})
    return description.model_copy(update={"model": model})


def load_artifact(folder: Path, workshop: Workshop, devices: Devices, tick: Callable[[], None]) -> Adapted:
    """Loads a finished option; whatever answers with one calls this function.

    Args:
        folder: of the artifact, wherever it lies.
        workshop: holds the families of this process.
        devices: where it shall answer.
        tick: called while progress is made.

    Raises:
        UserError: the artifact is missing or damaged, or its base model cannot be loaded.
    """
    description = placed(folder, read_description(folder))
    family, examples = workshop.family(description.model.family), stored_examples(folder, description)
    adapted = family.load(folder, description, devices, tick, examples)
    adapted.training = with_examples(adapted.training, 0.0, folder)
    return adapted
