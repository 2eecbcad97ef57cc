"""The measures of benchmarks/search: the best that is attainable scores one, a search in virtual time scores less."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "search"
sys.path.insert(0, str(FOLDER))

import family_searches  # noqa: E402
from families import FamiliesTask  # noqa: E402
from family_natures import LONGER, SECONDS, SLOTS, TRAINED  # noqa: E402
from peers import SEARCHES  # noqa: E402
from problems import METHODS, Pick, Scale, joint_space  # noqa: E402
from record import grid  # noqa: E402
from recorded import Table  # noqa: E402

from autoadapt.domain.jobs import Fidelity  # noqa: E402
from autoadapt.domain.task import SearchSettings  # noqa: E402


@pytest.fixture(scope="module", params=["trec6", "sst2"])
def table(request: pytest.FixtureRequest) -> Table:
    return Table(request.param, 0)


def test_a_table_holds_every_candidate_of_its_grid_and_its_rows_are_split(table: Table) -> None:
    joint = joint_space(table)
    full = Fidelity(rows=table.rows, steps=1.0, latency_requests=20)
    part = Fidelity(rows=50, steps=1 / 3, latency_requests=10)
    for candidate in grid(joint.arms, table.models):
        seen = table.answers(candidate, full, 0)
        assert len(seen.measurement.rows) == table.rows
        assert 0 <= table.truth(candidate)[0] <= 1
        less = table.answers(candidate, part, 0)
        assert less.seconds <= seen.seconds
    assert not set(table._order) & set(table._truth)


def test_the_attainable_frontier_scores_one_and_has_no_regret(table: Table) -> None:
    scale = Scale(table, 30)
    everything = [Pick(c, *table.truth(c)) for c in table.sample(None)]  # type: ignore[arg-type]
    assert scale.share(everything) == pytest.approx(1.0, abs=0.01)
    assert max(scale.regrets(everything)) < 0.02  # below zero where the tolerance of a limit lets in a better one
    assert scale.regrets(everything)[-1] == pytest.approx(0.0)
    assert min(scale.regrets([])) > 0
    assert scale.share(everything[:1]) < 0.9
    assert scale.share([]) == 0.0


def test_a_search_spends_its_money_and_reports_more_with_more_of_it(table: Table) -> None:
    scale = Scale(table, 10)
    run = SEARCHES["cost_aware"](table, scale.budget_seconds, 0, 2)
    assert {s.candidate.method for s in run.steps} == set(METHODS)
    assert sum(s.device_seconds for s in run.steps) == pytest.approx(scale.budget_seconds, rel=0.3)
    assert 0 < scale.share(run.report(scale.budget_seconds)) <= 1.01
    assert len(run.report(0.01 * scale.budget_seconds)) <= len(run.report(scale.budget_seconds)) + 1


@pytest.fixture(scope="module", params=[100, 101, 102, 103])
def families(request: pytest.FixtureRequest) -> FamiliesTask:
    return FamiliesTask("families-5", request.param)


def test_defaults_take_the_seconds_that_were_measured_for_their_family(families: FamiliesTask) -> None:
    nature = families.nature
    for (method, model), (least, most) in SECONDS.items():
        candidate = families._default((method, model))
        seconds = families.train_seconds(candidate, surprise=False) + families.answer_seconds(candidate)
        scale = (10.0 if method in TRAINED else LONGER[method, model]) if nature.long else 1.0
        if method in TRAINED:
            scale *= nature.train_rows / 600
            seconds -= families.answer_seconds(candidate)
        elif method in ("tfidf", "head"):
            scale *= (nature.train_rows / 600) ** 0.8
        assert least * scale * 0.99 <= seconds <= most * scale * 1.01
        surprise = families.train_seconds(candidate) / max(1e-9, families.train_seconds(candidate, surprise=False))
        assert surprise == pytest.approx(10.0 if (method, model) == nature.surprise else float(method in TRAINED))


def test_a_training_on_many_labels_is_at_chance_for_a_while_and_then_leaps() -> None:
    task = FamiliesTask("families-5", 105)
    assert task.nature.labels == 77
    curve = [task.quality(task._default(("lora", "encoder")), share) for share in (1 / 9, 1 / 3, 2 / 3, 1.0)]
    assert curve[0] < task.nature.chance + 0.1
    assert curve[2] > 0.8 * curve[3] > 4 * curve[0]
    assert curve == sorted(curve)


def test_every_family_of_models_wins_on_some_instance() -> None:
    winners = {family_searches.scale_of("families-20", i).winner.model for i in range(100, 105)}
    assert winners == {"classical", "encoder", "causal", "hosted"}


@pytest.mark.parametrize("search", list(family_searches.SEARCHES))
def test_a_search_over_families_keeps_its_time_and_tries_nothing_that_cannot_work(search: str) -> None:
    task = FamiliesTask("families-5", 106)
    done = family_searches.run(task, family_searches.SEARCHES[search], 0)
    limit = 3600 * float(task.budget.hours or 0.0)
    assert sum(done.seconds.values()) <= SLOTS * limit * (1 + 2 / family_searches.TICKS) + 1
    assert all(d.end <= limit * 1.01 + 1 and task.obstacle(d.candidate) is None for d in done.done)
    assert done.recommended is not None
    assert 0 <= done.unmeasured < 1


def test_the_portfolio_alone_tries_first_candidates_and_nothing_else() -> None:
    task = FamiliesTask("families-20", 103)
    done = family_searches.run(task, family_searches.SEARCHES["portfolio"], 0)
    defaults = {task.joint.candidate(p).key() for p in task.joint.first()}
    assert {d.candidate.key() for d in done.done} <= defaults
    assert done.trials <= len(defaults)


def test_rows_that_are_hard_are_hard_for_all_candidates() -> None:
    task = FamiliesTask("families-5", 103)
    full = Fidelity(rows=task.rows, steps=1.0, latency_requests=20)
    shown = [task.answers(task._default(arm), full, seed) for seed, arm in enumerate(SECONDS) if arm[0] != "majority"]
    right = [[row.stats[0] for row in answer.measurement.rows] for answer in shown]
    both = sum(min(a, b) for a, b in zip(right[0], right[1], strict=True)) / task.rows
    assert both > sum(right[0]) * sum(right[1]) / task.rows**2


def test_chance_is_that_of_the_most_frequent_label() -> None:
    task = FamiliesTask("families-5", 103)
    resolved = family_searches.resolved_task(task, SearchSettings(), 0)
    assert resolved.chance() == pytest.approx(task.nature.chance, abs=0.5 / task.rows + 1e-9)


def test_an_option_whose_training_was_cut_short_counts_as_what_it_is() -> None:
    task = FamiliesTask("families-5", 107)  # full on the encoder takes ten times as long as one would expect
    done = family_searches.run(task, family_searches.SEARCHES["portfolio"], 0)
    cut = [d for d in done.done if d.trained < 1]
    assert cut
    for option in cut:
        assert task.truth(option.candidate, option.trained)[0] < task.truth(option.candidate)[0]
