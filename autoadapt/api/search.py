"""Search: a whole study from a task to its report; what ``autoadapt search`` calls."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autoadapt.api.sources import TaskSource, resolve_source
from autoadapt.api.study import Study
from autoadapt.assess.end_of_search import EndOfSearch
from autoadapt.assess.verdicts import give_verdict
from autoadapt.domain.events import Event
from autoadapt.domain.plan import Plan
from autoadapt.errors import Exit, UserError
from autoadapt.files import is_full_disk
from autoadapt.forecast.memory import check_memory
from autoadapt.forecast.planning import check_budget
from autoadapt.forecast.probing import first_candidates, kept_plan
from autoadapt.runs.database import check_database, unusable
from autoadapt.runs.driver_report import Begun, Reporter
from autoadapt.runs.importances import importances
from autoadapt.runs.outages import DatabaseAwayError
from autoadapt.runs.results import read_results
from autoadapt.runs.storage import STORAGE_ERRORS, storage_error
from autoadapt.study.resources import Resources, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import GRACE_SECONDS, StopSignals
from autoadapt.study.tracking import TrackerNotifier
from autoadapt.study.unmeasured import unmeasured_methods
from autoadapt.tasks.resolve import ResolvedTask

OnEvent = Callable[[Event], None]


def search(
    task: TaskSource,
    *,
    overrides: Sequence[str] = (),
    runs: str | Path = "runs",
    warm_start: Sequence[str | Path] = (),
    on_event: OnEvent | None = None,
    trackers: Sequence[str] = (),
) -> Study:
    """Searches, or resumes what was interrupted, and writes the report; like ``autoadapt search``.

    Args:
        task: a task file, or its content as a mapping (files are then looked for in the working directory).
        overrides: ``a.b=c`` settings that win over the task.
        runs: folder of all studies.
        warm_start: folders of earlier runs whose frontiers are tried first.
        on_event: called with everything that happens.
        trackers: names in the trackers folder.

    Raises:
        UserError: the task is wrong, or the environment fails; its `code` is the exit code of the command line.
        KeyboardInterrupt: it was stopped; the same call resumes it.
    """
    code, root = run_search(task, overrides, runs, warm_start, on_event, trackers)
    if code in (Exit.INTERRUPTED, Exit.TERMINATED):
        raise KeyboardInterrupt(f"stopped; finished trials are in {root}")
    study = Study.load(root)
    if study.raws:
        study.report()
    return study


def run_search(
    task: TaskSource,
    overrides: Sequence[str] = (),
    runs: str | Path = "runs",
    warm_start: Sequence[str | Path] = (),
    on_event: OnEvent | None = None,
    trackers: Sequence[str] = (),
) -> tuple[Exit, Path]:
    """Runs or resumes a study; arguments as of `search`.

    Returns:
        The run folder, and OK; NOTHING_FITS when no option satisfies the constraints; PARTIAL when a limit cut the work
        short; the code of the signal that stopped it.

    Raises:
        UserError: it cannot be started, or its storage fails.
    """
    resolved = resolve_source(task, overrides, download=True)
    root = Path(runs) / resolved.task.name
    if resolved.task.storage is not None:
        check_database(resolved.task.storage)
    resolved = resolved.with_warnings(check_memory(resolved, first_candidates(resolved)))
    if not (root / "trials").exists():
        check_budget(resolved, root)
    plan = _plan(resolved, root)
    resolved = resolved.with_warnings(_not_promised(plan()))
    earlier = [Path(folder) for folder in warm_start]
    for folder in earlier:
        read_results(folder)
    reporter = Reporter(root, _begun(task, overrides, runs, earlier, trackers), on_event or _ignore)
    notifier = TrackerNotifier(resolved, root, reporter, trackers)
    try:
        with (
            StopSignals() as stop,
            open_resources(resolved, root, notifier, earlier, plan=plan) as resources,
        ):
            notifier.begin(resources.study)
            return _reported(resources, stop, reporter), root
    except (*STORAGE_ERRORS, DatabaseAwayError) as error:
        if resolved.task.storage is not None:
            raise unusable(resolved.task.storage, error, during_search=True) from error
        raise storage_error(root / "study.db", error) from error
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise UserError(
            f"{error.filename or root}: {error.strerror}; make room and run the same command to resume",
            Exit.ENVIRONMENT,
        ) from error


def _begun(
    task: TaskSource, overrides: Sequence[str], runs: str | Path, warm_start: Sequence[Path], trackers: Sequence[str]
) -> Begun | None:
    """How this search is begun; None: with a task that is no file."""
    if not isinstance(task, str | Path):
        return None
    return Begun(
        task=str(Path(task).absolute()),
        overrides=list(overrides),
        runs=str(Path(runs).absolute()),
        warm_start=[str(folder.absolute()) for folder in warm_start],
        trackers=list(trackers),
    )


def _reported(resources: Resources, stop: StopSignals, reporter: Reporter) -> Exit:
    """The search, which reports where it stands from its beginning to its end."""
    reporter.begin(stop.ask)
    code: Exit | None = None
    try:
        code = _search_through_outages(resources, stop, reporter)
    finally:
        reporter.end(code)
    return code


def _search_through_outages(resources: Resources, stop: StopSignals, reporter: Reporter) -> Exit:
    """Searches; where the database of the task is away when a stop is asked for, or for too long, jobs are ended first.

    Raises:
        DatabaseAwayError: it is away for too long.
    """
    supervisor, outages = resources.supervisor, resources.outages
    supervisor.asked_to_stop = outages.asked_to_stop = lambda: stop.code is not None

    def meanwhile() -> None:
        resources.look_after_jobs()
        reporter.look()

    outages.meanwhile = meanwhile
    try:
        code = _search(resources, stop)
    except DatabaseAwayError:
        resources.abandon_jobs(GRACE_SECONDS[stop.code or Exit.TERMINATED])
        if stop.code is None:
            raise
        return stop.code
    resources.keep_copy()
    return code


def _search(resources: Resources, stop: StopSignals) -> Exit:
    search = Search(resources)
    resources.outages.say = lambda text: search.emit("note", text)
    search.resume()
    search.run(stop)
    supervisor = resources.supervisor
    end = EndOfSearch(search, supervisor.slots, alone=supervisor.devices.accelerator == "cpu")
    if stop.code is None:
        end.run(stop)
    if stop.code is not None:
        if supervisor.running_jobs():
            search.emit("note", "stopping; trainings save a checkpoint first")
        search.stand_down(GRACE_SECONDS[stop.code])
    else:
        end.begin_verdict()
        measured, budget_ended = search.results.trials, not search.exhausted
        unmeasured = unmeasured_methods(search.resolved, measured, resources.study, budget_ended)
        search.results.verdict = give_verdict(search, end.jobs, unmeasured)
        search.results.importances = importances(
            resources.study.get_trials(deepcopy=False), search.resolved.goals, search.resolved.task.seed
        )
    search.results.write(search.status())
    return stop.code if stop.code is not None else _exit_code(search, end)


def _exit_code(search: Search, end: EndOfSearch) -> Exit:
    advice = search.results.recommendation()
    hint = ""
    if advice.best_quality is None and search.stopped_by is not None:
        usd = search.status().spent.usd
        hint = f" The cheapest possible run costs more than this one's ${usd:.2g}: `autoadapt plan` says how much."
    search.emit("finished", advice.reason + hint)
    if advice.best_quality is None or end.unscored:
        return Exit.PARTIAL
    return Exit.OK if advice.meets_constraints else Exit.NOTHING_FITS


def _not_promised(plan: Plan | None) -> list[str]:
    """What the plan says that the budget does not pay for."""
    if plan is None or plan.learning_curve is not False:
        return []
    return [
        "what the end of the search may take of the budget probably does not pay for a learning curve: "
        "the gain of more labels will not be known"
    ]


def _plan(resolved: ResolvedTask, root: Path) -> Callable[[], Plan | None]:
    """The plan that was made for this task; it is read once, because hashing the data takes time."""
    plans: list[Plan | None] = []

    def plan() -> Plan | None:
        if not plans:
            plans.append(kept_plan(resolved, root))
        return plans[0]

    return plan


def _ignore(event: Event) -> None:
    pass
