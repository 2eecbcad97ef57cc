"""Rows that the best prompt of a search labels, from which options may learn beside the labelled rows of the task."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.strict import PathText, StrictModel
from autoadapt.domain.usage import Usage

UNLABELLED = "unlabelled"
"""The split of rows without an answer."""
KEPT_ROWS = "labels.jsonl"
"""In the folder of a job: the rows that it has labelled."""
LABELS_FILE = "teacher/labels.jsonl"
"""Run-relative: the rows that the teacher has labelled."""
TEACHER = "teacher"
"""The split of rows that the teacher has labelled, in the order in which they are used."""


class TeacherSettings(StrictModel):
    """How rows of `data.unlabelled` are labelled during the search; without that file nothing is."""

    least_confidence: float = Field(default=0.8, gt=0, le=1)
    """Answers of at least this confidence become labels, as the model states it; an answer without one is not used."""
    rows: list[Annotated[int, Field(ge=0)]] = Field(default=[0, 500, 2000], min_length=2)
    """Values of the parameter `teacher_rows`, 0 among them; those that are more than the file has are left out."""
    model: PathText | None = None
    """The model whose best prompt labels, one of `models`; by default the best prompt of the hosted ones."""
    budget_share: float = Field(default=0.1, gt=0, le=0.5)
    """Greatest share of the budget's hours, device-hours and dollars for labelling."""

    @field_validator("rows")
    @classmethod
    def _none_first(cls, value: list[int]) -> list[int]:
        if 0 not in value or len(set(value)) < len(value):
            raise ValueError("must be different numbers, 0 among them: options without a teacher are tried too")
        return sorted(value)


class Labelling(StrictModel):
    """What a teacher has labelled in one job; the rows stand in a file of the job's trial."""

    kind: Literal["labelling"] = "labelling"
    answered: int = Field(ge=0)
    """Unlabelled rows that the teacher has answered."""
    answered_before: list[int]
    """For every row that is kept, in order, how many rows had been answered when it was found, itself included."""
    unsure: int = Field(default=0, ge=0)
    """Rows whose answer was not sure enough."""
    without_confidence: int = Field(default=0, ge=0)
    """Rows whose answer came without a confidence."""
    unusable: int = Field(default=0, ge=0)
    """Rows without a usable answer: the request failed, or what came is none of the labels."""
    usage: Usage = Usage()
    """Tokens, and what providers billed."""


class TeacherLabels(StrictModel):
    """Labels that a teacher has given in a study. They never change."""

    version: Literal[1] = 1
    trial: int
    """Whose prompt has labelled."""
    candidate: Candidate
    """Of this trial."""
    least_confidence: float
    labelling: Labelling
    sha256: str = ""
    """Of ``labels.jsonl``."""
    usage: Usage
    """What labelling has used in all, failed attempts included."""
    first: list[Candidate] = Field(default=[])
    """Candidates that are tried first with the labels: the best of each method so far, with them."""
    validation_rows: int = Field(default=0, ge=0)
    """That the teacher has answered in its trial."""
    sure_rows: int = Field(default=0, ge=0)
    """Validation rows of which the teacher is sure enough."""
    sure_right: float | None = None
    """Mean score of its answers to these; None: there are none."""

    @property
    def kept(self) -> int:
        """Rows that were labelled."""
        return len(self.labelling.answered_before)

    @property
    def share_kept(self) -> float:
        """Share of the rows answered of which the teacher was sure enough, rows behind the last label included."""
        done = self.labelling
        lacking = done.unsure + done.without_confidence + done.unusable
        return 1 - lacking / done.answered if done.answered else 0.0

    def usage_of(self, rows: int) -> Usage:
        """What an option that learns from the first of the labelled rows bears.

        It is the part of all that labelling took that finding these rows took; those behind them were found for others.

        Args:
            rows: how many it learns from.
        """
        if not 0 < rows <= self.kept:
            return Usage()
        return self.usage.times(self.labelling.answered_before[rows - 1] / self.labelling.answered)
