"""What a search has found so far: options under the task's economics, pairs on test rows, advice, and their file."""

from collections.abc import Callable, Iterable
from typing import Any

from autoadapt.domain.events import Status
from autoadapt.domain.jobs import Devices
from autoadapt.domain.objective import COST, LATENCY
from autoadapt.domain.option import CASCADE_NUMBERS, Calibration, Option, RawOption, Recommendation, Role
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.plan import Plan
from autoadapt.domain.verdict import Defaults, Importance, Paired, Verdict
from autoadapt.economics.pricer import Pricer
from autoadapt.errors import UserError
from autoadapt.row_statistics import stats_array
from autoadapt.runs.results import MethodUse, Results, read_results, write_results
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.cascading import Built, Cascades
from autoadapt.study.confidences import Confidences
from autoadapt.study.defaults import DefaultTrials
from autoadapt.study.further_parts import FurtherParts
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.raw_options import RawOptions
from autoadapt.study.repeated_failures import RepeatedFailures
from autoadapt.study.taught_pair import TaughtPair
from autoadapt.tasks.prices import task_terms
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.comparisons import all_pairs
from autoadapt.verdict.option_values import latency_ms
from autoadapt.verdict.recommendation import Trade, recommend

FIELDS = {*RawOption.model_fields}


class StudyResults:
    """Options and advice of one study.

    Args:
        resolved: the task.
        folder: the records of its jobs.
        devices: on which trials run.
        discarded: trained trials whose artifacts an earlier run has deleted.
        plan: gives the plan that was made for this task, if any; asked when results are first written.
    """

    def __init__(
        self,
        resolved: ResolvedTask,
        folder: RunFolder,
        devices: Devices,
        discarded: Iterable[int] = (),
        plan: Callable[[], Plan | None] = lambda: None,
    ) -> None:
        self.resolved, self.folder, self._plan = resolved, folder, plan
        task = resolved.task
        self.trials = MeasuredTrials(
            resolved.goals, resolved.metric, task.economics, devices.kind, discarded, task.constraints
        )
        self._raw = RawOptions(resolved, folder, self.trials, _earlier(folder))
        self._terms = task_terms(resolved.task)
        self._confidences = Confidences(folder, self.trials)
        self._cascading = Cascades(resolved, self._raw, self._confidences, self._terms)
        self._defaults = DefaultTrials(resolved, self.trials)
        self.taught_pair = TaughtPair(resolved, self.trials)
        """What is compared for the labels of a teacher."""
        self._further = FurtherParts(self.trials, self._cascading, resolved.metric, task.seed, self.option)
        self._cascades: list[Built] = []
        self._cascades_of = (-1, -1)
        """Revision of the trials, and number of records, that `_cascades` belong to."""
        self._pairs: dict[tuple[int, int], Paired] = {}
        self.failing = RepeatedFailures(folder)
        """Methods and models whose first trials have failed alike."""
        self._raws: dict[int, tuple[Any, RawOption]] = {}
        """Raw options with what they were computed from."""
        self._options: dict[int, tuple[RawOption, Option]] = {}
        """Options with what they were priced from."""
        self.verdict: Verdict | None = None
        self.importances: list[Importance] | None = None

    def raw(self, trial: int) -> RawOption:
        """Everything measured of one trial; computed once, for results are written whenever a trial ends."""
        state = self._state(trial)
        if trial not in self._raws or self._raws[trial][0] != state:
            raw = self._raw.option(trial)
            # the names of its fifty fields would be kept for every trial
            object.__setattr__(raw, "__pydantic_fields_set__", FIELDS)
            self._raws[trial] = state, raw
        return self._raws[trial][1]

    def option(self, trial: int) -> Option:
        """One trial under the task's economics; computed once, for options are shown twice a second."""
        raw = self.raw(trial)
        if trial not in self._options or self._options[trial][0] is not raw:
            self._options[trial] = raw, Pricer(raw, self._terms).as_option(self._terms.cell())
        return self._options[trial][1]

    def _state(self, trial: int) -> Any:
        """What the figures of a trial are computed from."""
        trials, folder = self.trials, self.folder
        return (
            id(trials.record(trial)),
            trials.serving.revision(trial),
            trials.expected_quality(trial),
            tuple(trials.values_of(trial).values()),
            trial in trials.frontier(),
            trial in trials.gone,
            id(folder.last_done(trial, "score")),
            id(folder.last_done(trial, "robustness")),
            folder.number_of("load_test") + folder.number_of("onnx"),
        )

    def loaded(self, trial: int) -> bool:
        """Whether a trial was itself measured under load, as it is served."""
        return self._raw.loaded(trial)

    def settle(self) -> None:
        """Models every serving class with all trials of the search, and with what was timed in turn.

        Scores and load tests add no trials, so that this is done when the search has ended, after timing in turn and
        after options were tried in ONNX.
        """
        self.trials.settle(self.folder.times_in_turn(), self.folder.in_onnx())

    def compare_as_served(self) -> None:
        """Compares trials by the cost and the latency that they will have when they are served.

        That is the latency under load at the task's rate, where any trial was measured under load (the others' follows
        from their serving class, or from their own single requests and batches), and the cost as the task hosts them.
        """
        trials, hosting = self.trials.trials(), self.resolved.task.economics.hosting
        loaded = any(self.loaded(trial) for trial in trials)
        if not loaded and hosting == "per_use":
            return
        names = [goal.name for goal in self.resolved.goals if goal.name in (COST, LATENCY)]
        options = [Pricer(self.raw(trial), self._terms).as_option(self._terms.cell()) for trial in trials]
        served = {o.trial: {COST: o.cost_usd_per_1k, LATENCY: latency_ms(o)} for o in options}
        self.trials.show({trial: {name: values[name] for name in names} for trial, values in served.items()})

    def frontier(self) -> list[Option]:
        """The frontier's options, the best first."""
        return [self.option(trial) for trial in self.trials.frontier()]

    def shown_trials(self) -> list[int]:
        """The frontier, and baseline, floor, best default and what is compared for labels even where dominated."""
        return list(dict.fromkeys([*self.trials.frontier(), *self._roles()]))

    def _roles(self) -> dict[int, Role]:
        """Trials that are shown even where they are dominated, and why."""
        known: tuple[tuple[Role, int | None], ...] = (
            ("baseline", self.trials.baseline()),
            ("floor", self.trials.floor()),
            ("default", self.defaults().best),
            *(("taught", trial) for trial in self.taught_pair.shown()),
        )
        roles: dict[int, Role] = {}
        for role, trial in known:
            if trial is not None:
                roles.setdefault(trial, role)
        return roles

    def defaults(self) -> Defaults:
        """The candidates that the study began with before it searched."""
        return self._defaults.found()

    def options(self) -> list[Option]:
        """The shown trials as options, the cascades that are shown, and parts of these that are shown for no other
        reason."""
        cascades = [built.option for built in self.cascades()]
        return [*self._trial_options(), *(self._dominated(t, "part") for t in self.part_trials()), *cascades]

    def _trial_options(self) -> list[Option]:
        frontier, roles = set(self.trials.frontier()), self._roles()
        return [self.option(t) if t in frontier else self._dominated(t, roles[t]) for t in self.shown_trials()]

    def _dominated(self, trial: int, role: Role) -> Option:
        return self.option(trial).model_copy(update={"on_frontier": False, "shown_as": role})

    def option_trials(self) -> list[int]:
        """The trials that are options: those shown, and parts of the cascades shown."""
        return [*self.shown_trials(), *self.part_trials()]

    def part_trials(self) -> list[int]:
        """Parts of the cascades shown that are shown for no other reason."""
        shown = {*self.shown_trials()}
        parts = [t for built in self.cascades() for t in (built.scored.to_first.other, built.scored.to_second.other)]
        return list(dict.fromkeys(t for t in parts if t not in shown))

    def further_trials(self) -> list[int]:
        """Trials that are worth being scored on test rows although they are not shown: possible parts of cascades."""
        return self._further.of(self._trial_options(), self.trials.trials()) if self.folder.lasting else []

    def scored_parts(self) -> list[int]:
        """Of such trials, those that were scored."""
        shown = {*self.shown_trials()}
        scored = [t for t in self.trials.trials() if t not in shown and self.folder.last_done(t, "score") is not None]
        return self._further.of(self._trial_options(), scored) if scored else []

    def clearly_worse(self, trial: int, other: int) -> bool:
        """Whether the first trial's quality is significantly below the second's on the same validation rows."""
        return self._further.clearly_worse(trial, other)

    def discard_dominated(self) -> set[int]:
        """Gives up dominated trials, but not the best default, parts of cascades, and what labels are judged by.

        Returns:
            All trials that were given up, also before.
        """
        kept = self._defaults.kept() | self.taught_pair.kept()
        dominated = self.trials.dominated() - kept
        if dominated and self.folder.lasting:
            kept |= {*self._further.kept(self._trial_options(), dominated)}
        return self.trials.discard_dominated(kept)

    def cascades(self) -> list[Built]:
        """The cascades that are shown; none before their parts were scored on test rows."""
        now = (self.trials.revision, len(self.folder.records))
        if now != self._cascades_of:
            options = [*self._trial_options(), *map(self.option, self.scored_parts())]
            self._cascades, self._cascades_of = self._cascading.shown(options), now
            # the same two parts may have another threshold after an option was fitted again
            self._pairs = {pair: p for pair, p in self._pairs.items() if max(pair) < CASCADE_NUMBERS}
        return self._cascades

    def calibrations(self) -> list[Calibration]:
        """Of the options that state confidences and were scored on test rows, cascades apart."""
        return [c for trial in self.option_trials() if (c := self._confidences.calibration(trial)) is not None]

    def recommendation(self) -> Recommendation:
        """The advice under the task's constraints."""
        constraints, trade = self.resolved.task.constraints, Trade.of(self._terms)
        return recommend(self.options(), constraints, self.trials.baseline(), self.pairs(), trade)

    def pairs(self) -> list[Paired]:
        """The shown options compared on test rows, as far as they were re-scored."""
        stats = {t: s for t in self.option_trials() if (s := self.test_stats(t)) is not None}
        stats |= {built.raw.trial: built.scored.test_stats for built in self.cascades()}
        return all_pairs(self.resolved.metric, stats, self.resolved.task.seed, self._pairs)

    def waited_share(self) -> float:
        """Share of the time of answering in which measurements waited for a core."""
        measured = [self.trials.measurement(trial) for trial in self.trials.trials()]
        worked = sum(m.inference_seconds for m in measured)
        waited = sum(m.inference_seconds * m.waited_share / (1 - m.waited_share) for m in measured)
        return waited / (worked + waited) if worked else 0.0

    def validation_stats(self, trial: int) -> Any:
        """The metric's statistics on validation rows, shape (rows, statistics)."""
        return stats_array(self.trials.measurement(trial))

    def test_stats(self, trial: int) -> Any:
        """The same on test rows; None: not re-scored."""
        record = self.folder.last_done(trial, "score")
        measurement: Measurement | None = record.measurement if record is not None else None
        return None if measurement is None else stats_array(measurement)

    def unscored_trials(self) -> list[int]:
        """Shown options whose test score is missing."""
        return [trial for trial in self.shown_trials() if self.folder.last_done(trial, "score") is None]

    def write(self, status: Status) -> None:
        """Writes results.json and its parts; a simulation writes nothing."""
        if not self.folder.lasting:
            return
        results = Results(
            options=self.options(),
            measured=[self.raw(trial) for trial in self.trials.trials()],
            cascades=[built.raw for built in self.cascades()],
            calibration=self.calibrations(),
            recommendation=self.recommendation(),
            verdict=self.verdict,
            importances=self.importances,
            plan=self._plan(),
            spent=status.spent,
            complete=status.complete,
            stopped_early=status.stopped_early,
            failed=status.failed,
            cached=status.cached,
            methods=self.per_method(),
            labels=self.resolved.taught.labels,
            slots=[filled for _, filled in sorted(self.resolved.slots.filled.items())],
            given_up=list(self.failing.found().values()),
        )
        write_results(self.folder.root, results)

    def per_method(self) -> dict[str, MethodUse]:
        """Trials, jobs and device-seconds of every method."""
        trials: dict[str, set[int]] = {}
        jobs: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for record in self.folder.records:
            method = record.job.candidate.method
            trials.setdefault(method, set()).add(record.job.trial)
            jobs[method] = jobs.get(method, 0) + 1
            held = record.outcome.usage.total_device_seconds if record.outcome is not None else 0.0
            seconds[method] = seconds.get(method, 0.0) + held
        return {m: MethodUse(trials=len(trials[m]), jobs=jobs[m], device_seconds=seconds[m]) for m in trials}


def _earlier(folder: RunFolder) -> list[RawOption]:
    """Options as an earlier run of the study has written them."""
    if not folder.lasting:
        return []
    try:
        return read_results(folder.root).measured
    except UserError:
        return []
