"""What the end of a search may still take: a tenth of each limit of the budget, or what the search has left of it."""

import math

from autoadapt.domain.jobs import Refit
from autoadapt.study.end_costs import END_SHARE, Use, end_limits, report_seconds
from autoadapt.study.search import Search


class Allowance:
    """The allowance of one end of a search, from its beginning on; what an earlier end of the study took counts too.

    A tenth of each limit of the budget, which the search has kept back. A search that has converged, or has tried all
    of its trials, leaves more: then the end may take all of it.

    Args:
        search: that has ended.
        slots: jobs side by side.
    """

    def __init__(self, search: Search, slots: int) -> None:
        self._search, self._slots = search, slots
        devices = [r.outcome.devices.count for r in search.folder.records if r.outcome is not None]
        self._limits = end_limits(search.resolved.task, slots, max(devices, default=1))
        # earlier ends have left no clock of their own: their jobs are taken to have filled all slots
        self._began = search.folder.wall_seconds - self._spent().seconds / slots
        self._unused, self._before, self._ended_at = Use(), self._spent(), search.folder.wall_seconds
        """What the search has left beside the final fit, what earlier ends have taken by then, and when that was."""
        self._left_out = 0.0

    def begin(self, final_fit: Use) -> None:
        """The search has ended: what it has left may be taken, but for what the final fit will take."""
        report = Use(report_seconds(self._search.resolved.task))
        self._unused, self._before = self.left_in_all().minus(report).minus(final_fit), self._spent()
        self._ended_at = self._search.folder.wall_seconds

    def left(self, side_by_side: int) -> Use:
        """What jobs may take that run so many at a time; infinite where the budget sets no limit."""
        task, ended, whole = self._search.resolved.task, self._spent(), self.left_in_all()
        wall = whole.seconds
        if task.budget.hours is not None:
            now = self._search.folder.wall_seconds - self._left_out
            tenth = END_SHARE * task.budget.hours * 3600 - report_seconds(task) - (now - self._began)
            wall = min(max(tenth, self._unused.seconds - (now - self._ended_at)), wall)
        unused = self._unused.plus(self._before)
        held = min(max(self._limits.device_seconds, unused.device_seconds) - ended.device_seconds, whole.device_seconds)
        usd = min(max(self._limits.usd, unused.usd) - ended.usd, whole.usd)
        return Use(max(0.0, wall) * side_by_side, max(0.0, held), max(0.0, usd))

    def leave_out(self, seconds: float) -> None:
        """Wall time of the final fit, which is paid for by the rest of the budget."""
        self._left_out += seconds

    def left_in_all(self) -> Use:
        """What is left of the whole budget for jobs that run one at a time; infinite without a limit."""
        budget, spent, wall = self._search.resolved.task.budget, self._search.status().spent, math.inf
        held = usd = math.inf
        if budget.hours is not None:
            wall = budget.hours * 3600 - self._search.folder.wall_seconds
        if budget.device_hours is not None:
            held = budget.device_hours * 3600 - spent.device_seconds
        if budget.usd is not None:
            usd = float(budget.usd) - spent.usd
        return Use(max(0.0, wall), max(0.0, held), max(0.0, usd))

    def _spent(self) -> Use:
        """Of all jobs at the end of the study, in this run and in earlier ones."""
        hour_usd = float(self._search.resolved.task.economics.hour_usd)
        seconds = held = billed = 0.0
        for record in self._search.folder.records:
            final = isinstance(record.job, Refit) and record.job.final  # paid for by the rest of the budget
            if record.job.kind not in ("fit", "propose", "label") and not final and record.outcome is not None:
                seconds += record.outcome.seconds
                held += record.outcome.usage.total_device_seconds
                billed += record.outcome.usage.usd
        return Use(seconds, held, held / 3600 * hour_usd + billed)
