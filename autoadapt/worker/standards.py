"""Whether a candidate that was measured in full is dominated by an option that was known when its job was sent."""

import statistics

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import LATENCY, Reading
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.standards import Standard, Standards
from autoadapt.shelves import OBJECTIVES


def dominating(standards: Standards, measurement: Measurement, metric: Metric) -> Standard | None:
    """The first option that is at least as good in everything and better in something; None: there is none.

    Latencies are compared by medians, because the candidate has too few samples for a p95. Its latency is then taken to
    be its median times the option's ratio of p95 to median (`Measurement.latency_tail`), so that the option dominates
    it in the values that are stored, too.

    Args:
        standards: the options.
        measurement: of the candidate, with its first single requests.
        metric: of the task.
    """
    reading = Reading(measurement, metric, standards.economics)
    median = statistics.median(measurement.latency_ms)
    names = dict.fromkeys(name for option in standards.options for name in option.values)
    own = {name: median if name == LATENCY else OBJECTIVES.get(name).read(reading) for name in names}
    for option in standards.options:
        known = {**option.values, LATENCY: option.latency_p50_ms}
        signs = {name: 1 if OBJECTIVES.get(name).direction == "maximize" else -1 for name in option.values}
        gains = [sign * (known[name] - own[name]) for name, sign in signs.items()]
        if min(gains) >= 0 and max(gains) > 0:
            return option
    return None
