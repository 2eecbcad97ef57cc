"""Taking up what an earlier run left: finished trials are counted, unfinished ones go on from their last outcome."""

import optuna

from autoadapt.domain.trial import Candidate
from autoadapt.study.racing import Runner
from autoadapt.study.search import Active, Search
from autoadapt.study.storage import reopened
from autoadapt.verdict.objectives import objectives
from autoadapt.worker.run import METHODS


def take_up(search: Search) -> None:
    """Takes up what an earlier run left: tells finished trials, queues unfinished ones."""
    interrupted = search.folder.settle_interrupted(search.executor.devices)
    frozen_trials = search.study.get_trials(deepcopy=False)
    for frozen in frozen_trials:
        if frozen.state != optuna.trial.TrialState.WAITING and frozen.state != optuna.trial.TrialState.RUNNING:
            _finished(search, frozen)
    running = [f for f in frozen_trials if f.state == optuna.trial.TrialState.RUNNING]
    for frozen in running:
        trial = reopened(search.study, frozen)
        if search.admit(trial):
            _replay(search, search.active[trial.number])
    if frozen_trials and search.tried():
        search.emit(
            "resumed",
            f"{search.tried() - len(running)} trials were finished before; "
            f"{len(running)} go on ({interrupted} steps were interrupted)",
        )


def _finished(search: Search, frozen: optuna.trial.FrozenTrial) -> None:
    if "same_as" in frozen.user_attrs:
        search.counts["cached"] += 1
        return
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[frozen.state.name]
    search.counts[state] += 1
    stored = frozen.user_attrs.get("candidate")
    if stored is None:
        return
    candidate = Candidate.model_validate(stored)
    if frozen.user_attrs.get("stopped_by") != "budget":
        search.by_key[candidate.key()] = frozen.number
    search.trial_histories.begin(frozen.number, candidate)
    tunes = METHODS.get(candidate.method).tunes
    for record in search.folder.of(frozen.number):
        if record.outcome is not None and record.outcome.measurement is not None:
            measured, step = objectives(record.outcome, search.resolved.metric, search.task.economics), record.step
            search.trial_histories.reach(frozen.number, step.rung, step.fidelity, tunes, record.outcome, measured)
            search.points[candidate.method, step.rung].append(measured)
    search.trial_histories.state(frozen.number, "failed" if state == "failed" else "done")
    done = [r.outcome for r in search.folder.of(frozen.number) if r.outcome and r.outcome.measurement]
    if state == "complete" and done:
        search.results.add(frozen.number, done[-1])
        if not tunes and done[-1].measurement is not None:
            search.runners[frozen.number] = Runner.of(done[-1].measurement, measured)


def _replay(search: Search, active: Active) -> None:
    """Brings an open trial to where its outcomes say it is; its place in the queue stays unless it ended."""
    number = active.trial.number
    for record in search.folder.of(number):
        outcome = record.outcome
        if number not in search.active or outcome is None:
            break
        if outcome.failure is not None and outcome.failure.kind in ("interrupted", "disk"):
            continue
        if number in search.queue:
            search.queue.remove(number)
        if outcome.failure is not None:
            search.handle_failure(record.step, outcome.failure)
        else:
            active.rung = record.step.rung
            search.take(active, outcome)
