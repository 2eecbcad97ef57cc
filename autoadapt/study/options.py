"""The trials of a study that were measured in full: which are on the frontier, and which artifacts may be deleted."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import Goal, goal_limits
from autoadapt.domain.outcome import Measurement, OnnxTimes
from autoadapt.domain.task import Constraints, Economics
from autoadapt.economics import costs
from autoadapt.pareto.ties import Standing, on_frontier, standing
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import Record
from autoadapt.runs.values import QUALITY, ReadingError, Values, no_worse, read_values, uncertain_goal
from autoadapt.shelves import METHODS, OBJECTIVES
from autoadapt.study.served_trials import ServedTrials

NO_CONSTRAINTS = Constraints()


class MeasuredTrials:
    """Trials at full fidelity on one kind of hardware.

    Args:
        goals: what is optimised.
        metric: of the task.
        economics: of the task, its price looked up.
        hardware: kind of device; trials measured on other hardware are left out, because their latencies cannot be
            compared.
        discarded: trained trials whose artifacts an earlier run has deleted.
        constraints: of the task. Where they limit what is no objective, the trials that satisfy them have a frontier of
            their own beside that of all.
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        metric: Metric,
        economics: Economics,
        hardware: str,
        discarded: Iterable[int] = (),
        constraints: Constraints = NO_CONSTRAINTS,
    ) -> None:
        self.goals, self.hardware = tuple(goals), hardware
        self._metric, self._economics, self._main = metric, economics, uncertain_goal(goals).name
        optimised = {goal.name for goal in goals}
        self._limits = {name: limit for name, limit in goal_limits(constraints).items() if name not in optimised}
        """Limits of what is no objective, by the name that it would have as one."""
        self._limited = [OBJECTIVES.get(name).goal(name) for name in self._limits]
        self._fitting: set[int] = set()
        """Trials within these limits."""
        self._records: dict[int, Record] = {}
        self._least_usd_per_1k = float(costs.least_usd_per_1k(economics.queries_per_month))
        self.serving = ServedTrials()
        self._values: dict[int, Values] = {}
        """Of every trial, with the cost and latency of its serving class."""
        self._alone: dict[int, tuple[Values, Values]] = {}
        """Of every trial by itself, with the values of what is limited."""
        self._stale: set[int] = set()
        """Trials whose class has new measurements since."""
        self._as_shown: dict[int, Values] = {}
        self._expected: Mapping[int, float] = {}
        self._frontier: list[int] | None = None
        self._frontier_as_measured: list[int] | None = None
        """As far as nothing was measured or discarded since."""
        self._standings: dict[int, Standing] = {}
        """By trial, as measured, as far as nothing was measured since."""
        self._trained: set[int] = set()
        """Trials that may be discarded."""
        self._zero_shot: set[int] = set()
        """Trials without training and examples."""
        self._simple: list[int] = []
        """Trials of simple methods that others are compared with."""
        self.discarded = set(discarded)
        """Trained options whose artifacts were deleted when they were dominated: they cannot come back."""
        self.damaged: set[int] = set()
        """Options whose files an earlier run has written and that were damaged since; they stay where they are."""
        self.revision = 0
        """Rises whenever something here changes, so that what was computed from it can be kept until then."""

    @property
    def gone(self) -> set[int]:
        """Trials that can be neither recommended nor deployed, because their files are deleted or damaged."""
        return self.discarded | self.damaged

    def leave_out(self, damaged: Iterable[int]) -> None:
        """Takes trials whose files are damaged."""
        self.damaged |= {*damaged}
        self._change()

    def add(self, trial: int, record: Record) -> None:
        """Takes a trial's job at full fidelity.

        Raises:
            ReadingError: an objective gives no number for it; then it is not taken.
        """
        measurement = record.measurement
        if measurement is not None and record.outcome is not None and record.outcome.devices.kind == self.hardware:
            self._alone[trial] = self._read_one(measurement)
            self._change()
            self._records[trial] = record
            self._stale |= self.serving.add(trial, record)
            if not measurement.parameters_trained and record.job.candidate.params.get("shots") == 0:
                self._zero_shot.add(trial)
            if METHODS.get(record.job.candidate.method).floor and not record.job.candidate.teacher_rows:
                self._simple = sorted({*self._simple, trial})
            elif measurement.parameters_trained > 0:
                self._trained.add(trial)

    def time_again(self, trial: int, measurement: Measurement) -> None:
        """Takes a later measurement of a trial: where it holds more single requests, its class is timed by them."""
        if changed := self.serving.time_again(trial, measurement):
            self._stale |= changed
            self._change()

    def expect(self, values: Mapping[int, float]) -> None:
        """Takes values of the uncertain objective as corrected by what similar trials showed.

        The frontier is chosen by them: a lucky measurement stands out less.
        """
        self._expected = values
        self._frontier = None  # neither what was measured nor how it compares has changed
        self.revision += 1

    def _change(self) -> None:
        self._frontier = self._frontier_as_measured = None
        self._standings.clear()
        self.revision += 1

    def _read(self) -> dict[int, Values]:
        """Objectives of every trial; those whose class has changed are read again, when they are asked for."""
        for trial in self._stale:
            try:
                self._values[trial], limited = self._read_one(self.serving.measurement(trial))
            except ReadingError:  # it gave numbers for the trial's own measurement
                self._values[trial], limited = self._alone[trial]
            fits = all(no_worse(goal, limited[goal.name], self._limits[goal.name]) for goal in self._limited)
            (self._fitting.add if fits else self._fitting.discard)(trial)
        self._stale.clear()
        return self._values

    def _read_one(self, measurement: Measurement) -> tuple[Values, Values]:
        """Objectives, and the values of what the constraints limit in addition."""
        objectives = read_values(self.goals, measurement, self._metric, self._economics)
        return objectives, read_values(self._limited, measurement, self._metric, self._economics)

    def _shown(self, trial: int) -> Values:
        """Objectives of a trial by which it is compared."""
        return {**self._values[trial], **self._as_shown.get(trial, {})}

    def expected(self, trial: int) -> float:
        """The uncertain objective of a trial, corrected where the sampler models it."""
        value = self._expected.get(trial)
        return self._read()[trial][self._main] if value is None else value

    def expected_quality(self, trial: int) -> float:
        """Quality of a trial, corrected where the sampler models it; as measured where it is no objective."""
        return self.expected(trial) if self._main == QUALITY else self.measured_quality(trial)

    def settle(self, in_turn: Mapping[int, Sequence[float]], in_onnx: Mapping[int, OnnxTimes] | None = None) -> None:
        """Reads cost and latency from serving classes with all that was measured, in whatever order.

        Args:
            in_turn: milliseconds of single requests that were sent to some trials in turn; empty: none were.
            in_onnx: what was found of trials that were tried in ONNX; None: none were.
        """
        self.serving.take_turns(in_turn)
        self.serving.take_onnx(in_onnx or {})
        self._stale |= self.serving.settle()
        self._change()

    def show(self, values: Mapping[int, Values]) -> None:
        """Takes objectives of trials as they are shown (under load, as they will be hosted): they are compared by them.

        Args:
            values: by trial, of some objectives.
        """
        self._as_shown = dict(values)
        self._change()

    def measured_quality(self, trial: int) -> float:
        """Quality of a trial as measured on validation rows."""
        return self._metric.value(stats_array(self.measurement(trial)))

    def values(self) -> dict[int, Values]:
        """Objectives of every trial; cost and latency are those of its serving class."""
        return {trial: self._shown(trial) for trial in self._read()}

    def values_of(self, trial: int) -> Values:
        """Objectives of one trial, as `values` gives them."""
        self._read()
        return self._shown(trial)

    def measurement(self, trial: int) -> Measurement:
        """What was measured of a trial on validation rows."""
        measurement = self._records[trial].measurement
        if measurement is None:
            raise KeyError(trial)
        return measurement

    def record(self, trial: int) -> Record:
        """The job of a trial at full fidelity."""
        return self._records[trial]

    def trials(self) -> list[int]:
        """Every trial, by number."""
        return sorted(self._records)

    def frontier(self) -> list[int]:
        """Trials that no other dominates by expected values, the best by the uncertain objective first.

        Those that no other one within the limits of what is no objective dominates are among them.
        """
        if self._frontier is None:
            falling = next(g for g in self.goals if g.name == self._main).direction == "maximize"
            sign = -1.0 if falling else 1.0
            self._frontier = sorted(self._non_dominated(self.expected), key=lambda t: sign * self.expected(t))
        return self._frontier

    def _non_dominated(self, main_value: Callable[[int], float]) -> list[int]:
        trials = set(self._read()) - self.gone
        frontier, fitting = self._non_dominated_of(trials, main_value), trials & self._fitting
        if fitting == trials:
            return frontier
        return sorted({*frontier, *self._non_dominated_of(fitting, main_value)})

    def _non_dominated_of(self, among: Collection[int], main_value: Callable[[int], float]) -> list[int]:
        trials = sorted(among)
        standings = [self._standing(trial, main_value(trial)) for trial in trials]
        flags = on_frontier(standings, self.goals, self._least_usd_per_1k)
        return [trial for trial, flag in zip(trials, flags, strict=True) if flag]

    def _standing(self, trial: int, main_value: float) -> Standing:
        """A trial among others, with some value of the uncertain objective."""
        if trial not in self._standings:
            served, name = self.serving.served(trial), self.serving.name(trial)
            errors = served.row_error, served.median_error
            self._standings[trial] = standing(self._shown(trial), self.goals, *errors, name)
        known = self._standings[trial]
        values = [
            main_value if goal.name == self._main else v for goal, v in zip(self.goals, known.values, strict=True)
        ]
        return Standing(values, known.errors, known.group)

    def frontier_as_measured(self) -> list[int]:
        """Trials that no other dominates by measured values, by number."""
        if self._frontier_as_measured is None:
            self._frontier_as_measured = self._non_dominated(lambda t: self._read()[t][self._main])
        return self._frontier_as_measured

    def dominated(self) -> set[int]:
        """Trained trials that are on the frontier neither as expected nor as measured, and were not given up yet.

        Prompts and the simple methods that others are compared with take little space and are none of them.
        """
        return self._trained - self.gone - {*self.frontier(), *self.frontier_as_measured()}

    def discard_dominated(self, kept: Collection[int] = ()) -> set[int]:
        """Gives up dominated trials; returns all that were given up, also before.

        What is expected of an option may rise again, but its weights are deleted once it is given up.

        Args:
            kept: trials that are needed for another reason.
        """
        if given_up := self.dominated() - {*kept}:
            self.discarded |= given_up
            self._change()
        return self.discarded

    def floor(self) -> int | None:
        """The best of the simple methods that others are compared with, by the uncertain objective; None: none is."""
        falling = next(g for g in self.goals if g.name == self._main).direction == "maximize"
        sign, usable = 1 if falling else -1, [t for t in self._simple if t not in self.damaged]
        return max(usable, key=lambda t: sign * self.expected(t), default=None)

    def baseline(self) -> int | None:
        """The first zero-shot option without training: what one has without doing anything."""
        return min((trial for trial in self._zero_shot if trial not in self.damaged), default=None)
