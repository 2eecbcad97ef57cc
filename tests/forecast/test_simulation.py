"""A study in virtual time: the clock jumps, slots work side by side, budget and rungs hold, runs can be replayed."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import optuna
import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Step
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.task import Budget, Compute, Constraints
from autoadapt.errors import UserError
from autoadapt.executors.replay import Replay, Simulated
from autoadapt.files import read_model, write_json
from autoadapt.forecast.simulation import measured, simulate
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.search import Search

COST = {"prompt": 0.0, "lora": 90.0, "full": 300.0}
BEST = {"prompt": 0.5, "lora": 0.8, "full": 0.85}


def answers(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
    rate = float(candidate.params.get("learning_rate") or 1e-3)
    return measured(
        quality=BEST[candidate.method] - 0.3 * abs(rate - 1e-3),
        rows=fidelity.rows,
        train_seconds=COST[candidate.method] * fidelity.steps,
        seconds_per_row=0.01,
        latency_ms=10.0 + 5.0 * float(candidate.params.get("shots") or 0),
        seed=seed,
        loading_seconds=1.0,
    )


def run(**changes: Any) -> Search:
    values: dict[str, Any] = {"budget": Budget(trials=20), "sampler": "random", "seed": 3, **changes}
    return simulate("joint", answers, values.pop("budget"), **values)


def told(search: Search) -> list[tuple[int, int, float]]:
    return [(r.step.trial, r.step.rung, r.outcome.seconds if r.outcome else 0.0) for r in search.folder.records]


def test_the_same_seed_repeats_the_study() -> None:
    for sampler in ("random", "tpe", "cost_aware"):
        assert told(run(sampler=sampler)) == told(run(sampler=sampler))
    assert told(run()) != told(run(seed=4))


def test_slots_work_side_by_side_and_the_clock_is_virtual() -> None:
    one, four = run(slots=1, rungs=False), run(slots=4, rungs=False)
    assert one.folder.wall_seconds == pytest.approx(one.ledger.spent(0).device_seconds)
    assert four.folder.wall_seconds < 0.5 * one.folder.wall_seconds
    assert one.folder.wall_seconds > 1000


def test_a_rung_pays_for_the_rest_of_the_training_alone() -> None:
    search = run(budget=Budget(trials=40))
    went_on = [r for r in search.folder.records if r.step.rung == 1 and r.step.candidate.method == "full"]
    assert went_on
    for record in went_on:
        first = next(r for r in search.folder.records if r.step.trial == record.step.trial and r.step.rung == 0)
        assert first.outcome is not None
        assert record.outcome is not None
        assert first.outcome.seconds == pytest.approx(100 + 0.01 * first.step.fidelity.rows + 1)
        assert record.outcome.seconds == pytest.approx(200 + 0.01 * record.step.fidelity.rows + 1)


@pytest.mark.parametrize("sampler", ["random", "cost_aware"])
@pytest.mark.parametrize("budget", [{"usd": Decimal("0.5")}, {"hours": 0.2}])
def test_the_budget_holds_in_virtual_time(sampler: str, budget: dict[str, Any]) -> None:
    search = run(sampler=sampler, budget=Budget(**budget), slots=2)
    spent = search.ledger.spent(0)
    longest = max(r.outcome.seconds for r in search.folder.records if r.outcome)
    if "usd" in budget:
        assert 0.3 < spent.usd <= 0.5 + search.ledger.usd(longest)
    else:
        assert 300 < spent.wall_seconds <= 720 + longest
    assert all(r.outcome is not None for r in search.folder.records)


@pytest.mark.parametrize("usd", ["0.05", "0.11", "0.17", "0.23", "0.31"])
def test_a_promoted_trial_that_the_budget_overtakes_is_given_up(usd: str) -> None:
    for seed in range(6):
        search = run(sampler="tpe", budget=Budget(usd=Decimal(usd)), slots=3, seed=seed)
        assert not search.active
        assert not search.queue


def test_the_cheap_part_of_the_portfolio_comes_first_each_with_all_of_the_work() -> None:
    search = run(sampler="cost_aware", budget=Budget(usd=Decimal(200), trials=8), slots=1)
    first = [r.step for r in search.folder.records if r.step.trial < 4]
    assert [s.candidate.method for s in first] == ["prompt", "prompt", "lora", "full"]
    assert all(s.fidelity.rows == 200 and s.fidelity.steps == 1.0 for s in first)


def test_a_dear_portfolio_competes_with_everything_else_but_every_method_is_tried() -> None:
    search = run(sampler="cost_aware", budget=Budget(usd=Decimal("0.8")))
    first = {json.dumps(p, sort_keys=True) for p in search.portfolio.params.values()}
    asked = [t.params for t in search.study.get_trials(deepcopy=False)]
    assert {m for p in asked[:6] for m in (p["method"],)} == {"prompt", "lora", "full"}
    assert len(asked) > 6
    assert not first <= {json.dumps(p, sort_keys=True) for p in asked[:4]} or search.tried() > len(first)


def test_constraints_steer_the_search() -> None:
    free = run(sampler="cost_aware", budget=Budget(trials=60))
    fast = run(sampler="cost_aware", budget=Budget(trials=60), constraints=Constraints(latency_p95_ms=18.0))

    def slow(search: Search) -> int:
        shots = [float(r.step.candidate.params.get("shots") or 0) for r in search.folder.records if r.step.rung == 0]
        return sum(s > 1 for s in shots)

    assert slow(fast) < slow(free)


def test_it_stops_when_nothing_promises_a_gain_but_not_before_the_portfolio_is_done() -> None:
    search = run(sampler="cost_aware", budget=Budget(trials=200), least_gain=0.2)
    assert search.searched_through
    assert len(search.resolved.space.first()) <= search.tried() < 100
    first = range(len(search.resolved.space.first()))
    assert {r.step.trial for r in search.folder.records} >= set(first)


def test_an_option_whose_weights_are_gone_does_not_come_back_when_more_is_expected_of_it() -> None:
    results = run(budget=Budget(trials=20), rungs=False).results
    best = results.frontier_trials()[0]
    results.gone.add(best)
    results.believe({best: 1.0})
    assert best not in results.frontier_trials()
    assert best not in results.discard_dominated()
    lucky = results.frontier_trials()[0]
    results.believe({lucky: 0.0})  # measured as the best of them, expected to be the worst: kept, not advised
    assert lucky in results.discard_dominated()


def test_an_answer_that_cannot_be_given_is_a_failed_trial() -> None:
    def sometimes(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        if candidate.method == "lora":
            raise ValueError("no such thing")
        return answers(candidate, fidelity, seed)

    search = simulate("joint", sometimes, Budget(trials=12), sampler="random", seed=1)
    assert search.counts["failed"] > 0
    assert search.counts["complete"] > 0
    reasons = [r.outcome.failure.reason for r in search.folder.records if r.outcome and r.outcome.failure]
    assert set(reasons) == {"ValueError: no such thing"}


def test_a_recording_answers_with_the_nearest_step(tmp_path: Path, recorded_run: Path) -> None:
    replay = Replay()
    replay.start(tmp_path, Compute(recording=str(recorded_run), slots=2))
    step = min(recorded_run.glob("trials/*/rung0/trial.json"))
    asked, known = read_model(step, Step), read_model(step.parent / "outcome.json", Outcome)
    assert asked is not None
    assert known is not None
    replay.submit(asked, tmp_path)
    finished = replay.next_finished(1.0)
    assert finished is not None
    assert finished.outcome.measurement == known.measurement
    assert replay.now() == pytest.approx(known.seconds)
    assert read_model(tmp_path / "outcome.json", Outcome) == finished.outcome


def test_a_warm_start_tries_what_was_good_elsewhere(tmp_path: Path) -> None:
    before = run(budget=Budget(trials=30))
    best = before.results.frontier()
    (tmp_path / "frontier.json").write_text(json.dumps([json.loads(o.model_dump_json()) for o in best]))
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    portfolio = Portfolio(study, before.resolved.space, [tmp_path])
    notes = portfolio.load()
    assert notes == [f"warm start: {len(best)} of the {len(best)} options of {tmp_path} are in this space"]
    assert portfolio.load() == []
    asked = portfolio.left(())
    own = [before.resolved.space.candidate(p) for p in before.resolved.space.first()]
    assert asked[: len(own)] == own
    assert {json.dumps(o.params, sort_keys=True) for o in best} <= {json.dumps(c.params, sort_keys=True) for c in asked}
    assert portfolio.left({c.key() for c in own}) == asked[len(own) :]
    with pytest.raises(UserError, match="give the folder of a finished run"):
        Portfolio(optuna.create_study(), before.resolved.space, [tmp_path / "none"]).load()


def test_a_warm_start_knows_what_earlier_trials_took(tmp_path: Path, recorded_run: Path) -> None:
    before = run(budget=Budget(trials=2))
    (recorded_run / "frontier.json").write_text("[]")
    portfolio = Portfolio(optuna.create_study(), before.resolved.space, [recorded_run])
    portfolio.load()
    (took,) = {
        r.outcome.fit_measure_seconds for r in before.folder.records if r.outcome and r.step.fidelity.rows == 200
    }
    assert portfolio.job_seconds == {("prompt", "model"): pytest.approx(took, rel=0.5)}
    again = Portfolio(portfolio.study, before.resolved.space)
    again.load()
    assert again.job_seconds == portfolio.job_seconds


def test_no_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"compute\.recording"):
        Replay().start(tmp_path, Compute())
    with pytest.raises(UserError, match="holds no finished step"):
        Replay().start(tmp_path, Compute(recording=str(tmp_path)))


def test_the_sample_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    samples = [part.split("```")[0] for part in readme.split("```python\n")[1:]]
    (sample,) = [s for s in samples if "simulate(" in s]
    exec(compile(sample, "README.md", "exec"), {})  # noqa: S102 - our own words
    assert "0.8" in capsys.readouterr().out


@pytest.fixture
def recorded_run(tmp_path: Path) -> Path:
    """A run folder with two recorded prompts."""
    search = run(budget=Budget(trials=2))
    folder = RunFolder(tmp_path / "recorded")
    for record in search.folder.records:
        assert record.outcome is not None
        target = folder.prepare(record.step)
        write_json(target / "outcome.json", record.outcome)
    return folder.root
