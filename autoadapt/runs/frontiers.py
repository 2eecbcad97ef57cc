"""Several runs compared: one reference box per task, hypervolumes, frontiers of methods, attainment, one table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoadapt.domain.objective import Goal
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.files import inert, output_file, write_atomic
from autoadapt.pareto.frontier import attainment, frontier, frontiers_by_method, measured_trials, points
from autoadapt.pareto.reference import Reference, hypervolume_over_spend, hypervolume_share, reference_of
from autoadapt.runs.study import Study, flat
from autoadapt.runs.values import uncertain_goal

if TYPE_CHECKING:
    import pandas

FORMATS = (".csv", ".parquet", ".json")
COST = "cost_usd_per_1k"
"""The objective that is compared with quality where nobody says which."""
SPENDS = (0.1, 0.25, 0.5, 1.0)
"""Shares of a run's own spend at which its hypervolume is stated."""


@dataclass(frozen=True)
class RunVolume:
    """One run in numbers; hypervolumes as shares of the task's box."""

    run: str
    trials: int
    full: int
    """Of them, those measured in full."""
    usd: float
    on_frontier: int
    hypervolume: float
    methods: dict[str, float]
    """Of each method's trials alone."""
    at: dict[float, float]
    """After these shares of the run's spend."""


class TaskRuns:
    """Runs of one task (same metric, same data files), which may be compared.

    Args:
        name: of the task.
        studies: at least one, with distinct folders.
        reference: the box; None: that which holds all trials of these runs.
    """

    def __init__(self, name: str, studies: Sequence[Study], reference: Reference | None = None) -> None:
        self.name, self.studies = name, list(studies)
        self.goals: tuple[Goal, ...] = self.studies[0].goals
        self.main = uncertain_goal(self.goals)
        """The objective with which the others are compared: quality, where the task has it."""
        self.reference = reference or reference_of([r for s in studies for r in s.rows], self.goals)

    def against(self, name: str | None = None) -> Goal:
        """An objective that is compared with the main one.

        Args:
            name: None: cost, or else the first that there is.

        Raises:
            UserError: the task does not optimise it, or it is the main one itself.
        """
        others = {goal.name: goal for goal in self.goals if goal != self.main}
        name = name or (COST if COST in others else next(iter(others)))
        if name == self.main.name:
            raise UserError(f"task {self.name}: {name} is drawn against another objective: {', '.join(others)}")
        if name not in others:
            raise UserError(f"task {self.name} has no objective '{name}': {did_you_mean(name, others)}")
        return others[name]

    def volumes(self) -> list[RunVolume]:
        """One entry per run."""
        return [self._volume(study) for study in self.studies]

    def _volume(self, study: Study) -> RunVolume:
        rows, goals = study.rows, self.goals
        curve = hypervolume_over_spend(rows, self.reference)
        spent = curve[-1][0]
        by_method = frontiers_by_method(rows, goals)
        return RunVolume(
            run=study.root.name,
            trials=len(rows),
            full=len(measured_trials(rows, goals)),
            usd=spent,
            on_frontier=len(frontier(rows, goals)),
            hypervolume=self._share(rows),
            methods={method: self._share(own_rows) for method, own_rows in by_method.items()},
            at={s: max(v for usd, v in curve if usd <= s * spent * (1 + 1e-9)) for s in SPENDS},
        )

    def _share(self, rows: Sequence[TrialRow]) -> float:
        return hypervolume_share(points(rows, self.goals), self.reference)

    def attainment(self, other: str | None = None, levels: Sequence[float] = (0.0, 0.5, 1.0)) -> list[dict[str, float]]:
        """Corners of the surfaces that at least one, half and all of the runs attained.

        Args:
            other: an objective, compared with the main one; see `against`.
            levels: shares of the runs.
        """
        least = 1 / len(self.studies)
        pair = (self.main, self.against(other))
        wanted = sorted({max(level, least) for level in levels})
        return attainment([s.rows for s in self.studies], self.goals, pair, wanted)


def load_runs(runs: Sequence[str | Path]) -> list[TaskRuns]:
    """Reads runs and puts those of the same metric and data files together, whatever their seeds.

    Raises:
        UserError: a folder holds no study, is named twice, or has nothing measured in full.
    """
    roots = [Path(r) for r in runs]
    if len({r.resolve() for r in roots}) < len(roots):
        raise UserError("a run folder is named more than once")
    groups: dict[str, list[Study]] = {}
    for root in roots:
        study = Study.load(root)
        if not measured_trials(study.rows, study.goals):
            raise UserError(f"{root}: {_why_none(study)}", Exit.PARTIAL)
        # not the rows' hashes: another seed splits the same data otherwise
        data = study.task.data.model_dump(exclude={"train_rows"})
        question = [study.task.metric.model_dump(mode="json"), study.task.objectives, data]
        groups.setdefault(json.dumps(question, sort_keys=True), []).append(study)
    return [TaskRuns(studies[0].task.name, studies) for studies in groups.values()]


def _why_none(study: Study) -> str:
    """Why no trial of a study counts for a frontier."""
    complete = [row.values for row in study.rows if row.state == TrialState.COMPLETE]
    zero = [g.name for g in study.goals if g.scale == "log" and any(values.get(g.name) == 0 for values in complete)]
    if zero:
        return f"{', '.join(zero)} is 0, which has no place on a logarithmic scale, so there is no hypervolume"
    return "no trial was measured in full, so it has no frontier"


def trials_of(tasks: Sequence[TaskRuns]) -> "pandas.DataFrame":
    """One row per trial of every run: task, run, and the columns of `Study.trials`."""
    import pandas

    return pandas.DataFrame(_rows(tasks))


def _rows(tasks: Sequence[TaskRuns]) -> list[dict[str, Any]]:
    return [
        {"task": task.name, "run": str(study.root), **flat(row)}
        for task in tasks
        for study in task.studies
        for row in study.rows
    ]


def export(tasks: Sequence[TaskRuns], path: Path) -> None:
    """Writes one row per trial with its raw figures, as .csv, .parquet or .json (a list of records), atomically.

    Raises:
        UserError: the name ends otherwise, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: unknown kind of file; it must end in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".json":  # figures to the last digit, which a frame would round
        text = json.dumps(_rows(tasks), indent=1, ensure_ascii=False) + "\n"
        with output_file(path) as target:
            write_atomic(target, text)
        return
    table = trials_of(tasks)
    # parameters of different methods share columns: one type each, or parquet refuses them
    mixed = [c for c in table.columns if c.startswith("params.") and len({type(v) for v in table[c].dropna()}) > 1]
    table[mixed] = table[mixed].map(lambda v: v if v is None or v != v else str(v))
    with output_file(path) as target:
        if path.suffix.lower() == ".csv":
            write_atomic(target, table.map(inert).to_csv(index=False))
        else:
            temporary = target.with_name(f".{target.name}.tmp")
            try:
                table.to_parquet(temporary, index=False)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
