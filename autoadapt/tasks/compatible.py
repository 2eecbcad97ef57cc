"""Which methods can be used with which models."""

from collections.abc import Mapping

from autoadapt.domain.metric import AnswerKind, Metric
from autoadapt.domain.model import Capabilities
from autoadapt.domain.task import Task
from autoadapt.errors import UserError
from autoadapt.shelves import METHODS

FLOOR_MODEL = "classical"
"""The model of words."""


def with_floor(task: Task, answers: AnswerKind) -> Task:
    """The task with the model of words and the simple methods that it is compared with, unless `floor` is off.

    Args:
        task: as written.
        answers: what its metric asks for.
    """
    if not task.floor:
        return task
    simple = [name for name in METHODS.names() if METHODS.get(name).floor and answers in METHODS.get(name).answers]
    return task.model_copy(
        update={
            "models": list(dict.fromkeys([*task.models, FLOOR_MODEL])),
            "methods": list(dict.fromkeys([*simple, *task.methods])),
        }
    )


def compatible_models(
    task: Task, metric: Metric, capabilities: Mapping[str, Capabilities]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Models that suit each method, and notes on methods that none suits.

    Raises:
        UserError: no pair of a method and a model suits.
    """
    compatible: dict[str, tuple[str, ...]] = {}
    reasons: dict[str, str] = {}
    for method in task.methods:
        missing = {model: METHODS.get(method).lacks(c, metric.answers) for model, c in capabilities.items()}
        compatible[method] = tuple(model for model, names in missing.items() if not names)
        given = {
            model: names for model, names in missing.items() if names and not (task.floor and model == FLOOR_MODEL)
        }
        reasons[method] = "; ".join(f"{model} lacks {', '.join(names)}" for model, names in given.items())
    wanted = [method for method in task.methods if not METHODS.get(method).floor] or task.methods
    if not any(compatible[method] for method in wanted):
        lines = "\n".join(f"  {method}: {reasons[method]}" for method in wanted)
        raise UserError(f"no method can be used with any of the models:\n{lines}\nName other methods or models.")
    notes = [f"{m} is left out: {reasons[m]}" for m, models in compatible.items() if not models]
    notes += [
        f"{model} is left out: no method that the task names can be used with it"
        for model in capabilities
        if not any(model in models for models in compatible.values())
    ]
    return {method: models for method, models in compatible.items() if models}, notes
