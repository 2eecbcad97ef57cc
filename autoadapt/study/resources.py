"""What a search works with, opened together and closed together: run folder, workers, Optuna study, portfolio."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from autoadapt.domain.events import Event
from autoadapt.domain.executor import Executor
from autoadapt.domain.metric import QUALIFYING, Asking
from autoadapt.domain.plan import Plan
from autoadapt.domain.sampler import Sampler
from autoadapt.runs.database import COPY_FILE, SharedStorage, open_shared, take_study
from autoadapt.runs.lock import LOCK_FILE, changed_versions, check_same, read_lock, write_lock
from autoadapt.runs.outages import DatabaseAwayError, Outages
from autoadapt.runs.run_folder import RunFolder
from autoadapt.runs.storage import close_storage, close_study, open_study, write_copy, write_note
from autoadapt.shelves import EXECUTORS, FAMILIES, SAMPLERS
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.rebuilding import restore_trials
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask


@dataclass(frozen=True)
class StandIns:
    """Parts that a simulation or a test puts in place of those that the task names; None leaves the task's."""

    executor: Executor | None = None
    storage: BaseStorage | None = None
    sampler: Sampler | None = None
    lasting: bool = True
    """Whether anything is written to disk."""


@dataclass(frozen=True)
class Resources:
    """Everything open that a search needs."""

    resolved: ResolvedTask
    folder: RunFolder
    supervisor: Supervisor
    study: optuna.Study
    sampler: Sampler
    portfolio: Portfolio
    on_event: Callable[[Event], None]
    """Called with every event."""
    notes: tuple[str, ...] = ()
    """What is worth saying when the search starts."""
    plan: Callable[[], Plan | None] = field(default=lambda: None)
    """Gives the plan that was made for this very task, if any."""
    outages: Outages = field(default_factory=lambda: Outages(limit_seconds=0))
    """How outages of the task's database are waited out."""

    def look_after_jobs(self) -> None:
        """What a driver does for its workers while it waits for a database."""
        self.supervisor.look_after_jobs()
        self.folder.tick()

    def abandon_jobs(self, seconds: float) -> None:
        """Ends running jobs without telling Optuna; a later run finds their outcomes in the run folder.

        Args:
            seconds: that trainings may take to save.
        """
        self.supervisor.stop_running("the database of the study does not answer", seconds)
        while (finished := self.supervisor.next_finished(timeout=0.0)) is not None:
            self.folder.add(finished.folder, finished.job, finished.outcome)

    def keep_copy(self) -> None:
        """Leaves a copy of a study that is in a database, so that reading the run folder needs no database."""
        if self.resolved.task.storage is not None and self.folder.lasting:
            with contextlib.suppress(DatabaseAwayError):  # what reads the run folder asks the database then
                write_copy(self.study, self.folder.root / COPY_FILE)


@contextlib.contextmanager
def open_resources(
    resolved: ResolvedTask,
    root: Path,
    on_event: Callable[[Event], None],
    warm_start: Sequence[Path] = (),
    stand_ins: StandIns = StandIns(),
    plan: Callable[[], Plan | None] = lambda: None,
) -> Iterator[Resources]:
    """Opens a study's run folder, workers and database; closes them whatever happens.

    Args:
        resolved: the task.
        root: the run folder.
        on_event: called with every event.
        warm_start: folders of finished runs whose frontiers are tried first.
        stand_ins: of a simulation or a test.
        plan: gives the plan that was made for this task.

    Raises:
        UserError: the folder or the database cannot be used, the machine cannot do what the task asks, or the folder
            holds a study of another question.
    """
    task = resolved.task
    executor = stand_ins.executor or EXECUTORS.new(task.compute.executor.name, task.compute.executor.settings)
    folder = RunFolder(root, lasting=stand_ins.lasting, now=executor.now)
    with contextlib.ExitStack() as stack:
        folder.open()
        stack.callback(folder.close)
        if folder.lasting:
            check_same(root / LOCK_FILE, resolved)
        outages = Outages(task.storage_timeout_s)
        shared = None
        if task.storage is not None and folder.lasting and stand_ins.storage is None:
            shared = open_shared(task, root, resolved.identity(), outages)
            stack.callback(close_storage, shared.storage)
        answering = [*_check_models(resolved, root), *_qualify(resolved, root)] if folder.lasting else []
        compute = task.compute.model_copy(update={"slots": 1}) if task.search.deterministic else task.compute
        supervisor = Supervisor(executor, compute, root, folder.prepare, resolved.preload)
        stack.callback(supervisor.close)
        notes = list(_freeze(resolved, folder, supervisor)) if folder.lasting else []
        study, restored = _open_study(resolved, folder, supervisor.saves, shared, stand_ins)
        stack.callback(close_study, study)
        notes += restored
        portfolio = Portfolio(study, resolved.space, warm_start)
        notes = [*portfolio.load(), *resolved.splits.notes, *resolved.warnings, *answering, *notes]
        if folder.lasting:
            write_note(study, _about(resolved))
        sampler = stand_ins.sampler or SAMPLERS.new(task.search.sampler.name, task.search.sampler.settings)
        yield Resources(resolved, folder, supervisor, study, sampler, portfolio, on_event, tuple(notes), plan, outages)


def _open_study(
    resolved: ResolvedTask, folder: RunFolder, saves: bool, shared: SharedStorage | None, stand_ins: StandIns
) -> tuple[optuna.Study, list[str]]:
    """The Optuna study, with every trial of the run folder, and a note where it lacked some."""
    storage = stand_ins.storage if shared is None else shared.storage
    study = open_study(folder.root / "study.db", resolved.task.name, resolved.goals, storage)
    if shared is not None:
        take_study(study, shared.owner)
    if not folder.lasting or not (restored := restore_trials(study, folder, resolved.space, saves)):
        return study, []
    what = "study.db was lost or damaged" if shared is None else "the database lacked trials of this run folder"
    return study, [f"{what}: {restored} trials are taken from the outcomes of their jobs"]


def _check_models(resolved: ResolvedTask, root: Path) -> Iterator[str]:
    """Asks models that are not on this machine whether they answer; yields notes on what they cannot do.

    Those that no method can be used with are not asked.

    Raises:
        UserError: one does not; exit 7.
    """
    usd = resolved.task.budget.usd
    used = {name for models in resolved.space.pairs.models.values() for name in models}
    remote = [m for name, m in resolved.models.items() if resolved.capabilities[name].remote and name in used]
    if (proposing := resolved.proposing) is not None and proposing.capabilities.remote:
        remote += [proposing.reference] if proposing.reference.name not in used else []
    for model in remote:
        yield from FAMILIES.get(model.family).check(model, root, None if usd is None else float(usd))


def _qualify(resolved: ResolvedTask, root: Path) -> list[str]:
    """Finds out whether a metric that asks a server may be the objective; notes on what was found.

    Raises:
        UserError: it may not.
    """
    usd = resolved.task.budget.usd
    return resolved.metric.qualify(Asking(root, QUALIFYING, None if usd is None else float(usd)), resolved.asked)


def _freeze(resolved: ResolvedTask, folder: RunFolder, supervisor: Supervisor) -> Iterator[str]:
    """Writes splits and lock file; yields notes on what differs from an earlier run."""
    lock = folder.root / LOCK_FILE
    before = read_lock(lock)
    resolved.splits.write(folder.root / "data")
    write_lock(lock, resolved, supervisor.devices, supervisor.slots)
    if before is None:
        return
    if changed := changed_versions(before):
        yield f"this study was begun with other versions ({', '.join(changed)}): what they measured may differ a little"
    if before["hardware"].get("kind") != supervisor.devices.kind:
        yield (
            f"this study was begun on {before['hardware']['kind']}; options measured there are left off the "
            "frontier, because latencies of different hardware cannot be compared"
        )


def _about(resolved: ResolvedTask) -> str:
    """The study's note in optuna-dashboard."""
    task = resolved.task
    goals = "".join(
        f"- **{g.name}**: {g.title}, {'more' if g.direction == 'maximize' else 'less'} is better\n"
        for g in resolved.goals
    )
    return (
        f"# {task.name}\n\nAutoAdapt: which of {', '.join(task.methods)} on {', '.join(task.models)}?\n\n"
        f"{goals}\nQuality is {task.metric} on validation rows, from 0 to 1.\n\n"
        "Complete trials were measured at full fidelity. Pruned ones were stopped at a lower one and have no values "
        "here; their notes say why. `autoadapt report` has test scores, intervals and the recommendation.\n"
    )
