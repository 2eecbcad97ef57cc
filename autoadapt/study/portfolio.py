"""The candidates a study begins with: those of its search space, then the frontiers of earlier runs."""

from collections.abc import Sequence
from pathlib import Path

import optuna
from pydantic import TypeAdapter

from autoadapt.domain.option import Option
from autoadapt.errors import Exit, UserError
from autoadapt.study.space import JointSpace
from autoadapt.worker.run import METHODS


class Portfolio:
    """What waits in an Optuna study to be tried first.

    Args:
        study: the study.
        space: whose own candidates come first.
        earlier: folders of finished runs on like tasks.
    """

    def __init__(self, study: optuna.Study, space: JointSpace, earlier: Sequence[Path] = ()) -> None:
        self.study, self.space, self.earlier = study, space, earlier

    def enqueue(self) -> list[str]:
        """Puts the candidates into the study, once in its life; returns what is to be told of it.

        Raises:
            UserError: an earlier run has no frontier; exit 3.
        """
        if self.study.user_attrs.get("first_enqueued"):
            return []
        wanted = self.space.first()
        notes = []
        for root in self.earlier:
            options = sorted(read_frontier(root), key=lambda o: o.cost_usd_per_1k)
            fitting = [p for o in options if (p := self.space.fit(o.method, o.model, o.params)) is not None]
            notes.append(f"warm start: {len(fitting)} of the {len(options)} options of {root} are in this space")
            wanted += fitting
        for params in wanted:
            self.study.enqueue_trial(dict(params), skip_if_exists=True)
        self.study.set_user_attr("first_enqueued", True)
        return notes

    def waiting(self) -> list[optuna.trial.FrozenTrial]:
        """What is left of them."""
        return self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))

    def next_is_untuned(self) -> bool:
        """Whether the next one trains nothing: it is cheap, so it gets all the rows at once."""
        waiting = self.waiting()
        return bool(waiting) and not METHODS.get(waiting[0].system_attrs["fixed_params"]["method"]).tunes


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
