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
LEAST_ERROR = 1e-3


def curve(metric: Metric, stats: Mapping[int, Any], trial: int, more_rows: int = MORE_ROWS, seed: int = 0) -> Curve:
    """Fits ``1 - quality = b * rows^-c`` (Hestness et al. 2017) and extends it, with a 95 % band.

    The band comes from resampling the test rows and from the residuals of the fit; the variation between samples of
    training rows is covered as far as it makes the points scatter.

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
    measured = np.array([metric.value(stats[s]) for s in sizes])
    end = sizes[-1] + more_rows
    ahead = sorted({*(int(s) for s in np.geomspace(sizes[0], end, 30)), sizes[-1], end})
    fitted, scatter = _fit(sizes, measured)
    paths = _resampled(metric, stats, ahead, scatter, seed)
    low, high = np.percentile(paths, [2.5, 97.5], axis=0)
    likely = np.clip(_line(fitted, ahead), low, high)
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
        gain=float(likely[-1] - likely[now]),
        gain_low=float(np.percentile(gains, 2.5)),
        gain_high=float(np.percentile(gains, 97.5)),
        forecast=[
            CurvePoint(rows=r, quality=float(q), low=float(a), high=float(b))
            for r, q, a, b in zip(ahead, likely, low, high, strict=True)
        ],
    )


def _resampled(
    metric: Metric, stats: Mapping[int, Any], ahead: Sequence[int], scatter: float, seed: int
) -> NDArray[Any]:
    """Curves fitted to resampled test rows, evaluated at `ahead`, shape (RESAMPLES, len(ahead))."""
    sizes = sorted(stats)
    rng, count, freedom = np.random.default_rng(seed), len(stats[sizes[0]]), len(sizes) - 2
    paths = []
    for _ in range(RESAMPLES):
        rows = rng.integers(count, size=count)
        drawn = np.array([metric.value(stats[s][rows]) for s in sizes])
        # points scatter for other reasons than the test rows too (sample of training rows, seed, another law); few
        # points leave the size of that scatter uncertain, so it is drawn as well (scaled inverse chi-square)
        deviation = scatter * np.sqrt(freedom / rng.chisquare(freedom))
        parameters, _ = _fit(sizes, drawn, rng.normal(0, deviation, len(sizes)))
        paths.append(_line(parameters, ahead))
    return np.array(paths)


def _fit(sizes: Sequence[int], qualities: Any, shift: Any = 0.0) -> tuple[Any, float]:
    """Intercept and slope of log error over log rows, with more weight on larger sizes; and the residual deviation."""
    x, y = np.log(np.array(sizes, float)), np.log(np.maximum(1 - qualities, LEAST_ERROR)) + shift
    weights = np.sqrt(np.array(sizes, float) / sizes[-1])
    slope, intercept = np.polyfit(x, y, 1, w=weights)
    residuals = (y - (slope * x + intercept)) * weights
    return (intercept, slope), float(np.sqrt((residuals**2).sum() / (len(sizes) - 2)))


def _line(parameters: tuple[float, float], sizes: Sequence[int]) -> Any:
    intercept, slope = parameters
    return 1 - np.minimum(np.exp(intercept + slope * np.log(np.array(sizes, float))), 1.0)


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
    half = float(t.ppf(0.975, freedom)) * float(np.sqrt(total))
    mean = float(values.mean())
    return Trained(
        trial=trial,
        qualities=[float(v) for v in values],
        mean=mean,
        low=max(0.0, mean - half),
        high=min(1.0, mean + half),
        deviation=float(values.std(ddof=1)),
    )
