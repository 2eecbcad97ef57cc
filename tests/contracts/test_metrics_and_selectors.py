"""Every metric and every selector keeps its interface; a new file is tested the moment it exists."""

import numpy as np
import pytest

from autoadapt.domain.metric import AnsweredRow
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import ComparesVectors, Select
from autoadapt.errors import UserError
from autoadapt.shelves import METRICS, SELECTORS

METRIC_NAMES = [name for name in METRICS.names() if name != "judge"]
"""A judge needs a server: tests/metrics/test_judge.py."""
ROWS = [
    Row(id=i, input=f"text number {i} about {'cats' if i % 2 else 'dogs'}", outputs=["xy"[i % 2]]) for i in range(20)
]


def answered(name: str, right: bool) -> AnsweredRow:
    """A row that is answered rightly or wrongly, as metric `name` sees it."""
    labels = ("x", "y") if METRICS.get(name).answers != "text" else ()
    truth = "x" if labels else '{"animal": "the cat", "place": "on the mat"}'
    return AnsweredRow("what is it?", truth if right else "y" if labels else "what is it?", (truth,), labels)


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_metric_gives_statistics_of_one_length_and_a_value_from_0_to_1(name: str) -> None:
    metric = METRICS.get(name)
    scores = metric.score([answered(name, True), answered(name, False)])
    right, wrong = scores.stats
    assert len(right) == len(wrong)
    assert 0 <= wrong[0] < right[0] <= 1
    assert metric.value(np.array([right] * 5)) == pytest.approx(1)
    assert 0 <= metric.value(np.array([wrong] * 5)) < 0.5
    assert metric.interval in ("wilson", "bootstrap", "posterior")


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_metric_scores_rows_one_by_one_as_together(name: str) -> None:
    metric, rows = METRICS.get(name), [answered(name, i % 3 > 0) for i in range(6)]
    assert metric.score(rows).stats == [metric.score([row]).stats[0] for row in rows]


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_metric_that_costs_money_is_not_used_for_early_stopping(name: str) -> None:
    metric = METRICS.get(name)
    costs = metric.score([answered(name, True)]).usage.usd > 0
    assert not (costs and metric.early_stopping)


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_refuses_an_unknown_setting(name: str) -> None:
    with pytest.raises(UserError, match=r"has no settings|unknown setting 'no_such_setting'"):
        METRICS.new(name, {"no_such_setting": 1})


def prepared(name: str, rows: list[Row], shots: int) -> Select:
    """A selector's function; one that compares vectors is given those of the characters in a text."""
    select = SELECTORS.get(name).prepare(rows, shots, seed=1)
    assert isinstance(select, ComparesVectors) == SELECTORS.get(name).needs_vectors
    if isinstance(select, ComparesVectors):
        select.use(np.array([characters(row.input) for row in rows]), characters)
    return select


def characters(text: str) -> np.ndarray:
    counts = np.bincount([ord(c) % 64 for c in text], minlength=64) + 1e-9
    return counts / np.linalg.norm(counts)


@pytest.mark.parametrize("name", SELECTORS.names())
def test_selector_chooses_distinct_rows_and_repeats(name: str) -> None:
    select, again = prepared(name, ROWS, 4), prepared(name, ROWS, 4)
    chosen = select("a text about cats")
    assert len(chosen) == 4
    assert len({r.id for r in chosen}) == 4
    assert chosen == again("a text about cats")
    assert len(prepared(name, ROWS[:2], 8)("x")) == 2


@pytest.mark.parametrize("name", SELECTORS.names())
def test_selector_states_truly_whether_every_query_gets_the_same_examples(name: str) -> None:
    selector, select = SELECTORS.get(name), prepared(name, ROWS, 4)
    shown = {tuple(r.id for r in select(query)) for query in ("", "about cats", "about dogs", "text number 7")}
    assert (len(shown) == 1) == selector.same_for_every_query


def test_balanced_shows_every_label_and_nearest_the_like() -> None:
    balanced = SELECTORS.get("balanced").prepare(ROWS, 4, seed=0)("q")
    assert sorted(r.outputs[0] for r in balanced) == ["x", "x", "y", "y"]
    nearest = SELECTORS.get("nearest").prepare(ROWS, 3, seed=0)("all about dogs number 4")
    assert nearest[-1].id == 4
