"""From an option of a finished run to what a bundle is made of: artifacts, and the answers that were measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoadapt.bundle.description import Handover, Scores
from autoadapt.domain.option import Option, RawOption, cascade_number, number_text, trial_name, trials_of
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.rows import Row
from autoadapt.errors import Exit, UserError
from autoadapt.files import read_whole
from autoadapt.runs.answers import frozen_rows, read_predictions
from autoadapt.runs.study import Study

Split = Literal["test", "validation"]


@dataclass(frozen=True)
class PartSource:
    """One trial's option: its artifact, and what it answered."""

    trial: int
    artifact: Path
    final_fit: bool
    split: Split
    predictions: list[dict[str, Any]]
    """Lines of the run's file of predictions, in the order of the split; empty: there are none."""


@dataclass(frozen=True)
class Source:
    """What a bundle is made of."""

    study: Study
    option: Option
    parts: tuple[PartSource, ...]
    cascade: Handover | None
    quality: Scores
    rows: tuple[Row, ...]
    """Rows of the split that were answered."""
    served_in_onnx: bool = False
    """Whether the run states the times of the option, or of a part of a cascade, in ONNX."""


def source_of(study: Study, number: int | None) -> Source:
    """What is exported of a study.

    Args:
        study: finished.
        number: of a trial or a cascade; None: the recommended option.

    Raises:
        UserError: there is no such option, its weights were deleted, or nothing is recommended.
    """
    if number is None:
        number = study.recommendation.trial
        if number is None:
            raise UserError(f"{study.root}: {study.recommendation.reason}; choose one by --option", Exit.NOTHING_FITS)
    raw = _raw(study, number)
    parts = tuple(_part(study, number, trial) for trial in trials_of(number))
    split: Split = "test" if all(part.split == "test" for part in parts) else "validation"
    if any(part.split != split for part in parts):
        parts = tuple(_part(study, number, trial, validation=True) for trial in trials_of(number))
    answered = {line["id"] for line in parts[0].predictions}
    if any({line["id"] for line in part.predictions} != answered for part in parts):
        raise UserError(f"{study.root}: the parts of {trial_name(number)} did not answer the same rows", Exit.DATA)
    rows = [row for row in frozen_rows(study.root, split) if row.id in answered]
    cascade = raw.cascade
    return Source(
        study=study,
        option=_option(study, number),
        parts=parts,
        cascade=Handover(temperature=cascade.temperature, threshold=cascade.threshold) if cascade else None,
        quality=_quality(study, raw),
        rows=tuple(rows),
        served_in_onnx=any(_raw(study, trial).onnx is not None for trial in trials_of(number)),
    )


def number_of(text: str) -> int:
    """The number of an option that is written as the report writes it: ``7``, or ``3 > 12`` of a cascade.

    Raises:
        UserError: it is neither.
    """
    try:
        numbers = [int(part) for part in text.split(">")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 0:
        raise UserError(f"--option {text}: give the number of a trial, such as 7, or of a cascade, such as '3 > 12'")
    return numbers[0] if len(numbers) == 1 else cascade_number(*numbers)


def _raw(study: Study, number: int) -> RawOption:
    results = study.results
    every = {raw.trial: raw for raw in [*results.measured, *results.cascades]}
    kept = [number_text(raw.trial) for raw in results.weighed]
    choices = f"These can be exported: {', '.join(kept) or 'none'}."
    if number not in every:
        raise UserError(f"{study.root}: {trial_name(number)} is no option that was measured in full. {choices}")
    if every[number].files_damaged:
        raise UserError(f"{study.root}: the files of {trial_name(number)} are damaged. {choices}", Exit.DATA)
    if not every[number].weights_kept:
        raise UserError(
            f"{study.root}: the weights of {trial_name(number)} were deleted when other options dominated it. "
            f"{choices}",
            Exit.DATA,
        )
    return every[number]


def _option(study: Study, number: int) -> Option:
    """The option under the task's own economics; one that the report does not show is priced anew."""
    option = study.option(number)
    if option is None:
        _, _, every = study.recommend()
        option = next(one for one in every if one.trial == number)
    return option


def _final_folder(study: Study, number: int, trial: int) -> Path | None:
    """Of the final fit of this option, where there is one that test rows do not show to be worse."""
    fit = study.verdict.final_fit if study.verdict is not None else None
    if fit is None or fit.worse or fit.trial != number:
        return None
    start = f"trials/{trial:04d}/"
    return next((study.root / name for name in fit.artifacts if name.startswith(start)), None)


def _part(study: Study, number: int, trial: int, validation: bool = False) -> PartSource:
    final = _final_folder(study, number, trial)
    artifact = final or study.root / "trials" / f"{trial:04d}" / "artifact"
    split: Split = "test"
    lines = [] if validation else read_predictions(artifact.parent / "predictions-test.jsonl")
    if not lines and final is None:  # it was not scored on test rows
        split, lines = "validation", read_predictions(artifact.parent / "predictions-validation.jsonl")
    stated = _confidences(artifact.parent, final is not None, split, [line["id"] for line in lines])
    lines = [{**line, "confidence": confidence} for line, confidence in zip(lines, stated, strict=True)]
    if not artifact.is_dir():
        raise UserError(f"{artifact}: the folder is missing, so that {trial_name(trial)} cannot be exported", Exit.DATA)
    if not lines:
        raise UserError(
            f"{artifact.parent}: the answers of {trial_name(trial)} are missing, so that an export cannot be checked",
            Exit.DATA,
        )
    return PartSource(trial, artifact, final is not None, split, lines)


def _confidences(state: Path, final: bool, split: Split, ids: list[int]) -> list[float | None]:
    """The stored confidence of every answer; None where none of the trial's jobs has stored it.

    Args:
        state: folder of the trial, or of its final fit.
        final: whether it is that of a final fit, which is one job.
        split: whose rows were answered.
        ids: of the rows that were answered.
    """
    pattern = "outcome.json" if final else f"{'score' if split == 'test' else 'rung'}*/outcome.json"
    for file in sorted(state.glob(pattern), reverse=True):
        outcome = read_whole(file, Outcome)
        rows = outcome.result.rows if outcome is not None and isinstance(outcome.result, Measurement) else []
        if [row.id for row in rows] == ids:
            return [row.confidence for row in rows]
    return [None] * len(ids)


def _quality(study: Study, raw: RawOption) -> Scores:
    fit = study.verdict.final_fit if study.verdict is not None else None
    if fit is not None and not fit.worse and fit.trial == raw.trial:
        return Scores(split="test", value=fit.quality, low=fit.low, high=fit.high, rows=fit.paired.rows)
    if raw.test_quality is not None and raw.test_quality_ci is not None:
        low, high = raw.test_quality_ci
        return Scores(split="test", value=raw.test_quality, low=low, high=high, rows=raw.test_rows)
    low, high = raw.quality_ci
    return Scores(split="validation", value=raw.quality, low=low, high=high, rows=raw.rows)
