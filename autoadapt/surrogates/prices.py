"""What a job takes, by arm and model: known soon, for a model's price shows in its cheapest trial."""

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History
from autoadapt.surrogates.memory import Memory
from autoadapt.surrogates.observations import log
from autoadapt.surrogates.trend import Trend

TUNED_LONGER = 0.5
"""Power of ten by which a pass of training is thought to take longer than answering, before any has been seen."""


class Prices:
    """Device-seconds of whole jobs, from what finished here or in earlier runs.

    Args:
        history: the study so far.
        memory: of earlier decisions.
    """

    def __init__(self, history: History, memory: Memory | None = None) -> None:
        self.history, self.memory = history, memory or Memory()
        self.features = features = self.memory.features(history)
        self.seen = seen = self.memory.observations(history)
        """Every finished rung, by time."""
        self.places = np.array([features.place(o.trial.candidate) for o in seen], int).reshape(-1, 2)
        """Indices of the arm and the model of each, shape (n, 2)."""
        self.rows = history.rows
        earlier = [
            (features.arms.index(arm), features.models.index(model), log(seconds))
            for (method, model), seconds in history.job_seconds.items()
            if (arm := features.arm_of(method, model)) is not None
        ]
        known = np.column_stack([self.places, [o.log_job for o in seen]])
        known = np.concatenate([known, np.array(earlier).reshape(-1, 3)])
        usual = [TUNED_LONGER if branch.method in history.tunes else 0.0 for branch in history.branches.values()]
        self.trend = Trend(known, usual, len(features.models))
        self.overheads = self._overheads()
        """Further seconds that a step of each model takes."""
        self.arms = {features.arms[i] for i in set(self.places[:, 0].tolist())}
        """Arms of which anything has been seen here."""
        self.priced = {features.models[i] for i in set(self.places[:, 1].tolist())}
        self.priced |= {model for _, model in history.job_seconds}
        """Models of which anything has been seen."""

    def of(self, candidate: Candidate) -> float:
        """Device-seconds of the candidate's whole work."""
        arm, model = self.features.place(candidate)
        seconds = float(10.0 ** self.trend(np.array([arm]), np.array([model]))[0])
        return seconds * candidate.passes_over(self.rows) + self.overheads[candidate.model]

    def _overheads(self) -> dict[str, float]:
        """By model; of one that was not seen, the least known."""
        each = np.array([o.reached.overhead_seconds for o in self.seen])
        of_model = [each[self.places[:, 1] == i] for i in range(len(self.features.models))]
        middle = [float(np.median(own)) if len(own) else None for own in of_model]
        least = min((m for m in middle if m is not None), default=0.0)
        return {name: least if m is None else m for name, m in zip(self.features.models, middle, strict=True)}
