"""The candidates a study begins with: those of its search space, then the frontiers of earlier runs."""

import statistics
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.proposal import SLOT
from autoadapt.files import read_model
from autoadapt.runs.results import read_results
from autoadapt.runs.run_folder import read_job
from autoadapt.tasks.space import JointSpace

ATTRIBUTE = "portfolio"
"""Of the Optuna study."""


class Portfolio:
    """What an Optuna study tries first, in order, and what such work took in earlier runs.

    Args:
        study: the study, which remembers it.
        space: whose own candidates come first.
        earlier: folders of finished runs on like tasks.
    """

    def __init__(self, study: optuna.Study, space: JointSpace, earlier: Sequence[Path] = ()) -> None:
        self.study, self.space, self.earlier = study, space, earlier

    def load(self) -> list[str]:
        """Fixes the portfolio, once in the study's life; returns notes on it.

        Raises:
            UserError: an earlier run has no results.
        """
        notes = []
        if ATTRIBUTE not in self.study.user_attrs:
            wanted: list[Any] = list(self.space.first())
            seconds: dict[tuple[str, str], list[float]] = {}
            for root in self.earlier:
                # a slot of another run holds another instruction, or none, and its teacher has given other labels
                options = read_results(root).options
                told = [o for o in options if not (o.params.get(SLOT) or o.params.get(TEACHER_ROWS))]
                options = sorted(told, key=lambda o: o.cost_usd_per_1k)
                fitting = [p for o in options if (p := self.space.fit(o.method, o.model, o.params)) is not None]
                notes.append(f"warm start: {len(fitting)} of the {len(options)} options of {root} are in this space")
                wanted += fitting
                for key, took in _job_seconds(root).items():
                    seconds.setdefault(key, []).extend(took)
            known = [[*key, statistics.median(took)] for key, took in sorted(seconds.items())]
            self.study.set_user_attr(ATTRIBUTE, {"wanted": wanted, "seconds": known})
        portfolio = self.study.user_attrs[ATTRIBUTE]
        self.params = {self.space.candidate(p).key(): p for p in portfolio["wanted"]}
        self.candidates = {key: self.space.candidate(p) for key, p in self.params.items()}
        self.job_seconds = {(method, model): took for method, model, took in portfolio["seconds"]}
        return notes

    def add(self, candidate: Candidate) -> None:
        """Adds a candidate that was not known when the study began; it is added again when the study is resumed."""
        params = self.space.fit(candidate.method, candidate.model, candidate.params)
        if params is not None:
            # what was written last is tried first
            self.params = {candidate.key(): params, **self.params}
            self.candidates = {candidate.key(): candidate, **self.candidates}

    def left(self, tried: Container[str]) -> list[Candidate]:
        """Those whose key is not among `tried`."""
        return [c for key, c in self.candidates.items() if key not in tried]

    def enqueue(self, candidate: Candidate) -> None:
        """Makes it the study's next trial."""
        if not self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            self.study.enqueue_trial(dict(self.params[candidate.key()]))


def _job_seconds(root: Path) -> dict[tuple[str, str], list[float]]:
    """Device-seconds per pass of the trials of a run that were done in full, by method and model."""
    trials: dict[int, float] = {}
    per_pass: dict[tuple[str, str], list[float]] = {}
    for path in sorted((root / "trials").glob("*/rung*/outcome.json")):
        job, outcome = read_job(path.parent), read_model(path, Outcome)
        if not isinstance(job, Fit) or outcome is None or not isinstance(outcome.result, Measurement):
            continue
        if job.candidate.teacher_rows:  # its passes go over other rows too
            continue
        trials[job.trial] = trials.get(job.trial, 0.0) + outcome.fit_measure_seconds * outcome.devices.count
        if not job.keep_checkpoint:  # the last rung
            key = (job.candidate.method, job.candidate.model)
            per_pass.setdefault(key, []).append(trials[job.trial] / job.candidate.passes)
    return per_pass
