"""The two options whose comparison says what the labels of a teacher have bought."""

from collections.abc import Callable

from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.study.options import MeasuredTrials
from autoadapt.tasks.resolve import ResolvedTask


class TaughtPair:
    """The best option that learns from the labels, and the best of the methods that could but does not.

    Prompts are none of them: they learn from no rows, with labels or without.

    Args:
        resolved: the task.
        measured: its trials at full fidelity.
    """

    def __init__(self, resolved: ResolvedTask, measured: MeasuredTrials) -> None:
        self._resolved, self._measured = resolved, measured

    def found(self) -> tuple[int | None, int | None]:
        """Both by expected quality; None: no such option was measured in full."""
        return self._best(True, self._measured.expected_quality), self._best(False, self._measured.expected_quality)

    def shown(self) -> list[int]:
        """Both, once there is one that learns from labels."""
        taught, other = self.found()
        return [] if taught is None or other is None else [taught, other]

    def kept(self) -> set[int]:
        """Both by expected and by measured quality: their artifacts are kept until test rows are scored."""
        if self._resolved.task.data.unlabelled is None:
            return set()
        ranks = (self._measured.expected_quality, self._measured.measured_quality)
        best = (self._best(taught, rank) for taught in (True, False) for rank in ranks)
        return {trial for trial in best if trial is not None}

    def _best(self, taught: bool, rank: Callable[[int], float]) -> int | None:
        return max((t for t in self._usable() if self._is_taught(t) == taught), key=rank, default=None)

    def _usable(self) -> list[int]:
        """Options of methods that learn from rows, whose weights are there."""
        if self._resolved.task.data.unlabelled is None:
            return []
        trials = (t for t in self._measured.trials() if t not in self._measured.gone)
        return [t for t in trials if self._learns(t)]

    def _learns(self, trial: int) -> bool:
        candidate, space = self._measured.record(trial).job.candidate, self._resolved.space
        return TEACHER_ROWS in space.arms[space.arm_of(candidate.method, candidate.model)].specs

    def _is_taught(self, trial: int) -> bool:
        return self._measured.record(trial).job.candidate.teacher_rows > 0
