"""The defaults of a study: the candidates that it begins with before it searches, and the best of them."""

from autoadapt.domain.verdict import Defaults
from autoadapt.shelves import METHODS
from autoadapt.study.options import MeasuredTrials
from autoadapt.tasks.resolve import ResolvedTask


class DefaultTrials:
    """The trials of a study whose candidates are its defaults.

    Defaults are what `JointSpace.first` gives, apart from the simple methods of the floor, with which everything is
    compared anyway. Candidates of a warm start are none: they are what an earlier search has found.

    Args:
        resolved: the task.
        measured: its trials at full fidelity.
    """

    def __init__(self, resolved: ResolvedTask, measured: MeasuredTrials) -> None:
        self._resolved, self._measured = resolved, measured
        candidates = [resolved.space.candidate(params) for params in resolved.space.first()]
        self._candidates = {c.key(): c for c in candidates if not METHODS.get(c.method).floor}
        self._keys: dict[int, str] = {}
        """Of the candidates of trials that were measured in full."""
        self._of = (-1, Defaults(number=len(self._candidates), measured=[]))
        """Revision of the trials, and what they gave."""

    def found(self) -> Defaults:
        """Which of them were measured in full, and the best of these by expected quality."""
        if self._of[0] != self._measured.revision:
            self._of = (self._measured.revision, self._find())
        return self._of[1]

    def _find(self) -> Defaults:
        trials = self._measured.trials()
        for trial in set(trials) - self._keys.keys():
            self._keys[trial] = self._measured.record(trial).job.candidate.key()
        measured = [t for t in trials if self._keys[t] in self._candidates]
        left = self._candidates.keys() - {self._keys[t] for t in measured}
        return Defaults(
            number=len(self._candidates),
            measured=measured,
            refused=sum(self._resolved.obstacle(self._candidates[key]) is not None for key in left),
            best=max(self._usable(measured), key=self._rank, default=None),
        )

    def kept(self) -> set[int]:
        """The best by expected and by measured quality: their artifacts are kept until test rows are scored."""
        best, usable = self.found().best, self._usable(self.found().measured)
        return set() if best is None else {best, max(usable, key=self._measured.measured_quality)}

    def _rank(self, trial: int) -> tuple[float, bool]:
        return self._measured.expected_quality(trial), trial in self._measured.frontier()

    def _usable(self, trials: list[int]) -> list[int]:
        return [t for t in trials if t not in self._measured.gone]
