"""The shelves: every kind of plug-in with its folder and its interface."""

from collections.abc import Mapping

from autoadapt.domain.executor import Executor
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.method import Method
from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import Objective
from autoadapt.domain.proposer import Proposer
from autoadapt.domain.sampler import Sampler
from autoadapt.domain.selector import Selector
from autoadapt.domain.tracker import Tracker
from autoadapt.registry import Registry

EXECUTORS = Registry("executor", "autoadapt.executors", Executor)  # type: ignore[type-abstract]
FAMILIES = Registry("model family", "autoadapt.models", ModelFamily)  # type: ignore[type-abstract]
METHODS = Registry("method", "autoadapt.methods", Method)  # type: ignore[type-abstract]
METRICS = Registry("metric", "autoadapt.metrics", Metric)
OBJECTIVES = Registry("objective", "autoadapt.objectives", Objective)  # type: ignore[type-abstract]
PROPOSERS = Registry("proposer", "autoadapt.proposers", Proposer)  # type: ignore[type-abstract]
SAMPLERS = Registry("sampler", "autoadapt.samplers", Sampler)  # type: ignore[type-abstract]
SELECTORS = Registry("selector", "autoadapt.selectors", Selector)  # type: ignore[type-abstract]
TRACKERS = Registry("tracker", "autoadapt.trackers", Tracker)  # type: ignore[type-abstract]


def selector_of(params: Mapping[str, object]) -> Selector:
    """The selector of a candidate whose prompt shows examples.

    Args:
        params: of the candidate.
    """
    return SELECTORS.get(str(params.get("selector", "balanced")))
