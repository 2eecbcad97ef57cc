"""What further labelled rows would buy: a learning curve; and what training again with another seed gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.plugins import Metric
from autoadapt.domain.verdict import Curve, CurvePoint, Trained
from autoadapt.verdict.intervals import interval

SHARES = (0.125, 0.25, 0.5)
"""Parts of the training rows that are trained on, besides all of them."""
MORE_ROWS = 200
RESAMPLES = 500
LEAST_ERROR = 1e-3


def curve(metric: Metric, stats: Mapping[int, Any], trial: int, more_rows: int = MORE_ROWS, seed: int = 0) -> Curve:
    """Fits ``1 - quality = b * rows^-c`` (Hestness et al. 2017) and extends it, with a 95 % band.

    The band comes from drawing test rows anew and from how far the points lie from the fit; that another sample of
    training rows would give another curve is in it as far as the points scatter for that reason.

    Args:
        metric: of the task.
        stats: training rows -> statistics of the test rows, shape (rows, statistics), the same rows for all.
        trial: whose settings were trained.
        more_rows: labelled rows to be added.
        seed: of the draws.

    Raises:
        ValueError: fewer than three points.
    """
    sizes = sorted(stats)
    if len(sizes) < 3:
        raise ValueError(f"a curve needs three points, there are {len(sizes)}")
    rng, count = np.random.default_rng(seed), len(stats[sizes[0]])
    measured = np.array([metric.value(stats[s]) for s in sizes])
    end = sizes[-1] + more_rows
    ahead = sorted({*(int(s) for s in np.geomspace(sizes[0], end, 30)), sizes[-1], end})
    fitted, scatter = _fit(sizes, measured)
    freedom, paths = len(sizes) - 2, []
    for _ in range(RESAMPLES):
        rows = rng.integers(count, size=count)
        drawn = np.array([metric.value(stats[s][rows]) for s in sizes])
        # points scatter around the line for reasons that rows do not know: the training rows that were drawn, the seed,
        # another law; how much they do is known from few points only, hence the draw of the scatter itself
        around = scatter * np.sqrt(freedom / rng.chisquare(freedom))
        parameters, _ = _fit(sizes, drawn, rng.normal(0, around, len(sizes)))
        paths.append(_line(parameters, ahead))
    low, high = np.percentile(np.array(paths), [2.5, 97.5], axis=0)
    likely = np.clip(_line(fitted, ahead), low, high)
    at = ahead.index(sizes[-1])
    gains = np.array([path[-1] - path[at] for path in paths])
    points = []
    for size, quality in zip(sizes, measured, strict=True):
        around = interval(metric, stats[size], seed)
        points.append(CurvePoint(rows=size, quality=float(quality), low=around[0], high=around[1]))
    return Curve(
        trial=trial,
        points=points,
        more_rows=more_rows,
        gain=float(likely[-1] - likely[at]),
        gain_low=float(np.percentile(gains, 2.5)),
        gain_high=float(np.percentile(gains, 97.5)),
        forecast=[
            CurvePoint(rows=r, quality=float(q), low=float(a), high=float(b))
            for r, q, a, b in zip(ahead, likely, low, high, strict=True)
        ],
    )


def _fit(sizes: Sequence[int], qualities: Any, shift: Any = 0.0) -> tuple[Any, float]:
    """Intercept and slope of log error over log rows, larger sizes weighing more; and the scatter around the line."""
    x, y = np.log(np.array(sizes, float)), np.log(np.maximum(1 - qualities, LEAST_ERROR)) + shift
    weights = np.sqrt(np.array(sizes, float) / sizes[-1])
    slope, intercept = np.polyfit(x, y, 1, w=weights)
    left = (y - (slope * x + intercept)) * weights
    return (intercept, slope), float(np.sqrt((left**2).sum() / (len(sizes) - 2)))


def _line(parameters: tuple[float, float], sizes: Sequence[int]) -> Any:
    intercept, slope = parameters
    return 1 - np.minimum(np.exp(intercept + slope * np.log(np.array(sizes, float))), 1.0)


def trained_again(metric: Metric, stats: Sequence[Any], trial: int, seed: int = 0) -> Trained:
    """Quality over several seeds with an interval in which rows and seeds both vary.

    Variance of the mean over S seeds on the same rows: that over rows of the mean score (bootstrap), plus the variance
    between seeds over S; Student's t with the degrees of freedom of Satterthwaite (1946).

    Args:
        metric: of the task.
        stats: one array of shape (rows, statistics) per seed, the same rows.
        trial: the option; its own training is the first.
        seed: of the draws.

    Raises:
        ValueError: fewer than two seeds.
    """
    from scipy.stats import t

    if len(stats) < 2:
        raise ValueError("two seeds at least")
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
