"""A whole study from a resolved task to an exit code."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from autoadapt.domain.events import Event
from autoadapt.errors import Exit
from autoadapt.forecast.planning import check_budget, check_memory
from autoadapt.study.portfolio import read_frontier
from autoadapt.assess.rescoring import fit_again, measure_load, rescore
from autoadapt.tasks.resolve import Resolved
from autoadapt.study.resuming import resume
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.runs.storage import STORAGE_ERRORS, storage_error
from autoadapt.study.tracking import TrackerNotifier
from autoadapt.assess.verdicts import give_verdict


def run_study(
    resolved: Resolved,
    root: Path,
    on_event: Callable[[Event], None],
    warm_start: Sequence[Path] = (),
    trackers: Sequence[str] = (),
) -> Exit:
    """Runs or resumes a study.

    Args:
        resolved: the task.
        root: its run folder.
        on_event: told of everything that happens.
        warm_start: folders of finished runs whose frontiers are tried first.
        trackers: names in the trackers folder.

    Returns:
        OK; NOTHING_FITS when no option holds the constraints; PARTIAL when a limit cut the work short; the code of the
        signal that stopped it.

    Raises:
        UserError: it cannot be started, or its storage fails.
    """
    resolved = dataclasses.replace(resolved, warnings=(*resolved.warnings, *check_memory(resolved)))
    if not (root / "study.db").exists():
        check_budget(resolved, root)
    for earlier in warm_start:
        read_frontier(earlier)
    try:
        telling = TrackerNotifier(resolved.task, root, on_event, trackers)
        study = Search(resolved, RunFolder(root), telling, warm_start=warm_start)
        with StopSignals() as stop, study as search:
            telling.begin(search)
            resume(search)
            search.run(stop)
            if stop.code is None:
                rescore(search, stop)
                measure_load(search, stop)
                fit_again(search, stop)
            if stop.code is not None:
                search.stand_down()
            search.results.write(search.status())
            if stop.code is None:
                give_verdict(search)
            return stop.code if stop.code is not None else _end(search)
    except STORAGE_ERRORS as error:
        raise storage_error(root / "study.db", error) from error


def _end(search: Search) -> Exit:
    advice = search.results.recommendation()
    hint = ""
    if advice.best_quality is None and search.stopped_by is not None:
        usd = search.status().spent.usd
        hint = f" The cheapest possible run costs more than this one's ${usd:.2g}: `autoadapt plan` tells how much."
    search.emit("finished", advice.reason + hint)
    if advice.best_quality is None or search.results.outcomes_to_rescore():
        return Exit.PARTIAL
    return Exit.OK if advice.meets_constraints else Exit.NOTHING_FITS
