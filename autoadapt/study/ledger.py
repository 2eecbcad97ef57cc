"""What was spent, what a job will probably cost, and whether the budget still allows it.

Everything is computed from the Usage of finished jobs. What a job will take is predicted (`job_times`) and reserved
before it starts. When what was spent and what is running together reach a limit, running jobs are ended, so a
limit is passed by no more than the moment that takes. A tenth at most is kept back for the end of the search.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoadapt.domain.option import Spent
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.task import Evaluation, Task
from autoadapt.economics.usage_costs import device_usd
from autoadapt.providers.answer_store import billed_by_job
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.study.end_costs import (
    END_SHARE,
    FINAL_SHARE,
    LEAST_TEST_ROWS,
    EndCosts,
    end_limits,
    wanted_at_the_end,
    wanted_for_final_fit,
)
from autoadapt.study.job_times import MARGIN

MOST_KEPT_BACK = 0.5
"""Greatest share of a budget kept back for the end of the search, even for what it cannot do without."""


@dataclass(frozen=True)
class _Sums:
    device_seconds: float = 0.0
    lost_seconds: float = 0.0
    fit_measure_seconds: float = 0.0
    billed_usd: float = 0.0

    def plus(self, outcome: Outcome) -> "_Sums":
        held, gave = outcome.usage.total_device_seconds, not isinstance(outcome.result, Failure)
        return _Sums(
            self.device_seconds + held,
            self.lost_seconds + (0.0 if gave else held),
            self.fit_measure_seconds + (outcome.fit_measure_seconds * outcome.devices.count if gave else 0.0),
            self.billed_usd + outcome.usage.usd,
        )


@dataclass
class Ledger:
    """The money and time of one study.

    Args:
        task: its budget and prices.
        folder: what its jobs used.
        slots: jobs side by side.
        devices: of one slot.
    """

    task: Task
    folder: RunFolder
    slots: int
    devices: int
    _counted: int = 0
    _sums: _Sums = _Sums()
    """Of the first `_counted` records."""

    def spent(self, trials: int) -> Spent:
        """All that was spent, failed jobs and re-scoring included.

        Args:
            trials: candidates tried, for the record.
        """
        sums, wall = self._spent(), self.folder.wall_seconds
        idle = max(0.0, wall * self._width - sums.device_seconds)
        return Spent(
            trials=trials,
            usd=self.usd(sums.device_seconds) + sums.billed_usd + self._unrecorded_usd(),
            device_seconds=sums.device_seconds,
            lost_seconds=sums.lost_seconds,
            fit_measure_seconds=sums.fit_measure_seconds,
            wall_seconds=wall,
            idle_seconds=idle,
            idle_usd=self.usd(idle),
        )

    def _spent(self) -> _Sums:
        records = self.folder.records
        while self._counted < len(records) and (outcome := records[self._counted].outcome) is not None:
            self._sums = self._sums.plus(outcome)
            self._counted += 1
        sums = self._sums
        for record in records[self._counted :]:  # from a job on that a killed run left without an outcome
            sums = sums.plus(record.outcome) if record.outcome is not None else sums
        return sums

    def _unrecorded_usd(self) -> float:
        """USD that providers have billed for jobs that run, or that were killed before they could say so."""
        if not self.folder.lasting:
            return 0.0
        left = billed_by_job(self.folder.root)
        for record in self.folder.records if left else ():
            name = f"{record.folder.parent.name}/{record.folder.name}"
            if name in left and record.outcome is not None:
                left[name] -= record.outcome.usage.usd
        return sum(max(0.0, usd) for usd in left.values())

    def provider_usd_cap(
        self, seconds: float, running: Iterable[tuple[float, float]], kept_back_usd: float
    ) -> float | None:
        """The most that providers may have billed the study by the end of a job, in USD; None without a limit.

        What is left of the budget after the device time of this job and of those that run, and after other bills.

        Args:
            seconds: predicted device-seconds of the job.
            running: as of `allows`.
            kept_back_usd: for the end of the search.
        """
        if self.task.budget.usd is None:
            return None
        budget, sums = float(self.task.budget.usd), self._spent()
        wanted = seconds + sum(max(predicted, held) for predicted, held in running)
        billed = sum(billed_by_job(self.folder.root).values()) if self.folder.lasting else 0.0
        others = sums.billed_usd + self._unrecorded_usd() - billed
        kept_back = min(kept_back_usd, MOST_KEPT_BACK * budget)
        return max(0.0, budget - self.usd(sums.device_seconds + wanted) - max(0.0, others) - kept_back)

    def kept_back_usd(self, frontier: Sequence[Record], test_rows: int) -> float:
        """USD that providers will probably bill for scoring these trials on test rows, as they are and perturbed.

        A tenth of the budget at most, unless the first of them alone needs more.
        """
        evaluation, each, perturbed = self.task.evaluation, [], 0.0
        for costs in self._end_costs(frontier):
            each.append(MARGIN * costs.row_usd)
            variants, rows = costs.variants(evaluation), min(test_rows, evaluation.robustness_rows)
            perturbed += MARGIN * costs.row_usd * variants * rows
        most = math.inf if self.task.budget.usd is None else END_SHARE * float(self.task.budget.usd)
        return max(min(sum(each) * test_rows + perturbed, most), sum(each[:1]) * min(test_rows, LEAST_TEST_ROWS))

    def usd(self, device_seconds: float) -> float:
        """USD of device-seconds."""
        return float(device_usd(device_seconds, 1, self.task.economics))

    def kept_back(
        self, frontier: Sequence[Record], evaluation: Evaluation, test_rows: int, grown: float = 1.0
    ) -> float:
        """Device-seconds kept for the end of the search (`wanted_at_the_end`, `wanted_for_final_fit`).

        Args:
            frontier: fits in full of the options that are still to be scored, the best first.
            evaluation: of the task.
            test_rows: there are.
            grown: labelled rows of a final fit over training rows.
        """
        options = self._end_costs(frontier)
        rows = min(test_rows, evaluation.test_rows)
        # a slot that stands idle while an option is measured alone takes wall time as if it worked
        idle = self.slots if self.task.budget.hours is not None else 1
        wanted = wanted_at_the_end(options, evaluation, rows, self._most(END_SHARE) / MARGIN, idle)
        if evaluation.final_fit:
            wanted += wanted_for_final_fit(options, grown, rows, self._most(FINAL_SHARE) / MARGIN, idle)
        return MARGIN * wanted

    def _end_costs(self, frontier: Sequence[Record]) -> list[EndCosts]:
        return [
            EndCosts.of(record.measurement, record.outcome, self.task.economics, record.job.candidate)
            for record in frontier
            if record.measurement is not None and record.outcome is not None
        ]

    def _most(self, share: float) -> float:
        """Device-seconds that a share of every limit of the budget pays for."""
        limits, hour_usd = end_limits(self.task, self.slots, self.devices, share), self.usd(3600)
        return min(limits.device_seconds, limits.usd / hour_usd * 3600 if hour_usd else math.inf)

    def allows(self, seconds: float, running: Iterable[tuple[float, float]], kept_back: float) -> bool:
        """Whether a job of so many device-seconds may start.

        Args:
            seconds: predicted device-seconds of the job.
            running: of every running job, device-seconds predicted and held so far.
            kept_back: device-seconds for re-scoring.
        """
        wanted = seconds + sum(max(predicted, held) for predicted, held in running)
        if any(left <= 0 or wanted > left for _, left in self._device_seconds_left(kept_back)):
            return False
        wall = self._wall_left(kept_back)
        return wall is None or (seconds / self.devices <= wall and wall > 0)

    def device_seconds_left(
        self, running: Iterable[tuple[float, float]], kept_back: float, of_slot: bool = False
    ) -> float | None:
        """Device-seconds that one more job may take; None without a limit in USD, hours or device-hours.

        Args:
            running: of every running job, device-seconds predicted and held so far.
            kept_back: device-seconds for re-scoring.
            of_slot: whether it is meant to share a limit on device time with the other slots.
        """
        wall = self._wall_left(kept_back)
        left = [] if wall is None else [wall * self.devices]
        wanted, parts = sum(max(predicted, held) for predicted, held in running), self.slots if of_slot else 1
        left += [(seconds - wanted) / parts for _, seconds in self._device_seconds_left(kept_back)]
        return min(left) if left else None

    def reached(self, running_seconds: float, kept_back: float) -> str | None:
        """The limit that what was spent and what is running have reached together, or None."""
        for name, left in self._device_seconds_left(kept_back):
            if running_seconds >= left:
                return name
        wall = self._wall_left(kept_back)
        return "budget.hours" if wall is not None and wall <= 0 else None

    def _device_seconds_left(self, kept_back: float) -> list[tuple[str, float]]:
        """Of every limit on device time: its name, and device-seconds neither spent nor kept back."""
        held = self._spent().device_seconds
        return [(name, limit - held - min(kept_back, MOST_KEPT_BACK * limit)) for name, limit in self._limits()]

    def _limits(self) -> list[tuple[str, float]]:
        """Limits on device time, by name, in device-seconds; money that providers billed leaves less of it."""
        budget, limits = self.task.budget, []
        if budget.usd is not None:
            billed = self._spent().billed_usd + self._unrecorded_usd()
            left_usd, hour_usd = float(budget.usd) - billed, self.usd(3600)
            if hour_usd > 0:
                limits.append(("budget.usd", left_usd / hour_usd * 3600))
            elif left_usd <= 0:  # devices cost nothing: only what was billed can reach the limit
                limits.append(("budget.usd", 0.0))
        if budget.device_hours is not None:
            limits.append(("budget.device_hours", budget.device_hours * 3600))
        return limits

    def _wall_left(self, kept_back: float) -> float | None:
        """Wall-clock seconds neither spent nor kept back; None without a limit."""
        if self.task.budget.hours is None:
            return None
        limit = self.task.budget.hours * 3600
        return limit - self.folder.wall_seconds - min(kept_back / self._width, MOST_KEPT_BACK * limit)

    def search_seconds_left(self, running_seconds: float, kept_back: float) -> list[float]:
        """Wall-clock seconds until each limit of the budget ends the search; empty where no limit is one of time.

        Args:
            running_seconds: device-seconds held so far by jobs that run.
            kept_back: device-seconds for the end of the search.
        """
        wall = self._wall_left(kept_back)
        left = [] if wall is None else [wall]
        return left + [(left - running_seconds) / self._width for _, left in self._device_seconds_left(kept_back)]

    def device_seconds_of_budget(self) -> float | None:
        """Device-seconds that the budget gives to all trials together; None: it limits no time."""
        budget, hour_usd, limits = self.task.budget, self.usd(3600), []
        if budget.hours is not None:
            limits.append(budget.hours * 3600 * self._width)
        if budget.device_hours is not None:
            limits.append(budget.device_hours * 3600)
        if budget.usd is not None and hour_usd > 0:
            limits.append(float(budget.usd) / hour_usd * 3600)
        return min(limits, default=None)

    @property
    def _width(self) -> int:
        return self.slots * self.devices
