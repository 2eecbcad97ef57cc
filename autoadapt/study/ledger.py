"""What was spent, what a step will probably cost, and whether the budget still allows it.

A step's cost is predicted from finished steps of its kind and reserved before it starts. When what was spent and what
is running together reach a limit, running steps are ended, so a limit is passed by no more than the moment that
takes. A part is kept back for re-scoring the frontier at the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoadapt.domain.option import Spent
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.task import Evaluation, Task
from autoadapt.domain.trial import Step
from autoadapt.runs.run_folder import RunFolder
from autoadapt.economics.rates import typical_ms
from autoadapt.economics.objectives import device_usd

MARGIN = 1.25
"""A step is expected to take this much longer than the mean of its kind."""
RATES = 6
"""A load test takes about as long as so many rates answered one request after the other."""
MOST_KEPT_BACK = 0.5
"""Greatest share of a budget kept back for re-scoring."""


@dataclass
class Ledger:
    """The money and time of one study."""

    task: Task
    folder: RunFolder
    slots: int
    devices: int
    _counted: int = 0
    _sums: tuple[float, float] = (0.0, 0.0)
    """Of the first `_counted` records."""

    def spent(self, trials: int) -> Spent:
        """All that was spent, failed steps and re-scoring included."""
        held, fit_measure = self._held()
        return Spent(
            trials=trials,
            usd=self.usd(held),
            device_seconds=held,
            fit_measure_seconds=fit_measure,
            wall_seconds=self.folder.wall_seconds,
        )

    def _held(self) -> tuple[float, float]:
        """Device-seconds of all steps, and those of them spent fitting and measuring."""
        records = self.folder.records
        while self._counted < len(records) and (outcome := records[self._counted].outcome) is not None:
            self._sums = _added(self._sums, outcome)
            self._counted += 1
        held = self._sums
        for record in records[self._counted :]:  # from a step on that a killed run left without an outcome
            held = _added(held, record.outcome) if record.outcome is not None else held
        return held

    def usd(self, device_seconds: float) -> float:
        """USD of device-seconds."""
        return float(device_usd(device_seconds, 1, self.task.economics))

    def predict(self, step: Step) -> float:
        """Device-seconds a step will probably hold; 0 while nothing like it has finished."""
        alike = [
            r.outcome.seconds * r.outcome.devices.count
            for r in self.folder.records
            if r.outcome is not None
            and r.outcome.measurement is not None
            and (r.step.candidate.method, r.step.rung, r.step.split) == (step.candidate.method, step.rung, step.split)
        ]
        return MARGIN * sum(alike) / len(alike) if alike else 0.0

    def kept_back(self, frontier: Sequence[Outcome], evaluation: Evaluation, test_rows: int) -> float:
        """Device-seconds that re-scoring these outcomes, and measuring them under load, will probably take."""
        total = 0.0
        for outcome in frontier:
            if outcome.measurement is not None:
                per_row = outcome.measurement.inference_seconds / len(outcome.measurement.rows)
                seconds = per_row * min(test_rows, evaluation.test_rows) + 1.0
                if evaluation.load_requests:
                    alone = typical_ms(outcome.measurement.latency_ms or [0.0]) / 1000
                    seconds += min(evaluation.load_seconds, RATES * evaluation.load_requests * alone) + 1.0
                total += MARGIN * seconds * outcome.devices.count
        return total

    def allows(self, seconds: float, running: Iterable[tuple[float, float]], kept_back: float) -> bool:
        """Whether a step of so many device-seconds may start.

        Args:
            seconds: predicted device-seconds of the step.
            running: of every running step, device-seconds predicted and held so far.
            kept_back: device-seconds for re-scoring.
        """
        wanted = seconds + sum(max(predicted, held) for predicted, held in running)
        if any(left <= 0 or wanted > left for _, left in self._held_left(kept_back)):
            return False
        wall = self._wall_left(kept_back)
        return wall is None or (seconds / self.devices <= wall and wall > 0)

    def device_seconds_left(self, kept_back: float) -> float | None:
        """Device-seconds that one more step may take; None without a limit in USD, hours or device-hours."""
        wall = self._wall_left(kept_back)
        left = [] if wall is None else [wall * self.devices]
        left += [seconds for _, seconds in self._held_left(kept_back)]
        return min(left) if left else None

    def reached(self, running_seconds: float, kept_back: float) -> str | None:
        """The limit that what was spent and what is running have reached together, or None."""
        for name, left in self._held_left(kept_back):
            if running_seconds >= left:
                return name
        wall = self._wall_left(kept_back)
        return "budget.hours" if wall is not None and wall <= 0 else None

    def _held_left(self, kept_back: float) -> list[tuple[str, float]]:
        """Of every limit on device time: its name, and device-seconds not yet spent nor kept back."""
        held = self._held()[0]
        return [(name, limit - held - min(kept_back, MOST_KEPT_BACK * limit)) for name, limit in self._held_limits()]

    def _held_limits(self) -> list[tuple[str, float]]:
        """Limits on device time, by name, in device-seconds."""
        budget, found = self.task.budget, []
        if budget.usd is not None and self.usd(3600) > 0:
            found.append(("budget.usd", float(budget.usd) / self.usd(3600) * 3600))
        if budget.device_hours is not None:
            found.append(("budget.device_hours", budget.device_hours * 3600))
        return found

    def _wall_left(self, kept_back: float) -> float | None:
        """Wall-clock seconds not yet spent nor kept back; None without a limit."""
        if self.task.budget.hours is None:
            return None
        limit = self.task.budget.hours * 3600
        return limit - self.folder.wall_seconds - min(kept_back / self._width, MOST_KEPT_BACK * limit)

    def seconds_left(self, trials: int) -> float | None:
        """Wall-clock seconds until the first limit, from what trials have taken so far."""
        budget, left = self.task.budget, []
        spent = self.spent(trials)
        if budget.hours is not None:
            left.append(budget.hours * 3600 - spent.wall_seconds)
        if trials and spent.device_seconds:
            if budget.trials is not None:
                left.append((budget.trials - trials) * spent.device_seconds / trials / self._width)
            left += [(limit - spent.device_seconds) / self._width for _, limit in self._held_limits()]
        return max(0.0, min(left)) if left else None

    @property
    def _width(self) -> int:
        return self.slots * self.devices


def _added(sums: tuple[float, float], outcome: Outcome) -> tuple[float, float]:
    count = outcome.devices.count
    return sums[0] + outcome.seconds * count, sums[1] + outcome.fit_measure_seconds * count
