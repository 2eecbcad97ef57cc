"""A study, loaded from its run folder: its trials, its verdict, other scenarios, other recommendations.

Nothing is run for it; a search that still runs is not disturbed. `autoadapt.Study` is this with figures.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from autoadapt.domain.comparison import Column
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option, RawOption, Recommendation
from autoadapt.domain.plan import Plan
from autoadapt.domain.scenario import Scenario, Scenarios
from autoadapt.domain.task import Task
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.verdict import Importance, Verdict
from autoadapt.errors import Exit, UserError
from autoadapt.pareto.frontier import points
from autoadapt.pareto.reference import Reference, hypervolume_share, reference_of
from autoadapt.runs import scenarios as pricing
from autoadapt.runs.answers import AnsweredExample, answered_examples, answered_rows, frozen_rows
from autoadapt.runs.database import load_stored_trials
from autoadapt.runs.importances import importances
from autoadapt.runs.lock import LOCK_FILE, read_lock
from autoadapt.runs.results import Results, read_results
from autoadapt.runs.run_folder import REBUILT
from autoadapt.runs.storage import load_trials
from autoadapt.runs.trials import TrialReader, fits_of, last_measured
from autoadapt.shelves import METRICS, OBJECTIVES

if TYPE_CHECKING:
    import optuna
    import pandas


class Study:
    """What a search has left, or has found so far: one moment of it, read once.

    Args:
        root: its run folder.
        lock: content of its lock file.
        task: as it was run, prices looked up.
        results: what it has found.
    """

    def __init__(self, root: Path, lock: Mapping[str, Any], task: Task, results: Results) -> None:
        self.root, self.lock, self.task, self.results = root, dict(lock), task, results
        self.goals: tuple[Goal, ...] = tuple(OBJECTIVES.get(name).goal(name) for name in task.objectives)
        """What it optimises."""
        self.price_source = str(lock.get("price_source", "the task"))
        """Where the task's price of a device-hour comes from."""
        self._hosted: dict[str, Column] = {}

    @classmethod
    def load(cls, root: str | Path) -> Self:
        """Reads a run folder.

        Raises:
            UserError: there is no study in it, or it is damaged or of another version.
        """
        root = Path(root)
        results, lock = read_results(root), read_lock(root / LOCK_FILE)
        try:
            # the lock was written in JSON's types: tuples and decimals are read back from them
            task = Task.model_validate_json(json.dumps((lock or {})["task"]))
        except (ValidationError, KeyError, TypeError) as error:
            raise UserError(
                f"{root / LOCK_FILE}: written by another version of AutoAdapt, or damaged; {REBUILT}",
                Exit.STORAGE,
            ) from error
        return cls(root, lock or {}, task, results)

    # -- what was found

    @property
    def options(self) -> list[Option]:
        """The frontier, the best first, then dominated options that are shown all the same (`Option.shown_as`), then
        cascades, under the task's own economics."""
        return self.results.options

    @property
    def raws(self) -> list[RawOption]:
        """Every trial measured in full."""
        return self.results.measured

    @property
    def recommendation(self) -> Recommendation:
        """The advice under the task's own constraints."""
        return self.results.recommendation

    @property
    def verdict(self) -> Verdict | None:
        """Ties, optimism, learning curve, reasons; None until the search has ended."""
        return self.results.verdict

    @property
    def plan(self) -> Plan | None:
        """What `autoadapt plan` expected of it; None: it was not planned."""
        return self.results.plan

    @functools.cached_property
    def rows(self) -> list[TrialRow]:
        """Every trial that was begun, by number; failed, cached and unfinished ones included.

        Raises:
            UserError: the Optuna study cannot be read.
        """
        metric = METRICS.new(self.task.metric.name, self.task.metric.settings, expand=False)
        return TrialReader(self.root, self.task, metric, self.goals).rows(self._frozen_trials, self.raws, self.verdict)

    @functools.cached_property
    def _frozen_trials(self) -> "list[optuna.trial.FrozenTrial]":
        """The trials of the Optuna study, read once."""
        if self.task.storage is not None:
            return load_stored_trials(self.root, self.task.storage, self.task.name)
        return load_trials(self.root / "study.db", self.task.name)

    def raw(self, trial: int | None) -> RawOption | None:
        """A trial measured in full; None: it is none of these."""
        return next((r for r in self.raws if r.trial == trial), None)

    def option(self, trial: int | None) -> Option | None:
        """One of `options` by its number; None: it is none of them."""
        return next((o for o in self.options if o.trial == trial), None)

    def trials(self) -> "pandas.DataFrame":
        """Every trial as a row: columns of `TrialRow`, parameters as ``params.NAME``; indexed by trial."""
        return _frame(self.rows, TrialRow)

    def frontier(self) -> "pandas.DataFrame":
        """`options` as rows: columns of `Option`, parameters as ``params.NAME``."""
        return _frame(self.options, Option)

    def importances(self) -> list[Importance]:
        """How much each parameter moved each objective within each method (fANOVA over complete trials)."""
        return list(self._importances)

    @functools.cached_property
    def _importances(self) -> list[Importance]:
        if self.results.importances is not None:
            return self.results.importances
        return importances(self._frozen_trials, self.goals, self.task.seed)

    def reference(self) -> Reference:
        """The box of this study's hypervolume.

        Raises:
            UserError: no trial was measured in full.
        """
        return reference_of(self.rows, self.goals)

    def hypervolume(self, reference: Reference | None = None) -> float:
        """Hypervolume of all trials measured in full, as a share of the box.

        Args:
            reference: the box; None: the study's own (runs that are compared must share one).
        """
        return hypervolume_share(points(self.rows, self.goals), reference or self.reference())

    def latency_ms(self, trial: int) -> list[float]:
        """Milliseconds of every single request of a trial's last fit; empty: none was timed."""
        last = last_measured(fits_of(self.root, trial))
        return list(last[1].latency_ms) if last is not None else []

    def answers(self, trial: int, most: int = 5) -> list[AnsweredExample]:
        """Some right and some wrong answers of a trial: on test rows if it was re-scored, else on validation rows.

        Args:
            trial: its number.
            most: of each kind.
        """
        return answered_examples(self.root, trial, most)

    def answered(self, trial: int) -> list[AnsweredExample]:
        """Every answer of a trial: to test rows if it was re-scored, else to validation rows.

        Args:
            trial: its number.
        """
        return answered_rows(self.root, trial)

    def train_rows(self) -> int:
        """Training rows there are."""
        return len(frozen_rows(self.root, "train"))

    # -- other scenarios, other limits

    def compare(self, scenarios: "Scenarios | Mapping[str, Scenario | Mapping[str, Any]] | str | Path") -> list[Column]:
        """Prices every option under each scenario: which one to choose, its costs, and break-even volumes.

        Args:
            scenarios: a scenarios file, or scenarios by name.

        Raises:
            UserError: a scenario is wrong, a price unknown, or no option was measured in full.
        """
        return pricing.compare(self, scenarios)

    def hosted(self, hosting: str) -> Column:
        """The task's own use under another way of hosting; computed once."""
        if hosting not in self._hosted:
            self._hosted[hosting] = self.compare({hosting: {"hosting": hosting}})[0]
        return self._hosted[hosting]

    def recommend(
        self, *, weights: Mapping[str, float] | None = None, knee: bool = False, **limits: float | None
    ) -> tuple[Recommendation, list[str], list[Option]]:
        """The option that fits, why, which constraints bind, and all options that were weighed.

        Args:
            weights: of objectives, instead of the cheapest option that is as good as the best.
            knee: equal weights.
            limits: constraints by their names in a task (quality, latency_p95_ms, cost_usd_per_1k, training_usd,
                memory_mb, artifact_mb, robustness_points); None leaves the task's.

        Raises:
            UserError: a limit is unknown or out of range, or no option was measured in full.
        """
        return pricing.recommend_again(self, weights, knee, limits)


def _frame(rows: Sequence[TrialRow] | Sequence[Option], model: type[TrialRow] | type[Option]) -> "pandas.DataFrame":
    import pandas

    flat_rows = [flat(row) for row in rows]
    return pandas.DataFrame(flat_rows, columns=None if flat_rows else list(model.model_fields)).set_index("trial")


def flat(row: TrialRow | Option) -> dict[str, Any]:
    """A row with its parameters as columns ``params.NAME`` and intervals as two columns; lists stay.

    Objectives beyond those that have a column of their own become columns by their name.
    """
    columns: dict[str, Any] = {}
    values = row.values
    for name, value in row.model_dump(exclude={"values"}).items():
        if name == "params":
            columns |= {f"params.{k}": v for k, v in value.items()}
        elif isinstance(value, tuple) or name.endswith("_ci"):
            columns |= {
                f"{name.removesuffix('_ci')}_{end}": value[i] if value else None
                for i, end in enumerate(("low", "high"))
            }
        else:
            columns[name] = value
    return columns | {name: value for name, value in values.items() if name not in columns}
