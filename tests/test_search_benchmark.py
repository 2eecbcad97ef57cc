"""The measures of benchmarks/search: the best that is attainable scores one, a search in virtual time scores less."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "search"
sys.path.insert(0, str(FOLDER))

from peers import SEARCHES  # noqa: E402
from problems import METHODS, Pick, Scale, joint_space  # noqa: E402
from record import grid  # noqa: E402
from recorded import Table  # noqa: E402

from autoadapt.domain.jobs import Fidelity  # noqa: E402


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
