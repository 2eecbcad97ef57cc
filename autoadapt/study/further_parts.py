"""Trials near the frontier that are not shown, but may be useful parts of cascades.

An option that another one dominates within measurement error may still be the better part: its confidences may say
more, or it may be right where its partner is not. Whether it is costs no device time to find out, for validation rows
were answered by both. At most `MOST_SCORED` such trials are scored on test rows at the end of a search.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.row_statistics import stats_array
from autoadapt.study.cascading import Cascades
from autoadapt.study.options import MeasuredTrials
from autoadapt.verdict.comparisons import LEVEL, dominated_within_error, p_value

MOST_SCORED = 2
MOST_KEPT, SMALL_BYTES = 4, 100_000_000
"""Artifacts that are kept until the search ends, because options to come may make them useful, and their greatest size;
of those that are useful already the size does not count."""
MOST_WEIGHED = 8
"""Trials with which cascades are tried, the nearest to the frontier first: with metrics that are no means of the rows'
scores each pair may take the driver half a second."""


class FurtherParts:
    """Finds them.

    Args:
        measured: the trials at full fidelity.
        cascades: of the study.
        metric: of the task.
        seed: of random swaps.
        option: a trial under the task's economics.
    """

    def __init__(
        self,
        measured: MeasuredTrials,
        cascades: Cascades,
        metric: Metric,
        seed: int,
        option: Callable[[int], Option],
    ) -> None:
        self._measured, self._cascades, self._option = measured, cascades, option
        self._metric, self._seed = metric, seed
        self._p_values: dict[tuple[Path, Path], float] = {}
        """By the jobs that answered the validation rows."""

    def of(self, shown: Sequence[Option], among: Collection[int]) -> list[int]:
        """Those that are worth being scored on test rows, at most `MOST_SCORED`, the most useful first.

        Options whose answers or grades a provider bills are left out: it is not known beforehand what scoring costs.

        Args:
            shown: the trials that are scored in any case.
            among: the trials that may be chosen.
        """
        known = {option.trial for option in shown} | self._measured.gone
        near = {t: self._measured.measurement(t) for t in self.near_frontier({*among} - known)}
        others = [t for t, measured in near.items() if not measured.answering.usd and not measured.judging.usd]
        if not others:
            return []
        useful = self._cascades.worth_scoring(shown, [self._option(t) for t in others[:MOST_WEIGHED]])
        return useful[:MOST_SCORED]

    def kept(self, shown: Sequence[Option], dominated: Collection[int]) -> list[int]:
        """Dominated trials whose artifacts are kept: the useful ones, and the nearest to the frontier of small ones.

        Args:
            shown: as of `of`.
            dominated: trained trials whose artifacts would be deleted.
        """
        small = [t for t in dominated if self._measured.measurement(t).artifact_bytes <= SMALL_BYTES]
        return list(dict.fromkeys([*self.of(shown, dominated), *self.near_frontier(small)]))[:MOST_KEPT]

    def near_frontier(self, among: Collection[int]) -> list[int]:
        """Trials that are dominated within measurement error, or on the frontier as measured but not as expected.

        Those whose expected quality is nearest to that of an option of the frontier come first.

        Args:
            among: trials that are not on the frontier.
        """
        measured, frontier = self._measured, self._measured.frontier()
        values = measured.values()
        comparable = [t for t in among if self._rows(t) == max(map(self._rows, frontier), default=0)]
        if not comparable:
            return []
        fronts = [t for t in frontier if self._rows(t) == self._rows(comparable[0])]
        within = dominated_within_error(
            {t: values[t] for t in [*comparable, *fronts]}, fronts, self.clearly_worse, measured.goals
        )
        lucky = {*measured.frontier_as_measured()} & {*comparable}
        return sorted({*within, *lucky}, key=lambda t: (min(self._distance(t, other) for other in fronts), t))

    def _rows(self, trial: int) -> int:
        return len(self._measured.measurement(trial).rows)

    def _distance(self, trial: int, other: int) -> float:
        return abs(self._measured.expected_quality(other) - self._measured.expected_quality(trial))

    def clearly_worse(self, trial: int, other: int) -> bool:
        """Whether the first trial's quality is significantly below the second's on the same validation rows."""
        key = (self._measured.record(trial).folder, self._measured.record(other).folder)
        if key not in self._p_values:
            first, second = (stats_array(self._measured.measurement(t)) for t in (trial, other))
            self._p_values[key] = p_value(self._metric, first, second, self._seed)
        return self._p_values[key] < LEVEL
