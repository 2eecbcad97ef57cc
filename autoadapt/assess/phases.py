"""The phases of the end of a search: which there will be, and how long each will probably take."""

from collections.abc import Callable, Sequence

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.assess.onnx_tests import OnnxTests
from autoadapt.assess.robustness import RobustnessTests
from autoadapt.assess.turns import Turns
from autoadapt.domain.events import Phase
from autoadapt.domain.jobs import Refit
from autoadapt.study.end_costs import REPORT_SECONDS
from autoadapt.study.search import Search

SCORES, PERTURBED, IN_ONNX = "scores on test rows", "perturbed prompts and rows", "options in ONNX"
FIRST_LOAD, FINAL_FIT = "load test of the recommended option", "final fit"
FURTHER_FITS, LOADS = "learning curve and further seeds", "load tests of the other options"
IN_TURN, VERDICT = "options timed in turn", "verdict"


class Phases:
    """Begins one phase after another, with the time that it and the later ones will probably take.

    Args:
        search: that has ended.
        jobs: still to be done.
        slots: jobs side by side.
        beside: load tests side by side.
        refits: further fits that are wanted.
        further: options that are timed in turn, those that are tried in ONNX, and those that are perturbed.
    """

    def __init__(
        self,
        search: Search,
        jobs: AssessmentJobs,
        slots: int,
        beside: int,
        refits: Callable[[], Sequence[Refit]],
        further: tuple[Turns, OnnxTests, RobustnessTests],
    ) -> None:
        self._search, self._jobs, self._slots, self._beside, self._refits = search, jobs, slots, beside, refits
        self._turns, self._onnx, self._robustness = further
        self._names: list[str] = []
        """Of the phases that there will be, in their order."""

    def enter(self, name: str) -> None:
        """Begins a phase; one that has nothing to do is passed over."""
        measured = bool(self._search.results.frontier())
        seconds = {n: estimate() if measured else 0.0 for n, estimate in self._estimates().items()}
        seconds[VERDICT] = REPORT_SECONDS
        if not self._names:
            self._names = [n for n, s in seconds.items() if s]
        order = list(seconds)
        if not seconds[name]:
            return
        if name not in self._names:  # another option is recommended now
            self._names = [n for n in order if n in self._names or n == name]
        later = order[order.index(name) + 1 :]
        after = sum(seconds[n] for n in later if n in self._names)
        number = self._names.index(name) + 1
        self._search.enter(Phase(name, number, len(self._names), seconds[name], after))

    def _estimates(self) -> dict[str, Callable[[], float]]:
        return {
            SCORES: self._scores,
            PERTURBED: lambda: self._robustness.wanted().seconds / self._slots,
            IN_ONNX: lambda: self._onnx.wanted().seconds,
            FIRST_LOAD: lambda: self._loads(recommended=True),
            FINAL_FIT: self._final_fit,
            FURTHER_FITS: lambda: self._fits(self._refits()),
            LOADS: lambda: self._loads(recommended=False),
            IN_TURN: lambda: self._turns.wanted().seconds,
            VERDICT: lambda: REPORT_SECONDS,
        }

    def _scores(self) -> float:
        evaluation, rows = self._search.resolved.task.evaluation, self._jobs.test_rows
        costs = [self._jobs.costs(trial) for trial in self._search.results.unscored_trials()]
        uses = [each.score(rows, each.requests(evaluation)).seconds for each in costs]
        return max([sum(uses) / self._slots, *uses])

    def _loads(self, recommended: bool) -> float:
        first, evaluation = self._jobs.recommended(), self._search.resolved.task.evaluation
        trials = [job.trial for job in self._jobs.load_tests() if (job.trial in first) == recommended]
        seconds = sum(self._jobs.costs(trial).load_test(evaluation).seconds for trial in trials)
        return seconds if recommended else seconds / self._beside

    def _final_fit(self) -> float:
        if not self._search.resolved.task.evaluation.final_fit or not self._search.folder.lasting:
            return 0.0
        return self._fits([job for job in self._jobs.final_fits() if not self._jobs.done(job)])

    def _fits(self, jobs: Sequence[Refit]) -> float:
        seconds = [self._jobs.predicted(job).seconds for job in jobs]
        return max([sum(seconds) / self._slots, *seconds])
