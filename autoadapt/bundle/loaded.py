"""Bundle: an exported option, loaded by the function that the search itself loads artifacts by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from autoadapt.bundle.description import BUNDLE_FILE, MODEL_FOLDER, BundleDescription
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Answer
from autoadapt.domain.rows import joined_input
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.files import content_of, first_difference, home_path
from autoadapt.tasks.tables import cell_text
from autoadapt.verdict.calibration import SureRows, calibrated
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.onnx_part import OnnxPart
from autoadapt.worker.workshop import Workshop

Input = str | Mapping[str, Any]
"""A text, or a mapping with the columns from which the option's inputs are made."""


ENOUGH_TEXTS = 16
"""Different texts from which what their prompts share is not looked for again."""


@dataclass(frozen=True)
class Prediction:
    """One answer."""

    answer: str
    confidence: float | None
    """How sure the model is, from 0 to 1 and not calibrated; None: it does not say."""
    part: int = 1
    """Of a cascade: which part has given it."""
    tokens_in: int = 0
    """Read for it, by both parts of a cascade where both were asked."""
    tokens_out: int = 0


class Bundle:
    """An exported option that answers; `Bundle.load(folder)` makes one, and ``with`` closes it at the end.

    Args:
        folder: of the bundle.
        description: its ``option.json``.
        parts: what answers; of a cascade two.
        workshops: that hold their models.
    """

    def __init__(
        self,
        folder: Path,
        description: BundleDescription,
        parts: Sequence[Adapted],
        workshops: Sequence[Workshop],
    ) -> None:
        self.folder, self.description = folder, description
        self.parts, self._workshops = list(parts), list(workshops)
        self._prepared: dict[int, int] = {}

    @classmethod
    def load(cls, folder: str | Path, devices: Devices | None = None, tick: Callable[[], None] = lambda: None) -> Self:
        """Loads a bundle wherever it lies.

        Args:
            folder: of the bundle.
            devices: where it answers; None: a GPU where there is one, else all cores.
            tick: called while answers are computed.

        Raises:
            UserError: it is no bundle, or it is damaged.
        """
        folder = home_path(folder)
        description = read_bundle(folder)
        own = devices or own_devices()
        # a workshop for each part: a family keeps one model at a time, and a cascade asks both
        workshops = [Workshop() for _ in description.parts]
        parts: list[Adapted] = []
        for part, workshop in zip(description.parts, workshops, strict=True):
            place = folder / part.folder / MODEL_FOLDER
            in_onnx = part.kind == "onnx"
            parts.append(OnnxPart(place, own) if in_onnx else load_artifact(place, workshop, own, tick))
        return cls(folder, description, parts, workshops)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def predict(self, inputs: Sequence[Input]) -> list[Prediction]:
        """Answers inputs, in their order.

        Args:
            inputs: texts, or mappings with the option's input columns.

        Raises:
            UserError: a column is missing.
        """
        texts = [self.text_of(one, f"input {i}") for i, one in enumerate(inputs)]
        if not texts:
            return []
        first = self._answers(0, texts)
        predictions = [_prediction(answer) for answer in first]
        if self.description.cascade is None:
            return predictions
        passed_on = [i for i, sure in enumerate(self._sure(first)) if sure < self.description.cascade.threshold]
        second = self._answers(1, [texts[i] for i in passed_on]) if passed_on else []
        for i, answer in zip(passed_on, second, strict=True):
            predictions[i] = _prediction(answer, before=predictions[i])
        return predictions

    def text_of(self, one: Input, where: str) -> str:
        """The text that the model is asked about.

        Args:
            one: a text, or a mapping with the option's input columns.
            where: it stands, for a message.

        Raises:
            UserError: a column is missing, or holds no text.
        """
        if isinstance(one, str):
            return cell_text(one, where, "input")
        columns = self.description.columns.input
        for column in columns:
            if column not in one:
                raise UserError(f"{where}: no column '{column}': {did_you_mean(column, one)}", Exit.DATA)
        texts = [cell_text(one[column], where, column) for column in columns]
        return texts[0] if len(columns) == 1 else joined_input(columns, texts)

    def close(self) -> None:
        """Forgets the models, and closes connections to servers; it cannot answer afterwards."""
        for part in self.parts:
            part.close()
        for workshop in self._workshops:
            workshop.drop()
        self.parts, self._workshops = [], []

    def _answers(self, part: int, texts: list[str]) -> list[Answer]:
        # what all prompts share is computed once and kept; more different texts say better than fewer what that is
        different, before = list(dict.fromkeys(texts)), self._prepared.get(part, 0)
        if len(different) > before and before < ENOUGH_TEXTS:
            self.parts[part].prepare(different)
            self._prepared[part] = len(different)
        return self.parts[part].answer(texts)

    def _sure(self, answers: Sequence[Answer]) -> list[float]:
        """Calibrated confidences, of numbers rounded as they were when the threshold was chosen."""
        assert self.description.cascade is not None
        labels = {label: i for i, label in enumerate(self.description.labels or [])}
        confidence = np.array([round(answer.confidence or 0.0, 6) for answer in answers])
        rows = SureRows(confidence, np.zeros(len(answers)))
        if labels and all(len(answer.log_probs) == len(labels) for answer in answers):
            log_probs = np.array([[round(p, 4) for p in answer.log_probs] for answer in answers])
            chosen = np.array([labels[answer.text] for answer in answers])
            rows = SureRows(confidence, rows.score, log_probs, answer=chosen)
        return [float(sure) for sure in calibrated(rows, self.description.cascade.temperature)]


def _prediction(answer: Answer, before: Prediction | None = None) -> Prediction:
    """What an answer says; `before` is that of a cascade's first part, which was not sure enough."""
    read, written = answer.tokens_in, answer.tokens_out
    if before is None:
        return Prediction(answer.text, answer.confidence, 1, read, written)
    return Prediction(answer.text, answer.confidence, 2, before.tokens_in + read, before.tokens_out + written)


def read_bundle(folder: Path) -> BundleDescription:
    """Verifies a bundle and returns its ``option.json``.

    Raises:
        UserError: there is none, it is of another version, or a file is missing, changed or not listed.
    """
    description = read_bundle_file(folder)
    places = [*description.files, *(part.folder for part in description.parts)]
    outside = [name for name in places if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise UserError(f"{folder}: {outside[0]} lies outside of the bundle, which is not loaded", Exit.DATA)
    links = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink()]
    difference = f"{links[0]} is a link" if links else first_difference(folder, description.files)
    if difference is not None:
        raise UserError(f"{folder} is damaged and is not loaded: {difference}", Exit.DATA)
    return description


def read_bundle_file(folder: Path) -> BundleDescription:
    """The ``option.json`` of a bundle, whose other files are not looked at.

    Raises:
        UserError: there is none, or it is of another version.
    """
    file = folder / BUNDLE_FILE
    try:
        return BundleDescription.model_validate_json(content_of(file))
    except OSError as error:
        raise UserError(
            f"{folder}: there is no bundle ({BUNDLE_FILE} is missing or cannot be read)", Exit.DATA
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{file}: it does not describe a bundle, is damaged, or was written by another version of AutoAdapt",
            Exit.DATA,
        ) from error
