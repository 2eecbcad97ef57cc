"""The end of a search: the frontier scored once on rows the search never saw."""

from collections import deque

from autoadapt.domain.plugins import Finished
from autoadapt.domain.trial import Step
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals

TRY_AGAIN = ("crash", "oom")


def rescore(search: Search, stop: StopSignals) -> None:
    """Scores the frontier and the baseline on the test rows; ends early for a signal or when the budget is spent."""
    todo = deque(search.results.steps_to_rescore())
    if todo:
        search.emit("rescoring", f"{len(todo)} options are scored once on {todo[0].fidelity.rows} test rows")
    running = 0
    while (todo or running) and stop.code is None:
        while todo and search.executor.free:
            step = todo.popleft()
            search.executor.submit(step, search.folder.prepare(step))
            running += 1
        finished = search.executor.next_finished(timeout=0.5)
        search.folder.tick()
        if finished is not None:
            running -= 1
            todo.extend(_take(search, finished))
        held = sum(search.executor.running_seconds().values())
        if (todo or running) and search.ledger.reached(held, 0.0) is not None:
            search.emit("note", "the budget ended before all options were scored on test rows")
            search.stand_down()
            return


def _take(search: Search, finished: Finished) -> list[Step]:
    """Notes a result; returns the step to try once more, if it deserves it."""
    search.folder.add(finished.folder, finished.step, finished.outcome)
    failure = finished.outcome.failure
    said = "done" if failure is None else f"{failure.kind}: {failure.reason}"
    search.emit("rescored", said, finished.step.trial)
    tried = [r.outcome.failure for r in search.folder.of(finished.step.trial, "test") if r.outcome is not None]
    again = failure is not None and failure.kind in TRY_AGAIN
    if not again or sum(f is not None and f.kind in TRY_AGAIN for f in tried) > 1:
        return []
    return [finished.step.model_copy(update={"attempt": finished.step.attempt + 1})]
