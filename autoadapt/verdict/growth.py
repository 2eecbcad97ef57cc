"""Learning curves: the gain to expect of further labelled rows; and the variation between training seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.metric import Metric
from autoadapt.domain.verdict import Curve, CurvePoint, Trained
from autoadapt.verdict.intervals import interval

SHARES = (0.125, 0.25, 0.5)
"""Shares of the training rows to train on, apart from all of them."""
MORE_ROWS = 200
RESAMPLES = 500
PATHS = 4000
"""Curves drawn, of which the band holds 95 %."""
EXPONENTS = np.linspace(-0.6, 1.2, 19)
"""Of the law: 0 is a straight line over the logarithm of rows, below 0 quality rises faster than that, far above 0 it
has nearly stopped. Deep networks have 0.07 to 0.35 where nothing stops them (Hestness et al. 2017)."""
DEVIATIONS = np.geomspace(0.001, 0.1, 9)
"""Standard deviations of quality between samples of as many training rows, and between training seeds."""
NESTED = 0.5
"""Share of their variance that is due to the rows, which a larger part of the training rows shares with a smaller."""


def curve(metric: Metric, stats: Mapping[int, Any], trial: int, more_rows: int = MORE_ROWS, seed: int = 0) -> Curve:
    """Fits ``1 - quality = a + b * rows^-c`` (Hestness et al. 2017) and extends it, with a 95 % band.

    Few sizes do not tell the exponent, and a curve through them goes on quite differently with each, so none is chosen:
    curves are drawn from the posterior distribution of a, b, c and of the scatter between samples of training rows. The
    band holds 95 % of the curves. Test rows that sizes share, and training rows that larger sizes share with smaller
    ones, are in the covariance of what was measured.

    Args:
        metric: of the task.
        stats: training rows -> statistics of the test rows, shape (rows, statistics), the same rows for all.
        trial: whose method and parameters were trained.
        more_rows: labelled rows to be added.
        seed: of the draws.

    Raises:
        ValueError: fewer than three points.
    """
    sizes = sorted(stats)
    if len(sizes) < 3:
        raise ValueError(f"a learning curve needs at least three points, there are {len(sizes)}")
    end = sizes[-1] + more_rows
    ahead = sorted({*(int(s) for s in np.geomspace(sizes[0], end, 30)), sizes[-1], end})
    measured = np.array([metric.value(stats[s]) for s in sizes])
    paths = _drawn_curves(np.array(sizes, float), measured, _covariance(metric, stats, seed), ahead, seed)
    low, high = np.percentile(paths, [2.5, 97.5], axis=0)
    likely = np.clip(paths.mean(0), low, high)
    now = ahead.index(sizes[-1])
    gains = paths[:, -1] - paths[:, now]
    points = []
    for size, quality in zip(sizes, measured, strict=True):
        ends = interval(metric, stats[size], seed)
        points.append(CurvePoint(rows=size, quality=float(quality), low=ends[0], high=ends[1]))
    return Curve(
        trial=trial,
        points=points,
        more_rows=more_rows,
        gain=float(gains.mean()),
        gain_low=float(np.percentile(gains, 2.5)),
        gain_high=float(np.percentile(gains, 97.5)),
        forecast=[
            CurvePoint(rows=r, quality=float(q), low=float(a), high=float(b))
            for r, q, a, b in zip(ahead, likely, low, high, strict=True)
        ],
    )


def _covariance(metric: Metric, stats: Mapping[int, Any], seed: int) -> NDArray[Any]:
    """Of the qualities at all sizes, over test rows (bootstrap), which are the same for all."""
    sizes = sorted(stats)
    rng, count = np.random.default_rng(seed), len(stats[sizes[0]])
    drawn = [rng.integers(count, size=count) for _ in range(RESAMPLES)]
    values = np.array([[metric.value(stats[s][rows]) for rows in drawn] for s in sizes])
    # rows that are all right or all wrong show no variance of their own
    return np.cov(values) + np.eye(len(sizes)) / count**2


def _drawn_curves(
    sizes: NDArray[Any], measured: NDArray[Any], over_rows: NDArray[Any], ahead: Sequence[int], seed: int
) -> NDArray[Any]:
    """Curves drawn from the posterior distribution, evaluated at `ahead`, shape (PATHS, len(ahead)).

    The error is its value at the largest size plus a multiple of a shape; priors of both are flat, so that they are
    integrated out exactly. Exponents and deviations are equally likely on their grids.
    """
    exponents, deviations = (g.ravel() for g in np.meshgrid(EXPONENTS, DEVIATIONS))

    def shapes(rows: NDArray[Any]) -> NDArray[Any]:
        """0 at the largest size, 1 at the smallest: (grid, rows, 2), with the ones that the value there takes."""
        logs = np.log(rows / sizes[-1])
        # rows^-c - 1 over c, which is the negative logarithm where c is 0
        bends = exponents[:, None] * np.append(logs, np.log(sizes[0] / sizes[-1]))
        bent = np.append(logs, np.log(sizes[0] / sizes[-1])) * np.where(
            bends == 0, 1.0, -np.expm1(-bends) / np.where(bends == 0, 1.0, bends)
        )
        return np.stack([np.ones((len(exponents), len(rows))), bent[:, :-1] / bent[:, -1:]], axis=2)

    shared = NESTED / np.maximum.outer(sizes, sizes) + np.diag((1 - NESTED) / sizes)
    covariance = over_rows + deviations[:, None, None] ** 2 * sizes[-1] * shared
    shape, error = shapes(sizes), 1 - measured
    weighted = np.linalg.solve(covariance, shape).transpose(0, 2, 1)
    spread = np.linalg.inv(weighted @ shape)
    best = spread @ (weighted @ error)[:, :, None]
    rest = error[None, :, None] - shape @ best
    misfit = (rest * np.linalg.solve(covariance, rest)).sum((1, 2))
    likelihood = 0.5 * (np.linalg.slogdet(spread)[1] - np.linalg.slogdet(covariance)[1] - misfit)
    weights = np.exp(likelihood - likelihood.max())
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(weights), PATHS, p=weights / weights.sum())
    normal = rng.standard_normal((PATHS, 2, 1))
    parameters = best[chosen] + np.linalg.cholesky(spread)[chosen] @ normal
    return np.asarray(1 - np.clip((shapes(np.array(ahead, float))[chosen] @ parameters)[:, :, 0], 0.0, 1.0))


def trained_again(metric: Metric, stats: Sequence[Any], trial: int, seed: int = 0) -> Trained:
    """Quality over several training seeds with an interval that covers the variation of rows and of seeds.

    Variance of the mean over S seeds on the same rows: that over rows of the mean score (bootstrap), plus the variance
    between seeds over S; Student's t with the degrees of freedom of Satterthwaite (1946).

    Args:
        metric: of the task.
        stats: one array of shape (rows, statistics) per seed, the same rows.
        trial: the option; its own training is the first of `stats`.
        seed: of the draws.

    Raises:
        ValueError: fewer than two seeds.
    """
    from scipy.stats import t

    if len(stats) < 2:
        raise ValueError(f"at least two seeds are needed, there are {len(stats)}")
    values = np.array([metric.value(s) for s in stats])
    rng, count = np.random.default_rng(seed), len(stats[0])
    drawn = [rng.integers(count, size=count) for _ in range(RESAMPLES)]
    over_rows = float(np.var([np.mean([metric.value(s[rows]) for s in stats]) for rows in drawn]))
    between = float(values.var(ddof=1)) / len(values)
    total = over_rows + between
    freedom = total**2 / (over_rows**2 / (count - 1) + between**2 / (len(values) - 1)) if total else 1.0
    half = float(np.hypot(t.ppf(0.975, freedom) * np.sqrt(total), metric.shared_error(stats[0])))
    mean = float(values.mean())
    return Trained(
        trial=trial,
        qualities=[float(v) for v in values],
        mean=mean,
        low=max(0.0, mean - half),
        high=min(1.0, mean + half),
        deviation=float(values.std(ddof=1)),
    )
