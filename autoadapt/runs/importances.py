"""How much each parameter moved each objective within each method, by fANOVA (Hutter et al. 2014, in Optuna)."""

from collections.abc import Sequence

import numpy as np
import optuna

from autoadapt.domain.objective import Goal
from autoadapt.domain.verdict import Importance

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
        One entry per method, objective and parameter. Methods with fewer than four complete trials, or none of whose
        parameters varied, are absent.
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
        study = optuna.create_study(directions=[goal.direction for goal in goals])
        study.add_trials([_plain_names(t) for t in trials])
        for i, goal in enumerate(goals):
            result += [
                Importance(method=method, objective=goal.name, parameter=name, share=share, trials=len(trials))
                for name, share in _fanova(study, i, goal, seed).items()
            ]
    return result


def _plain_names(frozen: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    """A trial with the parameters of its method alone, by their plain names."""
    names = {n: n.split(".", 1)[-1] for n in frozen.params if n.split(".", 1)[-1] != "method"}
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
