"""What an earlier run of a study has left in its Optuna study."""

from collections.abc import Iterator

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.runs.storage import reopened

ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)


def ended_trials(study: optuna.Study) -> Iterator[tuple[optuna.trial.FrozenTrial, Candidate | None]]:
    """Every trial that has ended, by number, with its candidate (None: it never had one, or repeats another's)."""
    for frozen in study.get_trials(deepcopy=False, states=ENDED):
        stored = frozen.user_attrs.get("candidate")
        yield frozen, None if stored is None else Candidate.model_validate(stored)


def running_trials(study: optuna.Study) -> list[optuna.Trial]:
    """Trials that a run has left open; asking them again gives their stored parameters."""
    frozen_trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return [reopened(study, frozen) for frozen in frozen_trials]
