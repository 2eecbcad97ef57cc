"""The candidates a study begins with: those of its search space, then the frontiers of earlier runs."""

import statistics
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import optuna
from pydantic import TypeAdapter

from autoadapt.files import read_model
from autoadapt.domain.option import Option
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.trial import Candidate, Step
from autoadapt.errors import Exit, UserError
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
        """Fixes the portfolio, once in the study's life; returns what is to be told of it.

        Raises:
            UserError: an earlier run has no frontier; exit 3.
        """
        notes = []
        if ATTRIBUTE not in self.study.user_attrs:
            wanted: list[Any] = list(self.space.first())
            seconds: dict[tuple[str, str], list[float]] = {}
            for root in self.earlier:
                options = sorted(read_frontier(root), key=lambda o: o.cost_usd_per_1k)
                fitting = [p for o in options if (p := self.space.fit(o.method, o.model, o.params)) is not None]
                notes.append(f"warm start: {len(fitting)} of the {len(options)} options of {root} are in this space")
                wanted += fitting
                for key, took in _job_seconds(root).items():
                    seconds.setdefault(key, []).extend(took)
            known = [[*key, statistics.median(took)] for key, took in sorted(seconds.items())]
            self.study.set_user_attr(ATTRIBUTE, {"wanted": wanted, "seconds": known})
        kept = self.study.user_attrs[ATTRIBUTE]
        self.params = {self.space.candidate(p).key(): p for p in kept["wanted"]}
        self.candidates = {key: self.space.candidate(p) for key, p in self.params.items()}
        self.job_seconds = {(method, model): took for method, model, took in kept["seconds"]}
        return notes

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
    found: dict[tuple[str, str], list[float]] = {}
    for path in sorted((root / "trials").glob("*/rung*/outcome.json")):
        step, outcome = read_model(path.parent / "trial.json", Step), read_model(path, Outcome)
        if step is None or outcome is None or outcome.measurement is None:
            continue
        trials[step.trial] = trials.get(step.trial, 0.0) + outcome.fit_measure_seconds * outcome.devices.count
        if not step.keep_checkpoint:  # the last rung
            per_pass = trials[step.trial] / step.candidate.passes
            found.setdefault((step.candidate.method, step.candidate.model), []).append(per_pass)
    return found


def read_frontier(root: Path) -> list[Option]:
    """The options of a finished run.

    Raises:
        UserError: there are none; exit 3.
    """
    path = root / "frontier.json"
    try:
        return TypeAdapter(list[Option]).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: not found; give the folder of a finished run, such as runs/NAME", Exit.DATA) from None
    except ValueError as error:
        raise UserError(f"{path}: damaged ({str(error).splitlines()[0]})", Exit.DATA) from error
