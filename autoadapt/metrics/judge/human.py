"""Answers that people have graded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError
from autoadapt.json_answers import NotJsonError, read_json

FEWEST_ROWS = 50
KNOWN = ("input", "answer", "score", "reference")


class HumanRow(StrictModel):
    """One answer with the score that people gave it."""

    input: str
    reference: str
    answer: str
    score: float
    """From 0 to 1."""

    @property
    def data(self) -> tuple[str, str, str]:
        """Input, reference and answer, as a judge is shown them."""
        return self.input, self.reference, self.answer


def read_human_rows(path: Path, scale: int, references: Mapping[str, str]) -> list[HumanRow]:
    """The graded answers of a file.

    Args:
        path: JSONL.
        scale: greatest number of points.
        references: good answers by input, for rows that state none.

    Raises:
        UserError: exit code 3, with file and line; or there are fewer than 50, or all have the same score.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{path}: {reason}; name a JSONL file of graded answers", Exit.DATA) from error
    rows = [
        _row(f"{path}, line {number}", line, scale, references) for number, line in enumerate(lines, 1) if line.strip()
    ]
    if len(rows) < FEWEST_ROWS:
        raise UserError(
            f"{path}: {len(rows)} graded answers; at least {FEWEST_ROWS} are needed to tell whether a judge agrees "
            "with people",
            Exit.DATA,
        )
    if len({row.score for row in rows}) == 1:
        raise UserError(
            f"{path}: all answers have the same score, so that agreement cannot be measured; grade good and bad ones",
            Exit.DATA,
        )
    return rows


def _row(where: str, line: str, scale: int, references: Mapping[str, str]) -> HumanRow:
    try:
        record = read_json(line)
    except NotJsonError as error:
        raise UserError(f"{where}: not valid JSON ({error})", Exit.DATA) from error
    if not isinstance(record, dict) or not {"input", "answer", "score"} <= {*record} <= {*KNOWN}:
        raise UserError(f"{where}: should be an object with input, answer, score and perhaps reference", Exit.DATA)
    reference = record.get("reference", references.get(str(record["input"])))
    if reference is None:
        raise UserError(f"{where}: the input is none of the task's, so the row needs a reference", Exit.DATA)
    for name, value in (("input", record["input"]), ("answer", record["answer"]), ("reference", reference)):
        if not isinstance(value, str):
            raise UserError(f"{where}: {name} should be a text", Exit.DATA)
    return HumanRow(
        input=record["input"], reference=reference, answer=record["answer"], score=_share(record["score"], scale, where)
    )


def _share(score: Any, scale: int, where: str) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= scale:
        raise UserError(f"{where}: score should be a number from 0 to {scale} (metric.judge.scale)", Exit.DATA)
    return score / scale
