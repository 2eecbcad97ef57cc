"""The options by which a worker decides whether the single requests of a candidate are timed to the end."""

import statistics

from autoadapt.domain.objective import goal_limits
from autoadapt.domain.standards import Standard, Standards
from autoadapt.economics.rates import typical_ms
from autoadapt.runs.values import ReadingError, read_values
from autoadapt.shelves import OBJECTIVES
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.rungs import PART_REQUESTS
from autoadapt.tasks.resolve import ResolvedTask


def standards_of(resolved: ResolvedTask, measured: MeasuredTrials) -> Standards | None:
    """The frontier's options whose single requests were timed to the end; None: there is none.

    A candidate that one of them dominates in all objectives, and in what the constraints limit, can be on no frontier
    as it was measured.

    Args:
        resolved: the task.
        measured: its trials at full fidelity.
    """
    task = resolved.task
    names = dict.fromkeys([*(goal.name for goal in resolved.goals), *goal_limits(task.constraints)])
    goals = [OBJECTIVES.get(name).goal(name) for name in names]
    options = []
    for trial in measured.frontier():
        measurement = measured.measurement(trial)
        if len(measurement.latency_ms) <= PART_REQUESTS:
            continue
        median = statistics.median(measurement.latency_ms)
        tail = max(1.0, typical_ms(measurement.latency_ms) / median)
        try:
            values = read_values(goals, measurement, resolved.metric, task.economics)
        except ReadingError:
            continue
        options.append(Standard(values=values, latency_p50_ms=median, tail=tail))
    if not options:
        return None
    return Standards(requests=PART_REQUESTS, economics=task.economics, options=options)
