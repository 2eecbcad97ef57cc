"""The answers of an option beside what was expected."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoadapt.domain.rows import Row
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError
from autoadapt.files import content_of, read_rows
from autoadapt.runs.run_folder import REBUILT

RIGHT = 0.5
"""Score of a row from which its answer counts as right, where samples are shown."""
FIELDS = {"id", "score", "answer", "expected"}
"""Of every line of a file of predictions."""


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Lines of a file of predictions; none where it is absent or damaged."""
    try:
        lines = [json.loads(line) for line in content_of(path).splitlines()]
    except (OSError, ValueError, RecursionError):
        return []
    whole = all(isinstance(line, dict) and {*line} >= FIELDS for line in lines)
    return lines if whole else []


def frozen_rows(root: Path, split: str) -> list[Row]:
    """The rows of a split as a run folder has frozen them.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = root / "data" / f"{split}.jsonl"
    try:
        return read_rows(path)
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        wrong = "missing or cannot be read" if isinstance(error, OSError) else "damaged"
        raise UserError(f"{path}: {wrong}; {REBUILT}", Exit.STORAGE) from error


class AnsweredExample(StrictModel):
    """One row and what an option answered."""

    id: int = 0
    """Of the row, the same for all options."""
    split: str
    input: str
    expected: list[str]
    answer: str
    score: float
    """From 0 to 1."""

    @property
    def right(self) -> bool:
        """Whether it counts as right, where samples are shown."""
        return self.score >= RIGHT


def answered_rows(root: Path, trial: int) -> list[AnsweredExample]:
    """Every answer: to test rows if the trial was re-scored, else to validation rows; empty: none was kept.

    Args:
        root: run folder.
        trial: its number.
    """
    for split in ("test", "validation"):
        path = root / "trials" / f"{trial:04d}" / f"predictions-{split}.jsonl"
        if not (lines := read_predictions(path)):
            continue
        inputs = {row.id: row.input for row in frozen_rows(root, split)}
        return [
            AnsweredExample(
                id=int(line["id"]),
                split=split,
                input=inputs.get(line["id"], ""),
                expected=list(line["expected"]),
                answer=str(line["answer"]),
                score=float(line["score"]),
            )
            for line in lines
        ]
    return []


def answered_examples(root: Path, trial: int, most: int) -> list[AnsweredExample]:
    """Some right and some wrong answers; arguments as of `answered_rows`.

    Args:
        root: run folder.
        trial: its number.
        most: of each kind.
    """
    examples = answered_rows(root, trial)
    return [e for e in examples if e.right][:most] + [e for e in examples if not e.right][:most]
