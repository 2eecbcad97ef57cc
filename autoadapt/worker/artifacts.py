"""Artifacts: a finished option as a self-contained folder, written by a job that fits and loaded by all that answer.

The folder is made under a temporary name and renamed, and ``option.json``, which lists every other file with size and
SHA-256, is written last; so an artifact is whole or absent, and damage done to it later is recognised.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from autoadapt.domain.artifact import DESCRIPTION_FILE, EXAMPLES_FILE, HERE, ArtifactDescription, FewShot
from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Devices, FitJob
from autoadapt.domain.method import Adapted, Decoding, SaveArtifact, Weights
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.errors import Exit, UserError
from autoadapt.files import content_of, first_difference, hash_files, read_rows, write_folder, write_json, write_rows
from autoadapt.shelves import SELECTORS
from autoadapt.worker.workshop import Workshop


def few_shot_of(candidate: Candidate, seed: int) -> FewShot | None:
    """How a candidate's examples are chosen; None: its prompt shows none.

    Args:
        candidate: its parameters `shots` and `selector` decide.
        seed: of the job.
    """
    shots = candidate.params.get("shots")
    if not isinstance(shots, int) or shots < 1:
        return None
    selector = str(candidate.params.get("selector", "balanced"))
    varies = not SELECTORS.get(selector).same_for_every_query
    return FewShot(selector=selector, shots=shots, seed=seed, all_rows=varies)


def choose_examples(few_shot: FewShot | None, rows: Sequence[Row]) -> Select | None:
    """The function from a query to its examples; None where the prompt shows none.

    Args:
        few_shot: how they are chosen.
        rows: all rows to choose from.
    """
    if few_shot is None:
        return None
    return SELECTORS.get(few_shot.selector).prepare(rows, few_shot.shots, few_shot.seed)


def save_artifact(
    job: FitJob,
    folder: Path,
    training_rows: Sequence[Row],
    decoding: Decoding,
    weights: Weights = "none",
    fill: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Writes the artifact of a job.

    Args:
        job: that has adapted the model.
        folder: of the artifact; an older one is replaced.
        training_rows: from which few-shot examples are chosen.
        decoding: how answers are read off the model.
        weights: what `fill` writes.
        fill: writes weights, tokenizer and whatever else the family needs into an empty folder.
    """
    few_shot = few_shot_of(job.candidate, job.seed)

    def fill_and_describe(target: Path) -> None:
        fill(target)
        select = choose_examples(few_shot, training_rows)
        if few_shot is not None and select is not None:
            write_rows(target / EXAMPLES_FILE, list(training_rows) if few_shot.all_rows else select(""))
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
            precision=job.training.precision,
            few_shot=few_shot,
            files=hash_files(target),
        )
        write_json(target / DESCRIPTION_FILE, description)

    folder.parent.mkdir(parents=True, exist_ok=True)
    write_folder(folder, fill_and_describe)


def saver(job: FitJob, folder: Path, training_rows: Sequence[Row]) -> SaveArtifact:
    """`save_artifact` for one job, as a method or a family calls it."""

    def save(decoding: Decoding, weights: Weights = "none", fill: Callable[[Path], None] = lambda folder: None) -> None:
        save_artifact(job, folder, training_rows, decoding, weights, fill)

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
    return workshop.family(description.model.family).load(
        folder, description, devices, tick, stored_examples(folder, description.few_shot)
    )


def stored_examples(folder: Path, few_shot: FewShot | None) -> Select | None:
    """The function from a query to its examples, from the rows in an artifact; None: its prompt shows none."""
    if few_shot is None:
        return None
    rows = read_rows(folder / EXAMPLES_FILE)
    return choose_examples(few_shot, rows) if few_shot.all_rows else lambda query: rows
