"""The end of a search: the frontier scored once on rows the search never saw, measured under load, some fitted anew."""

import shutil
from collections import deque

from autoadapt.domain.plugins import Finished
from autoadapt.domain.trial import Step
from autoadapt.runs.run_folder import Record
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.assess.verdicts import curve_sizes, curve_trial

TRY_AGAIN = ("crash", "oom")


def rescore(search: Search, stop: StopSignals) -> None:
    """Scores the frontier and the baseline on the test rows; ends early for a signal or when the budget is spent."""
    todo = search.results.steps_to_rescore()
    if todo:
        search.emit("rescoring", f"{len(todo)} options are scored once on {todo[0].fidelity.rows} test rows")
    _run(search, stop, deque(todo), search.executor.slots, "scored on test rows")


def measure_load(search: Search, stop: StopSignals) -> None:
    """Measures the frontier and the baseline under load; ends early as `rescore` does.

    CPU slots share caches and memory, so there one option is measured at a time; a GPU belongs to its slot.
    """
    if search.results.outcomes_to_rescore():
        return  # the budget did not even pay for that
    todo = search.results.steps_under_load()
    if todo:
        search.emit("rescoring", f"{len(todo)} options are measured under load, each alone on its device")
    side_by_side = 1 if search.executor.devices.accelerator == "cpu" else search.executor.slots
    _run(search, stop, deque(todo), side_by_side, "measured under load")


def fit_again(search: Search, stop: StopSignals) -> None:
    """Fits what the verdict needs anew: for the learning curve, and with other seeds; as far as the budget pays."""
    results, task = search.results, search.task
    if results.outcomes_to_rescore() or not search.folder.lasting:
        return
    groups: list[tuple[str, list[tuple[int, int | None, int]]]] = []
    trial = curve_trial(results, results.recommendation())
    if task.evaluation.learning_curve and trial is not None:
        groups.append((f"the learning curve of trial {trial}", [(trial, rows, 0) for rows in curve_sizes(results)]))
    seeds = range(1, task.evaluation.seeds)
    groups += [(f"other seeds of trial {t}", [(t, None, i) for i in seeds]) for t in results.random_trials()]
    for name, asked in groups:
        todo = [results.step_again(*a) for a in asked if not any(map(_settled, results.again(*a)))]
        if not todo or stop.code is not None:
            continue
        if not search.ledger.allows(sum(_predicted(search, step) for step in todo), (), 0.0):
            search.emit("note", f"the budget does not pay for {name}")
            continue
        search.emit("rescoring", f"{len(todo)} fits for {name}")
        _run(search, stop, deque(todo), search.executor.slots, f"fitted for {name}")


def _settled(record: Record) -> bool:
    """Whether a step need not be run again: it was measured, or failed for a reason of its own."""
    failure = record.outcome.failure if record.outcome is not None else None
    return record.outcome is not None and (failure is None or failure.kind not in ("interrupted", "disk"))


def _predicted(search: Search, step: Step) -> float:
    """Device-seconds that fitting anew will take, from the option's own training and re-scoring."""
    raw = search.results.raw(step.trial)
    share = 1.0 if step.train_rows is None else step.train_rows / len(search.resolved.splits.train)
    answering = raw.inference_seconds / raw.rows * step.fidelity.rows
    return (share * raw.train_seconds + answering) * raw.devices


def _run(search: Search, stop: StopSignals, todo: deque[Step], side_by_side: int, what: str) -> None:
    running = 0
    while (todo or running) and stop.code is None:
        while todo and search.executor.free and running < side_by_side:
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
            search.emit("note", f"the budget ended before all options were {what}")
            search.stand_down()
            return


def _take(search: Search, finished: Finished) -> list[Step]:
    """Notes a result; returns the step to try once more, if it deserves it."""
    search.folder.add(finished.folder, finished.step, finished.outcome)
    if finished.step.split == "again":  # it was fitted to be measured, not to be kept
        shutil.rmtree(search.folder.root / finished.step.state_folder / "model", ignore_errors=True)
    failure = finished.outcome.failure
    said = "done" if failure is None else f"{failure.kind}: {failure.reason}"
    search.emit("rescored", said, finished.step.trial)
    past = search.folder.of(finished.step.trial, finished.step.split)
    tried = [r.outcome.failure for r in past if r.outcome is not None]
    again = failure is not None and failure.kind in TRY_AGAIN
    if not again or sum(f is not None and f.kind in TRY_AGAIN for f in tried) > 1:
        return []
    return [finished.step.model_copy(update={"attempt": finished.step.attempt + 1})]
