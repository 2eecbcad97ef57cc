"""The labels of a teacher as candidates see them: none may be drawn that is not given yet."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.space import Branch, Choices
from autoadapt.domain.teacher import TeacherLabels
from autoadapt.domain.usage import Usage


@dataclass
class Taught:
    """What the teacher of one study has labelled. Labels come once, while the search runs, and never change."""

    labels: TeacherLabels | None = None
    """None: nothing yet."""
    _arms: tuple[int, Mapping[str, Branch], Mapping[str, Branch]] | None = None
    """Labelled rows, arms, and what these are with them."""

    @property
    def rows(self) -> int:
        """Rows that were labelled."""
        return 0 if self.labels is None else self.labels.kept

    def obstacle(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot be tried yet; None: nothing speaks against it."""
        wanted = candidate.teacher_rows
        return f"{wanted:,} rows of a teacher, but {self.rows:,} are labelled" if wanted > self.rows else None

    def usage(self, candidate: Candidate) -> Usage:
        """What labelling the rows has used from which a candidate learns."""
        return Usage() if self.labels is None else self.labels.usage_of(candidate.teacher_rows)

    def open_arms(self, arms: Mapping[str, Branch]) -> Mapping[str, Branch]:
        """Arms in which no more rows may be drawn than are labelled; the same object for the same arms and rows.

        Args:
            arms: of the search space.
        """
        if self._arms is None or self._arms[0] != self.rows or self._arms[1] is not arms:
            self._arms = self.rows, arms, {name: self._opened(arm) for name, arm in arms.items()}
        return self._arms[2]

    def _opened(self, arm: Branch) -> Branch:
        spec = arm.specs.get(TEACHER_ROWS)
        if not isinstance(spec, Choices):
            return arm
        choices = [choice for choice in spec.choices if isinstance(choice, int) and choice <= self.rows]
        return dataclasses.replace(arm, specs={**arm.specs, TEACHER_ROWS: spec.model_copy(update={"choices": choices})})
