"""What a job takes, by arm and model: known soon, for a model's price shows in its cheapest trial."""

from collections.abc import Sequence

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.observations import Observation, log, observations
from autoadapt.surrogates.trend import Trend

TUNED_LONGER = 0.5
"""Power of ten by which a pass of training is thought to take longer than answering, before any has been seen."""


class Prices:
    """Device-seconds of whole jobs, from what finished here or in earlier runs.

    Args:
        history: the study so far.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.features = features = Features(history.branches, history.models)
        self.seen = seen = observations(history)
        """Every finished rung."""
        places = [features.place(o.trial.candidate) for o in seen]
        known = [(*place, o.log_job) for place, o in zip(places, seen, strict=True)]
        known += [
            (features.arms.index(arm), features.models.index(model), log(seconds))
            for (method, model), seconds in history.job_seconds.items()
            if (arm := features.arm_of(method, model)) is not None
        ]
        usual = [TUNED_LONGER if branch.method in history.tunes else 0.0 for branch in history.branches.values()]
        self.trend = Trend(known, usual, len(features.models))
        self.overheads = _overheads(history, seen)
        """Further seconds that a step of each model takes."""
        self.arms = {history.arm(o.trial.candidate) for o in seen}
        """Arms of which anything has been seen here."""
        self.priced = {o.trial.candidate.model for o in seen} | {model for _, model in history.job_seconds}
        """Models of which anything has been seen."""

    def of(self, candidate: Candidate) -> float:
        """Device-seconds of the candidate's whole work."""
        arm, model = self.features.place(candidate)
        seconds = float(10.0 ** self.trend(np.array([arm]), np.array([model]))[0])
        return seconds * candidate.passes + self.overheads[candidate.model]


def _overheads(history: History, seen: Sequence[Observation]) -> dict[str, float]:
    """By model; of one that was not seen, the least known."""
    known: dict[str, list[float]] = {}
    for o in seen:
        known.setdefault(o.trial.candidate.model, []).append(o.reached.overhead_seconds)
    middle = {model: float(np.median(values)) for model, values in known.items()}
    return {m: middle.get(m, min(middle.values(), default=0.0)) for m in history.models}
