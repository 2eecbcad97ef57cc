"""The Gaussian process against brute force, and candidates as points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from autoadapt.domain.space import Branch, Choices, Range
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.gaussian_process import Columns, GaussianProcess

COLUMNS = Columns(
    np.array([True, False, False, True, False]),
    np.array([0]),
    (np.array([0, 1]), np.array([0, 2, 3]), np.array([0, 2, 3, 4])),
)


def observations(n: int, seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    points = np.c_[rng.integers(0, 3, n), rng.random((n, 2)), rng.integers(0, 2, n), rng.random(n)]
    arms, missing = rng.integers(0, 3, n), rng.choice([0.0, 0.5, 1.0], n)
    own = np.where(arms == 0, points[:, 1], points[:, 2])  # what an arm does not see does not move it
    values = np.sin(3 * own) + 0.2 * points[:, 0] - 0.3 * missing + rng.normal(0, 0.05, n)
    return points, arms, missing, values, np.full(n, 0.05**2)


def test_the_gradient_of_the_likelihood_is_right() -> None:
    gp = GaussianProcess(COLUMNS).data(*observations(30, 0))
    gp._prepare()
    theta = gp.prior + np.random.default_rng(1).normal(0, 0.2, len(gp.prior))
    error = check_grad(lambda t: gp._objective(t)[0], lambda t: gp._objective(t)[1], theta)
    assert error < 1e-3


def test_the_process_learns_and_knows_what_it_does_not_know() -> None:
    points, arms, missing, values, variances = observations(120, 2)
    gp = GaussianProcess(COLUMNS).data(points[:80], arms[:80], missing[:80], values[:80], variances[:80]).fit()
    mean, deviation = gp.predict(points[80:], arms[80:], missing[80:])
    assert np.abs(mean - values[80:]).mean() < 0.25 * values.std()
    assert np.mean(np.abs(mean - values[80:]) < 2 * np.hypot(deviation, 0.05)) > 0.85
    far, unsure = gp.predict(points[:1] * 0 + [0, 9, 9, 0, 9], np.array([0]))
    assert unsure[0] > deviation.mean()
    assert np.isfinite(far).all()


def test_equal_data_give_equal_models() -> None:
    first, second = (GaussianProcess(COLUMNS).data(*observations(40, 3)).fit() for _ in range(2))
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
