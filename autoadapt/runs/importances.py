"""How much each parameter moved each objective within each method, by fANOVA (Hutter et al. 2014, in Optuna).

An objective is explained by the parameters that can change it, as methods and objectives state: what a learning rate
and a latency have in common is the noise of the measurement.
"""

from collections.abc import Sequence

import numpy as np
import optuna

from autoadapt.domain.objective import Goal
from autoadapt.domain.verdict import Importance
from autoadapt.shelves import METHODS, OBJECTIVES

LEAST_FOR_IMPORTANCE = 4
MOST_FOR_IMPORTANCE = 120
"""Spread evenly over the search: time grows with more."""
TREES = 16


def importances(
    frozen_trials: Sequence[optuna.trial.FrozenTrial], goals: Sequence[Goal], seed: int = 0
) -> list[Importance]:
    """Shares of the explained variance.

    Args:
        frozen_trials: the trials of an Optuna study.
        goals: its objectives, in their order; those on a log scale are taken by their logarithm.
        seed: of the random forest.

    Returns:
        One entry per method, objective and parameter that can change it. Methods with fewer than four complete trials,
        or none of whose parameters varied, are absent.
    """
    result: list[Importance] = []
    by_method: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for frozen in frozen_trials:
        if frozen.state == optuna.trial.TrialState.COMPLETE and "candidate" in frozen.user_attrs:
            by_method.setdefault(str(frozen.user_attrs["candidate"]["method"]), []).append(frozen)
    for method, trials in by_method.items():
        trials = trials[:: -(-len(trials) // MOST_FOR_IMPORTANCE)]
        if len(trials) < LEAST_FOR_IMPORTANCE:
            continue
        for i, goal in enumerate(goals):
            study = optuna.create_study(directions=[goal.direction for goal in goals])
            study.add_trials([_explaining(t, method, goal) for t in trials])
            result += [
                Importance(method=method, objective=goal.name, parameter=name, share=share, trials=len(trials))
                for name, share in _fanova(study, i, goal, seed).items()
            ]
    return result


def _can_change(method: str, parameter: str, goal: Goal) -> bool:
    """Whether a parameter of a method can change an objective."""
    if method not in METHODS.names() or goal.name not in OBJECTIVES.names():
        return True
    changed_by = OBJECTIVES.get(goal.name).changed_by
    effects = getattr(METHODS.get(method).Params, "effects", {}).get(parameter)
    return changed_by is None or effects is None or not changed_by.isdisjoint(effects)


def _explaining(frozen: optuna.trial.FrozenTrial, method: str, goal: Goal) -> optuna.trial.FrozenTrial:
    """A trial with the parameters of its method that can change an objective, by their plain names."""
    names = {n: n.split(".", 1)[-1] for n in frozen.params if n.split(".", 1)[-1] != "method"}
    names = {n: plain for n, plain in names.items() if _can_change(method, plain, goal)}
    return optuna.trial.create_trial(
        params={plain: frozen.params[n] for n, plain in names.items()},
        distributions={plain: frozen.distributions[n] for n, plain in names.items()},
        values=frozen.values,
        state=frozen.state,
    )


def _fanova(study: optuna.Study, index: int, goal: Goal, seed: int) -> dict[str, float]:
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)

    def target(trial: optuna.trial.FrozenTrial) -> float:
        value = float(trial.values[index])
        return value if goal.scale == "linear" else float(np.log10(max(value, 1e-12)))

    if len({target(t) for t in study.get_trials(deepcopy=False)}) < 2:
        return {}
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
    except (ValueError, RuntimeError):  # no parameter varied, or the forest found nothing to split
        return {}
    return {name: share for name, share in shares.items() if np.isfinite(share)}
