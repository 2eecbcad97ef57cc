"""The Gaussian process against brute force, and candidates as points."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.stats import multivariate_normal

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.space import Branch, Choices, Range
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.gaussian_process import GaussianProcess
from autoadapt.surrogates.places import Columns, Places

COLUMNS = Columns(
    np.array([True, False, False, True, False]),
    np.array([0]),
    (np.array([0, 1]), np.array([0, 2, 3]), np.array([0, 2, 3, 4])),
    np.array([3, 0, 0, 2, 0]),
)


def observations(n: int, seed: int) -> tuple:
    """Points, arms, missing work, values and variances."""
    rng = np.random.default_rng(seed)
    points = np.c_[rng.integers(0, 3, n), rng.random((n, 2)), rng.integers(0, 2, n), rng.random(n)]
    arms, missing = rng.integers(0, 3, n), rng.choice([0.0, 0.5, 1.0], n)
    own = np.where(arms == 0, points[:, 1], points[:, 2])  # what an arm does not see does not move it
    values = np.sin(3 * own) + 0.2 * points[:, 0] - 0.3 * missing + rng.normal(0, 0.05, n)
    return points, arms, missing, values, np.full(n, 0.05**2)


def process(points: Any, arms: Any, *data: Any, columns: Columns = COLUMNS) -> GaussianProcess:
    """A process with observations."""
    return GaussianProcess(columns).data(Places(columns, points, arms), *data)


def test_the_gradient_of_the_likelihood_is_right() -> None:
    gp = process(*observations(30, 0))
    gp._prepare()
    theta = gp.prior + np.random.default_rng(1).normal(0, 0.2, len(gp.prior))
    error = check_grad(lambda t: gp._objective(t)[0], lambda t: gp._objective(t)[1], theta)
    assert error < 1e-3


def test_the_process_learns_and_knows_what_it_does_not_know() -> None:
    points, arms, missing, values, variances = observations(120, 2)
    gp = process(points[:80], arms[:80], missing[:80], values[:80], variances[:80]).fit()
    mean, deviation = gp.predict(Places(COLUMNS, points[80:], arms[80:]), missing[80:])
    assert np.abs(mean - values[80:]).mean() < 0.25 * values.std()
    assert np.mean(np.abs(mean - values[80:]) < 2 * np.hypot(deviation, 0.05)) > 0.85
    far, unsure = gp.predict(Places(COLUMNS, points[:1] * 0 + [0, 9, 9, 0, 9], np.array([0])))
    assert unsure[0] > deviation.mean()
    assert np.isfinite(far).all()


def covariance(gp: GaussianProcess, a: tuple, b: tuple) -> float:
    """The kernel of two observations (point, arm, missing) as the module defines it."""

    def matern(part: int) -> float:
        columns = gp._parts[part]
        lengths = np.exp(gp.theta[gp._lengths[part]])
        apart = [0.5 * (a[0][j] != b[0][j]) if gp.columns.categorical[j] else (a[0][j] - b[0][j]) ** 2 for j in columns]
        r = np.sqrt(5 * sum(d / length**2 for d, length in zip(apart, lengths, strict=True)))
        return float((1 + r + r * r / 3) * np.exp(-r))

    product = a[2] * b[2]
    total = 1 + np.exp(2 * gp.theta[gp._scales[0]]) * matern(0)
    if a[1] == b[1]:
        scale, partial = (np.exp(2 * gp.theta[at[a[1] + 1]]) for at in (gp._scales, gp._partials))
        same_model = gp.columns.model is not None and a[0][gp.columns.model] == b[0][gp.columns.model]
        total += 1 + same_model + product + (scale + partial * product) * matern(a[1] + 1)
    return float(total)


@pytest.mark.parametrize("model", [None, 0])
@pytest.mark.parametrize("missing_arm", [None, 2])
def test_predictions_are_those_of_the_kernel_as_it_is_defined(model: int | None, missing_arm: int | None) -> None:
    columns = Columns(COLUMNS.categorical, COLUMNS.shared, COLUMNS.of_arm, COLUMNS.choices, model)
    points, arms, missing, values, variances = observations(45, 4)
    arms[:35][arms[:35] == missing_arm] = 0  # an arm of which nothing was seen
    gp = process(points[:30], arms[:30], missing[:30], values[:30], variances[:30], columns=columns)
    gp.theta = gp.prior + np.random.default_rng(5).normal(0, 0.3, len(gp.prior))
    gp.condition().append(Places(columns, points[30:35], arms[30:35]), values[30:35], variances[30:35])
    left = [0.0] * 5  # what is appended is at full fidelity
    seen = list(zip(points[:35], arms[:35], [*missing[:30], *left], strict=True))
    asked = list(zip(points[35:], arms[35:], missing[35:], strict=True))
    known = np.array([[covariance(gp, a, b) for b in seen] for a in seen])
    known += np.diag(variances[:35] / gp.unit**2 + np.exp(2 * gp.theta[-1]) + 1e-6)
    across = np.array([[covariance(gp, a, b) for b in seen] for a in asked])
    wanted = across @ np.linalg.solve(known, (values[:35] - gp.center) / gp.unit) * gp.unit + gp.center
    explained = np.einsum("ij,ji->i", across, np.linalg.solve(known, across.T))
    deviations = np.sqrt(np.array([covariance(gp, a, a) for a in asked]) - explained) * gp.unit
    last = Places(columns, points[35:], arms[35:])
    mean, deviation = gp.predict(last, missing[35:])
    assert mean == pytest.approx(wanted, abs=1e-8)
    assert deviation == pytest.approx(deviations, abs=1e-8)
    assert gp.mean(last) == pytest.approx(gp.predict(last)[0], abs=1e-12)


def test_the_posterior_of_hyperparameters_is_that_of_the_kernel_as_it_is_defined() -> None:
    points, arms, missing, values, variances = observations(25, 6)
    gp = process(points, arms, missing, values, variances)
    gp._prepare()
    levels = []
    for seed in (1, 2):
        gp.theta = gp.prior + np.random.default_rng(seed).normal(0, 0.3, len(gp.prior))
        seen = list(zip(points, arms, missing, strict=True))
        matrix = np.array([[covariance(gp, a, b) for b in seen] for a in seen])
        matrix += np.diag(variances / gp.unit**2 + np.exp(2 * gp.theta[-1]) + 1e-6)
        density = multivariate_normal(np.zeros(25), matrix).logpdf((values - gp.center) / gp.unit)
        levels.append(gp._objective(gp.theta)[0] + density - 0.5 * (((gp.theta - gp.prior) / gp.spread) ** 2).sum())
    assert levels[0] == pytest.approx(levels[1], abs=1e-6)  # equal up to a constant


def test_equal_data_give_equal_models() -> None:
    first, second = (process(*observations(40, 3)).fit() for _ in range(2))
    assert np.array_equal(first.theta, second.theta)


BRANCHES = {
    "prompt": Branch(
        "prompt",
        {
            "template": Choices(choices=["a", "b"]),
            "shots": Choices(choices=[0, 4, 8]),
            "selector": Choices(choices=["random", "nearest"], when={"shots": [4, 8]}),
        },
        1,
        "label",
    ),
    "lora": Branch(
        "lora",
        {
            "template": Choices(choices=["a", "b"]),
            "r": Choices(choices=[4, 8, 16]),
            "learning_rate": Range(low=1e-4, high=1e-2, log=True),
            "num_train_epochs": Range(low=2, high=8),
        },
        1,
        "label",
    ),
}


@given(st.integers(0, 10_000))
def test_drawn_and_moved_candidates_lie_in_the_space(seed: int) -> None:
    features, rng = Features(BRANCHES, ["m", "n"]), np.random.default_rng(seed)
    for method in BRANCHES:
        drawn = features.draw(method, rng)
        for candidate in (drawn, features.move(drawn, rng)):
            params = candidate.params
            assert ("selector" in params) == (method == "prompt" and params["shots"] != 0)
            if method == "lora":
                assert 1e-4 <= params["learning_rate"] <= 1e-2
                assert params["num_train_epochs"] in range(2, 9)
                assert params["r"] in (4, 8, 16)
            numeric = features.point(candidate)[~features.columns.categorical]
            assert ((numeric >= 0) & (numeric <= 1)).all()


@given(st.integers(0, 10_000))
def test_many_candidates_at_once_lie_in_the_space_where_their_points_say(seed: int) -> None:
    features, rng = Features(BRANCHES, ["m", "n"]), np.random.default_rng(seed)
    for arm, method in enumerate(BRANCHES):
        others = [features.draw(method, rng) for _ in range(3)]
        pool = features.pool(
            method, [features.draw_many(method, 12, rng), features.move_many(method, others, 20, rng)], others
        )
        built = [pool[i] for i in range(len(pool))]
        assert len(built) == 35
        assert built[-3:] == others
        assert pool.places.points == pytest.approx(np.array([features.point(c) for c in built]), abs=1e-12)
        assert set(pool.places.arms) == {arm}
        assert pool.passes.tolist() == [c.passes for c in built]
        for candidate in built:
            assert candidate.params.keys() - {"selector"} == BRANCHES[method].specs.keys() - {"selector"}
            assert ("selector" in candidate.params) == (candidate.params.get("shots", 0) != 0)


def test_many_moves_at_once_change_what_single_moves_change() -> None:
    features, rng = Features(BRANCHES, ["m", "n"]), np.random.default_rng(0)
    params = {"template": "a", "r": 8, "learning_rate": 1e-3, "num_train_epochs": 5}
    other, count = Candidate(method="lora", model="m", params=params), 4000
    pool = features.pool("lora", [features.move_many("lora", [other], count, rng)])
    together, single = [pool[i] for i in range(count)], [features.move(other, rng) for _ in range(count)]
    for name, value in params.items():
        kept = [np.mean([c.params[name] == value for c in moved]) for moved in (together, single)]
        assert kept[0] == pytest.approx(kept[1], abs=0.04)
    models = [np.mean([c.model == "m" for c in moved]) for moved in (together, single)]
    assert models[0] == pytest.approx(models[1], abs=0.04)
    shifts = [np.std([np.log(float(c.params["learning_rate"])) for c in moved]) for moved in (together, single)]
    assert shifts[0] == pytest.approx(shifts[1], rel=0.1)
