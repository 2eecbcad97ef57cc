"""What the end of a search takes, and how it is fitted into a tenth of the budget."""

import math
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoadapt.domain.task import Evaluation, Task
from autoadapt.study.end_costs import (
    BATCHED_ROWS,
    ENOUGH_TEST_ROWS,
    LEAST_TEST_ROWS,
    SIMULATION_SECONDS,
    UNLIMITED,
    EndCosts,
    Use,
    end_limits,
    rows_to_score,
    total,
    wanted_at_the_end,
)

PLAIN = Evaluation(load_requests=0, robustness=False, learning_curve=False)


def left(seconds: float) -> Use:
    """So many seconds of slots and no other limit."""
    return Use(seconds, math.inf, math.inf)


def option(row_seconds: float, **more: Any) -> EndCosts:
    """An option that was timed to the end and takes a second to load."""
    fields = {"alone_seconds": row_seconds, "loading_seconds": 1.0, "samples": 60, **more}
    return EndCosts(row_seconds=row_seconds, **fields)


def task(**budget: float) -> Task:
    fields = {"name": "t", "data": {"path": "d"}, "metric": "accuracy", "models": ["m"], "budget": budget}
    return Task.model_validate({**fields, "economics": {"usd_per_hour": 1}})


def test_the_end_may_take_a_tenth_of_every_limit() -> None:
    assert end_limits(task(trials=3), slots=2, devices=1) == UNLIMITED
    hours = end_limits(task(hours=1), slots=2, devices=3)
    assert hours == Use(720.0, 2160.0, math.inf)
    assert end_limits(task(device_hours=1), slots=2, devices=3) == Use(math.inf, 360.0, math.inf)
    assert end_limits(task(usd=5), slots=2, devices=1).usd == pytest.approx(0.5)


def test_everything_is_scored_where_nothing_is_limited() -> None:
    options = {0: option(0.01), 1: option(5.0)}
    assert rows_to_score(options, {0}, UNLIMITED, PLAIN, 1000) == (1000, [0, 1])


def test_all_options_are_scored_on_fewer_rows_where_a_part_is_paid_for() -> None:
    options = {0: option(0.01), 1: option(0.03)}
    rows, chosen = rows_to_score(options, {0}, left(2 + 0.04 * 400), PLAIN, 1000)
    assert (rows, chosen) == (400, [0, 1])


def test_the_option_that_takes_longest_is_left_out_before_rows_become_few() -> None:
    options = {0: option(0.01), 1: option(0.3), 2: option(0.02)}
    rows, chosen = rows_to_score(options, {0}, left(60.0), PLAIN, 1000)
    assert (rows, chosen) == (1000, [0, 2])


def test_the_best_default_is_left_out_after_all_others() -> None:
    options = {0: option(0.01), 1: option(0.3, default=True), 2: option(0.2)}
    assert rows_to_score(options, {0}, left(2.1 + 0.31 * 400), PLAIN, 1000) == (400, [0, 1])
    assert rows_to_score(options, {0}, left(60.0), PLAIN, 1000) == (1000, [0])


def test_what_is_needed_is_scored_whatever_it_takes() -> None:
    options = {0: option(10.0), 1: option(0.01)}
    assert rows_to_score(options, {0}, left(5.0), PLAIN, 1000) == (LEAST_TEST_ROWS, [0])
    assert rows_to_score(options, {0, 1}, left(5.0), PLAIN, 40) == (40, [0, 1])


def test_money_and_device_time_limit_the_rows_too() -> None:
    options = {0: option(0.01, row_usd=0.001, hour_usd=36.0, devices=2)}
    row_usd = 0.001 + 0.01 * 2 * 0.01
    loading_usd = 1.0 * 2 * 0.01
    assert rows_to_score(options, {0}, Use(math.inf, math.inf, loading_usd + 500.5 * row_usd), PLAIN, 1000)[0] == 500
    assert rows_to_score(options, {0}, Use(math.inf, 2 * (1 + 0.01 * 700.5), math.inf), PLAIN, 1000)[0] == 700


ROW_SECONDS = st.lists(st.floats(0.001, 2.0), min_size=1, max_size=6)


@given(ROW_SECONDS, st.floats(0.1, 500.0), st.integers(10, 2000), st.integers(0, 5))
def test_no_more_is_scored_than_is_paid_for_and_no_row_less(
    row_seconds: list[float], seconds: float, rows: int, needed: int
) -> None:
    """Against the definition: the cost of what is chosen, of one row more, and of every set with enough rows."""
    options = {i: option(each) for i, each in enumerate(row_seconds)}
    must = {needed % len(options)}

    def cost(chosen: list[int], answered: int) -> float:
        return sum(1.0 + options[i].row_seconds * answered for i in chosen)

    answered, chosen = rows_to_score(options, must, left(seconds), PLAIN, rows)
    assert must <= set(chosen)
    assert min(rows, LEAST_TEST_ROWS) <= answered <= rows
    least = answered == min(rows, LEAST_TEST_ROWS) and set(chosen) == must
    assert least or cost(chosen, answered) <= seconds * (1 + 1e-9)
    assert answered == rows or cost(chosen, answered + 1) > seconds * (1 - 1e-9)
    enough = min(rows, ENOUGH_TEST_ROWS)
    larger = [list(s) for k in range(len(chosen) + 1, len(options) + 1) for s in combinations(options, k)]
    assert not any(must <= set(s) and cost(s, enough) <= seconds * (1 - 1e-9) for s in larger)


def test_no_more_than_a_tenth_is_kept_back() -> None:
    options = [option(0.01), option(0.5), option(0.2)]
    turns = 3 + (4 + 60 * 6 / 5) * (
        0.01 + 0.5 + 0.2
    )  # loading, warm-up, and a request that does not count for each five
    assert wanted_at_the_end(options, PLAIN, 1000, most=60.0) == 60.0
    assert wanted_at_the_end(options, PLAIN, 1000, most=math.inf) == pytest.approx(3 + 10 + 500 + 200 + turns)
    assert wanted_at_the_end([], PLAIN, 1000, most=60.0) == 0.0


def test_more_is_kept_back_where_the_best_option_and_the_floor_need_it_to_be_scored() -> None:
    options = [option(2.0), option(0.5), option(0.1, floor=True)]
    needed = (1 + 2.0 * LEAST_TEST_ROWS) + (1 + 0.1 * LEAST_TEST_ROWS)
    assert wanted_at_the_end(options, PLAIN, 1000, most=60.0) == pytest.approx(needed)


def test_a_learning_curve_is_kept_back_for_only_where_it_can_be_paid_for() -> None:
    wanted = Evaluation(load_requests=0, robustness=False)
    cheap, costly = option(0.01, trained=True, train_seconds=20.0), option(0.01, trained=True, train_seconds=100.0)
    curve = 20.0 * (1 / 8 + 1 / 4 + 1 / 2) + 3 * (1 + 0.01 * 1000)
    assert wanted_at_the_end([cheap], wanted, 1000, most=100.0) == pytest.approx(11 + curve)
    assert wanted_at_the_end([costly], wanted, 1000, most=100.0) == pytest.approx(11)


def test_a_learning_curve_of_a_gradient_trained_option_takes_its_whole_training_for_every_part() -> None:
    solved = option(0.01, trained=True, train_seconds=20.0)
    stepped = option(0.01, trained=True, train_seconds=20.0, part_share=1.0)
    stopped = option(0.01, trained=True, train_seconds=20.0, part_share=1.5)
    scores = 3 * (1 + 0.01 * 1000)
    assert solved.curve(1000).seconds == pytest.approx(scores + 20.0 * (1 / 8 + 1 / 4 + 1 / 2))
    assert stepped.curve(1000).seconds == pytest.approx(scores + 3 * 20.0)
    assert stopped.curve(1000).seconds == pytest.approx(scores + 3 * 30.0), "a part may not stop early"
    assert stepped.fit(1.0, 1000) == solved.fit(1.0, 1000), "with other seeds nothing is different"


def test_seeds_are_kept_back_for_only_where_they_can_be_paid_for() -> None:
    wanted = Evaluation(load_requests=0, robustness=False, learning_curve=False, seeds=3)
    trained = option(0.01, trained=True, train_seconds=20.0)
    assert wanted_at_the_end([trained], wanted, 1000, most=100.0) == pytest.approx(11 + 2 * (20 + 11))
    assert wanted_at_the_end([trained], wanted, 1000, most=60.0) == pytest.approx(11)


def test_an_option_is_scored_in_one_slot_however_many_there_are() -> None:
    slow, quick = option(1.0), option(0.001)
    assert rows_to_score({0: slow, 1: quick}, {0}, left(2 * 351.5), PLAIN, 1000, slots=2)[0] == 350
    needed = 1 + 1.0 * LEAST_TEST_ROWS
    assert wanted_at_the_end([slow], PLAIN, 1000, most=60.0, idle=2) == pytest.approx(2 * needed)


def test_slots_that_stand_idle_during_a_load_test_are_kept_back_too() -> None:
    loads = Evaluation(load_requests=100, load_seconds=20, robustness=False, learning_curve=False)
    alone, shared = option(0.01), option(0.01, alone=False)
    load = min(20.0, 100 * 0.01 + BATCHED_ROWS * 0.01) + SIMULATION_SECONDS + 1
    assert wanted_at_the_end([alone], loads, 100, most=math.inf, idle=2) == pytest.approx(2 + 2 * load)
    assert wanted_at_the_end([shared], loads, 100, most=math.inf, idle=2) == pytest.approx(2 + load)
    assert option(0.01, remote=True).load_test(loads) == Use()


def test_an_option_that_was_timed_by_few_requests_is_timed_again_when_it_is_scored() -> None:
    few = option(0.01, samples=10, alone_seconds=0.1)
    assert few.requests(PLAIN) == 60
    assert few.score(100, 60).seconds == pytest.approx(1 + 1 + (60 + 4) * 0.1)
    assert option(0.01).requests(PLAIN) == 0


def test_a_dominated_option_is_timed_under_load_alone() -> None:
    few = option(0.01, samples=10, on_frontier=False)
    assert few.requests(Evaluation(load_requests=60)) == 0
    assert few.requests(Evaluation(load_requests=20)) == 60, "they would not state a p95"
    assert few.requests(PLAIN) == 60
    assert option(0.01, samples=10, on_frontier=False, remote=True).requests(Evaluation(load_requests=60)) == 60
    assert option(0.01, samples=10).requests(Evaluation(load_requests=60)) == 60


def test_uses_add_up_and_what_is_left_is_never_below_nothing() -> None:
    use = total([Use(1, 2, 3), Use(4, 5, 6)])
    assert use == Use(5, 7, 9)
    assert Use(6, 6, 20).minus(use) == Use(1, 0, 11)
    assert Use(5, 7, 9).pays_for(use)
    assert not Use(5, 6.9, 9).pays_for(use)


def test_perturbations_are_kept_back_for_where_they_can_be_paid_for_beside_the_scores() -> None:
    wanted = Evaluation(load_requests=0, learning_curve=False, robustness_variants=3, robustness_rows=200)
    prompt, trained = option(0.01, wordings=3, serving=("one",)), option(0.01, serving=("one",))
    assert (prompt.variants(wanted), trained.variants(wanted)) == (3 * 4 + 2, 3 + 2)
    assert prompt.robustness(wanted, 1000).seconds == pytest.approx(1 + 0.01 * 14 * 200)
    assert prompt.robustness(wanted, 50).seconds == pytest.approx(1 + 0.01 * 14 * 50)
    assert prompt.robustness(PLAIN, 1000) == Use()
    both = 1 + 0.01 * 14 * 200 + 1 + 0.01 * 5 * 200
    scores = 2 * (1 + 0.01 * 1000)
    assert wanted_at_the_end([prompt, trained], wanted, 1000, most=100.0) == pytest.approx(scores + both)
    assert wanted_at_the_end([prompt, trained], wanted, 1000, most=scores + both - 1) == pytest.approx(scores)
