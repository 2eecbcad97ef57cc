"""A study in virtual time: the clock jumps, slots work side by side, budget, rungs and objectives are those of a real one."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import optuna
import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.task import Budget, Compute, Constraints, SearchSettings
from autoadapt.errors import UserError
from autoadapt.executors.replay import Answers, Replay, Simulated
from autoadapt.files import read_model, write_json
from autoadapt.forecast.simulation import SimulatedTask, SimulatedTimes, simulate, simulated_answer
from autoadapt.runs.results import Results, write_results
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.samplers.cost_aware import CostAware
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.search import Search

TRAIN_SECONDS = {"prompt": 0.0, "lora": 90.0, "full": 300.0}
BEST = {"prompt": 0.5, "lora": 0.8, "full": 0.85}


def answers(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
    rate = float(candidate.params.get("learning_rate") or 1e-3)
    times = SimulatedTimes(
        train_seconds=TRAIN_SECONDS[candidate.method] * fidelity.steps,
        seconds_per_row=0.01,
        latency_ms=10.0 + 5.0 * float(candidate.params.get("shots") or 0),
        loading_seconds=1.0,
    )
    return simulated_answer(BEST[candidate.method] - 0.3 * abs(rate - 1e-3), fidelity.rows, times, seed)


def run(
    sampler: str = "random",
    rungs: bool = True,
    least_gain: float = 0.0,
    slots: int = 4,
    seed: int = 3,
    answering: Answers = answers,
    **task: Any,
) -> Search:
    """A search of the joint space; keyword arguments of the task replace 20 trials."""
    settings = SearchSettings.model_validate({"sampler": sampler, "rungs": rungs, "least_gain": least_gain})
    simulated = SimulatedTask("joint", **{"budget": Budget(trials=20), **task})
    return simulate(simulated, answering, settings, slots=slots, seed=seed)


def fits(search: Search) -> list[tuple[Fit, Record]]:
    return [(record.job, record) for record in search.folder.records if isinstance(record.job, Fit)]


def seconds(record: Record) -> float:
    assert record.outcome is not None
    return record.outcome.seconds


def jobs(search: Search) -> list[tuple[int, int, float]]:
    return [(job.trial, job.rung, seconds(record)) for job, record in fits(search)]


@pytest.mark.parametrize("sampler", ["random", "tpe", "cost_aware"])
def test_equal_seeds_repeat_the_study(sampler: str) -> None:
    assert jobs(run(sampler, budget=Budget(trials=8))) == jobs(run(sampler, budget=Budget(trials=8)))


def test_other_seed_differs() -> None:
    assert jobs(run()) != jobs(run(seed=4))


def test_slots_work_side_by_side_in_virtual_time() -> None:
    one, four = run(slots=1, rungs=False), run(slots=4, rungs=False)
    assert one.folder.wall_seconds == pytest.approx(one.status().spent.device_seconds)
    assert four.folder.wall_seconds < 0.5 * one.folder.wall_seconds
    assert one.folder.wall_seconds > 1000


def test_simulation_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(budget=Budget(trials=4))
    assert not list(tmp_path.iterdir())


def test_further_rung_takes_only_the_rest_of_the_training() -> None:
    search = run(budget=Budget(trials=40))
    second = [(job, record) for job, record in fits(search) if job.rung == 1 and job.candidate.method == "full"]
    assert second
    for job, record in second:
        first_job, first = next((j, r) for j, r in fits(search) if j.trial == job.trial and j.rung == 0)
        assert seconds(first) == pytest.approx(100 + 0.01 * first_job.fidelity.rows + 1)
        assert seconds(record) == pytest.approx(200 + 0.01 * job.fidelity.rows + 1)


@pytest.mark.parametrize("sampler", ["random", "cost_aware"])
def test_budget_in_usd(sampler: str) -> None:
    search = run(sampler, budget=Budget(usd=Decimal("0.5")), slots=2)
    longest = max(seconds(record) for _, record in fits(search))
    hour_usd = float(search.resolved.task.economics.hour_usd)
    assert 0.3 < search.status().spent.usd <= 0.5 + longest / 3600 * hour_usd


@pytest.mark.parametrize("sampler", ["random", "cost_aware"])
def test_budget_in_hours(sampler: str) -> None:
    search = run(sampler, budget=Budget(hours=0.08), slots=2)
    longest = max(seconds(record) for _, record in fits(search))
    assert 120 < search.status().spent.wall_seconds <= 288 + longest


@pytest.mark.parametrize(
    ("usd", "seeds"),
    [("0.23", 2), *(pytest.param(usd, 6, marks=pytest.mark.slow) for usd in ("0.05", "0.11", "0.17", "0.31"))],
)
def test_promoted_trial_that_the_budget_overtakes_is_given_up(usd: str, seeds: int) -> None:
    for seed in range(seeds):
        search = run("tpe", budget=Budget(usd=Decimal(usd)), slots=3, seed=seed)
        status = search.status()
        assert not status.running
        assert status.spent.trials == status.complete + status.stopped_early + status.failed
        states = {trial.state for trial in study_of(search).get_trials(deepcopy=False)}
        assert not states & {optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.WAITING}


def test_cheap_first_candidates_get_all_of_the_work() -> None:
    search = run("cost_aware", budget=Budget(usd=Decimal(200), trials=8), slots=1)
    by_trial = [[job for job, _ in fits(search) if job.trial == trial] for trial in range(4)]
    assert [jobs[0].candidate.method for jobs in by_trial] == ["prompt", "prompt", "lora", "full"]
    assert all(jobs[-1].fidelity.rows == 200 and jobs[-1].fidelity.steps == 1.0 for jobs in by_trial)
    assert [len(jobs) for jobs in by_trial] == [2, 1, 1, 1], "the first prompt, whose price is not known, after a part"


def test_expensive_first_candidates_compete_with_others_but_every_method_is_tried() -> None:
    search = run("cost_aware", budget=Budget(usd=Decimal("0.08")))
    first = {json.dumps(p, sort_keys=True) for p in search.resolved.space.first()}
    asked = [t.params for t in study_of(search).get_trials(deepcopy=False)]
    assert {params["method"] for params in asked[:6]} == {"prompt", "lora", "full"}
    assert len(asked) > 6
    first_asked = {json.dumps(p, sort_keys=True) for p in asked[:4]}
    assert not first <= first_asked or search.status().spent.trials > len(first)


@pytest.mark.parametrize("usd", ["0.08", "0.25"])
def test_no_candidate_is_asked_for_that_the_budget_does_not_pay_for(usd: str) -> None:
    """Each cost a decision, and fifty of them came before a search waited for what was running."""
    search = run("cost_aware", budget=Budget(usd=Decimal(usd)))
    refused = [
        t.user_attrs["refused"] for t in study_of(search).get_trials(deepcopy=False) if "refused" in t.user_attrs
    ]
    assert refused == []
    assert search.stopped_by == "budget"


@pytest.mark.parametrize("sampler", ["cost_aware", "random"])
def test_slots_side_by_side_get_distinct_candidates(sampler: str) -> None:
    """Four slots of one seed; workers of their own with one seed would all try the same."""
    search = run(sampler, budget=Budget(trials=60), slots=4, rungs=False)
    candidates = [job.candidate.key() for job, _ in fits(search)]
    assert len(candidates) >= 40
    assert len(set(candidates)) >= 0.99 * len(candidates)


def test_constraint_steers_the_search() -> None:
    def slow(**constraints: Any) -> int:
        searches = [run("cost_aware", budget=Budget(trials=30), seed=seed, **constraints) for seed in (3, 4, 5)]
        begun = [job for search in searches for job, _ in fits(search) if job.rung == 0]
        return sum(float(job.candidate.params.get("shots") or 0) > 1 for job in begun)

    assert slow(constraints=Constraints(latency_p95_ms=18.0)) < slow()


def test_converged_search_stops_after_the_first_candidates() -> None:
    search = run("cost_aware", budget=Budget(trials=200), least_gain=0.2)
    assert search.exhausted
    first = len(search.resolved.space.first())
    assert first <= search.status().spent.trials < 100
    assert {job.trial for job, _ in fits(search)} >= set(range(first))


def test_discarded_option_does_not_return_when_more_is_expected_of_it() -> None:
    trials = run(rungs=False).results.trials
    best = trials.frontier()[0]
    trials.discarded.add(best)
    trials.expect({best: 1.0})
    assert best not in trials.frontier()
    assert best in trials.discard_dominated()
    assert best not in trials.frontier()


def test_option_that_is_best_as_measured_but_not_as_expected_is_not_discarded() -> None:
    trials = run(rungs=False).results.trials
    lucky = trials.frontier()[0]
    trials.expect({lucky: 0.0})
    assert lucky not in trials.discard_dominated()


def test_error_of_the_answering_function_is_a_failed_trial() -> None:
    def sometimes(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        if candidate.method == "lora":
            raise ValueError("no such thing")
        return answers(candidate, fidelity, seed)

    search = run(answering=sometimes, budget=Budget(trials=12), seed=1)
    status = search.status()
    assert status.failed > 0
    assert status.complete > 0
    assert {r.failure.reason for _, r in fits(search) if r.failure} == {"ValueError: no such thing"}


# -- objectives


@pytest.mark.parametrize("sampler", ["random", "tpe", "cost_aware"])
@pytest.mark.parametrize(
    "objectives",
    [
        ("quality", "latency_ms"),
        ("quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "energy_wh"),
    ],
    ids=["two", "five"],
)
def test_frontier_of_two_and_of_five_objectives(sampler: str, objectives: tuple[str, ...]) -> None:
    search = run(sampler, objectives=objectives, budget=Budget(trials=16))
    frontier = search.results.frontier()
    assert frontier
    assert all(list(option.values) == list(objectives) for option in frontier)
    goals = {goal.name: goal.maximized for goal in search.resolved.goals}
    measured = search.results.trials.values().values()
    best = max(values["quality"] for values in measured)
    assert frontier[0].values["quality"] == best
    for option in frontier:
        assert not any(dominates(values, option.values, goals) for values in measured)
    directions = [d.name.lower() for d in study_of(search).directions]
    assert directions == [goal.direction for goal in search.resolved.goals]


def test_frontier_without_quality_and_with_the_least_energy() -> None:
    search = run(objectives=("energy_wh", "latency_ms"), budget=Budget(trials=10))
    energies = [values["energy_wh"] for values in search.results.trials.values().values()]
    assert search.results.frontier()[0].values["energy_wh"] == min(energies)


def test_options_without_quality_among_the_objectives_are_advised_by_their_quality() -> None:
    search = run(objectives=("cost_usd_per_1k", "latency_ms"), budget=Budget(trials=10))
    options = search.results.options()
    assert all(option.quality_expected == option.quality for option in options)
    best = max(search.results.frontier(), key=lambda option: option.quality)
    assert search.results.recommendation().best_quality == best.trial
    assert all("quality" not in t.user_attrs for t in study_of(search).get_trials(deepcopy=False))


def test_a_simulated_search_says_what_its_model_expects_when_asked() -> None:
    search = run("cost_aware", budget=Budget(trials=16), rungs=False)
    assert all(o.quality_expected == o.quality for o in search.results.options()), "that takes time, so nothing unasked"
    search.update_expected()
    corrected = search.results.options()
    assert any(o.quality_expected != o.quality for o in corrected)
    assert all(abs(o.quality_expected - o.quality) < 0.1 for o in corrected)


def test_what_is_expected_of_a_cost_is_near_what_was_measured() -> None:
    def uneven(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        row_seconds = 0.01 * (1 + int(candidate.key(), 16) % 7)
        return simulated_answer(0.5, fidelity.rows, SimulatedTimes(0.0, row_seconds, 10.0), seed)

    objectives = ("energy_wh", "latency_ms")
    search = run("cost_aware", objectives=objectives, answering=uneven, budget=Budget(trials=16), rungs=False)
    measured = {t.number: t.reached[-1].values["energy_wh"] for t in search.history().trials if t.reached}
    believed = CostAware().believed(search.history())
    assert set(believed) == set(measured)
    assert believed == {trial: pytest.approx(value, rel=0.04) for trial, value in measured.items()}


@pytest.mark.parametrize(("objective", "races"), [("cost_usd_per_1k", False), ("quality", True)])
def test_prompts_race_on_rows_only_where_quality_is_an_objective(objective: str, races: bool) -> None:
    def uneven(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        good = int(candidate.key(), 16) % 2
        times = SimulatedTimes(0.0, seconds_per_row=0.01 + 0.01 * good, latency_ms=10.0)
        return simulated_answer(0.95 if good else 0.3, fidelity.rows, times, seed)

    search = run(
        "random",
        objectives=(objective, "latency_ms"),
        methods=("prompt",),
        answering=uneven,
        budget=Budget(trials=20),
    )
    seen = {(job.candidate.key(), job.rung) for job, _ in fits(search)}
    dropped = {key for key, _ in seen} - {key for key, rung in seen if rung == 1}
    assert any(int(key, 16) % 2 == 0 for key in dropped) == races
    assert search.status().complete >= 4


def test_constraint_on_what_is_no_objective_has_options_to_choose_from() -> None:
    def uneven(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        good = candidate.method == "prompt"
        times = SimulatedTimes(0.0, seconds_per_row=0.02 if good else 0.002, latency_ms=10.0)
        return simulated_answer(0.9 if good else 0.6, fidelity.rows, times, seed)

    task: dict[str, Any] = {"objectives": ("quality", "latency_ms"), "methods": ("prompt", "head"), "rungs": False}
    limited = run(answering=uneven, constraints=Constraints(cost_usd_per_1k=0.005), **task).results
    chosen = limited.recommendation().trial
    assert chosen is not None
    assert limited.option(chosen).cost_usd_per_1k <= 0.005
    free = run(answering=uneven, **task).results.trials.frontier()
    assert set(free) < set(limited.trials.frontier())


def dominates(one: dict[str, float], other: dict[str, float], maximized: dict[str, bool]) -> bool:
    differences = [(one[n] - other[n]) * (1 if up else -1) for n, up in maximized.items()]
    return min(differences) >= 0 and max(differences) > 0


# -- recordings and warm starts


def study_of(search: Search) -> optuna.Study:
    return search._trials.study


@pytest.fixture
def recorded_run(tmp_path: Path) -> Path:
    """A run folder with two recorded prompts."""
    search = run(budget=Budget(trials=2))
    folder = RunFolder(tmp_path / "recorded")
    for record in search.folder.records:
        target = folder.prepare(record.job)
        assert record.outcome is not None
        write_json(target / "outcome.json", record.outcome)
    save_results(search, folder.root)
    return folder.root


def save_results(search: Search, root: Path) -> None:
    """Results as a search on disk would have left them."""
    results = Results(
        options=search.results.options(),
        measured=[search.results.raw(trial) for trial in search.results.trials.trials()],
        recommendation=search.results.recommendation(),
        spent=search.status().spent,
    )
    write_results(root, results)


def test_recorded_job_is_answered_as_it_was(tmp_path: Path, recorded_run: Path) -> None:
    replay = Replay()
    replay.open(tmp_path, Compute(recording=str(recorded_run), slots=2))
    path = min(recorded_run.glob("trials/*/rung0/job.json"))
    job, known = read_model(path, Fit), read_model(path.parent / "outcome.json", Outcome)
    assert job is not None
    assert known is not None
    group = replay.start(0)
    group.send(job, tmp_path)
    assert group.signals() == []
    replay.wait(0.0)
    (done,) = group.signals()
    stored = read_model(tmp_path / "outcome.json", Outcome)
    assert stored is not None
    assert stored.result == known.result
    assert done == type(done)(0, tmp_path, outcome=stored)
    assert replay.now() == pytest.approx(known.seconds)


def test_warm_start_tries_earlier_options_after_the_first_candidates(tmp_path: Path) -> None:
    before = run(budget=Budget(trials=30))
    save_results(before, tmp_path)
    options = before.results.options()
    portfolio = Portfolio(optuna.create_study(), before.resolved.space, [tmp_path])
    notes = portfolio.load()
    assert notes == [f"warm start: {len(options)} of the {len(options)} options of {tmp_path} are in this space"]
    asked = portfolio.left(())
    own = [before.resolved.space.candidate(p) for p in before.resolved.space.first()]
    assert asked[: len(own)] == own
    earlier = {json.dumps(o.params, sort_keys=True) for o in options}
    assert earlier <= {json.dumps(c.params, sort_keys=True) for c in asked}
    assert portfolio.left({c.key() for c in own}) == asked[len(own) :]


def test_warm_start_is_fixed_once(tmp_path: Path, recorded_run: Path) -> None:
    space, study = run(budget=Budget(trials=2)).resolved.space, optuna.create_study()
    first = Portfolio(study, space, [recorded_run])
    assert first.load()
    assert first.load() == []
    again = Portfolio(study, space)
    assert again.load() == []
    assert again.candidates == first.candidates
    assert again.job_seconds == first.job_seconds


def test_warm_start_from_an_empty_folder_error(tmp_path: Path) -> None:
    space = run(budget=Budget(trials=2)).resolved.space
    with pytest.raises(UserError, match="there is no study"):
        Portfolio(optuna.create_study(), space, [tmp_path / "none"]).load()


def test_warm_start_knows_the_time_of_earlier_jobs(recorded_run: Path) -> None:
    before = run(budget=Budget(trials=2))
    portfolio = Portfolio(optuna.create_study(), before.resolved.space, [recorded_run])
    portfolio.load()
    times = {r.outcome.fit_measure_seconds for j, r in fits(before) if r.outcome and j.fidelity.rows == 200}
    (took,) = times
    assert portfolio.job_seconds == {("prompt", "model"): pytest.approx(took, rel=0.5)}


def test_replay_without_a_recording_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"compute\.recording"):
        Replay().open(tmp_path, Compute())
    with pytest.raises(UserError, match="there is no finished job"):
        Replay().open(tmp_path, Compute(recording=str(tmp_path)))
