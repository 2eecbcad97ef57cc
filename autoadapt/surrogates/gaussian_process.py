"""A Gaussian process over the joint conditional space: one kernel for what arms share, one for each arm.

    k(x, x') = 1 + s0^2 M0(x, x') + [same arm] * (1 + [same model] + p p' + (s_a^2 + h_a^2 p p') M_a(x, x'))

M is the Matern-5/2 kernel with a length per column (Rasmussen and Williams 2006, eq. 4.17); categorical columns count
a difference as a constant (Hamming). M0 sees only the columns that every arm has (prompt, model), so what one arm
learns of a prompt moves the others a little; M_a sees all columns of its arm. Arms and, within them, base models have
levels of their own, or M_a would have to be as wide as models differ and would be unsure of everything else. p is how
much of the work is missing, 0 at full fidelity: the value at a share of the work is the full value plus a constant and
a smooth deviation that grow with p (the freeze-thaw idea of Swersky et al. 2014 in the form of a two-task kernel).
Hyperparameters are the maximum of likelihood times prior, by L-BFGS with exact gradients; the noise of each point is
given, a common extra one is learnt.

M0 is computed between different rows of the shared columns, of which there are few, and M_a within its arm, because it
is zero elsewhere. So time grows with the points of an arm and not with all points times the number of arms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from autoadapt.surrogates.places import Columns, Places

ROOT5 = 5**0.5
JITTER = 1e-6
ITERATIONS = 25
STEEP = -1.2
"""Logarithm of the length that is likely for a steep column beforehand."""
LENGTHS, SCALE, PARTIAL, NOISE = (-2.5, 3.0), (-4.0, 1.5), (-4.0, 1.0), (-6.0, 0.7)
"""Bounds of the logarithms of lengths, scales, fidelity scale and extra noise, in units of the target's spread."""


@dataclass(frozen=True)
class _Across:
    """Covariances between m points and the n observations, in parts.

    Args:
        places: of the m points.
        shared: shape (u, v), between the different rows of the shared columns on both sides.
        own: for each arm, the points and observations that are of it and what they covary further.
    """

    places: Places
    shared: Any
    own: list[tuple[Any, Any, Any]]


@dataclass(frozen=True)
class _Pairs:
    """What pairs of observations have in common whatever the hyperparameters.

    Args:
        at: indices of the observations.
        distances: squared distances by column, shape (columns, n, n).
        product: of what is missing of the work, shape (n, n).
        levels: the part of the covariance without hyperparameters, shape (n, n).
    """

    at: Any
    distances: Any
    product: Any
    levels: Any


class GaussianProcess:
    """Fit with `fit`, then ask `predict`.

    Args:
        columns: see `Columns`.
        noise: standard deviation of the learnt extra noise that is thought likely beforehand, in units of the target's
            spread.
    """

    def __init__(self, columns: Columns, noise: float = 0.05) -> None:
        self.columns = columns
        self._parts = [part.columns for part in columns.parts]
        start: list[float] = []
        spread: list[float] = []
        self._lengths, self._scales, self._partials = [], [], []
        for i, part in enumerate(self._parts):
            at = len(start)
            self._lengths.append(np.arange(at, at + len(part)))
            usual = float(np.log(0.5 * np.sqrt(max(1, len(part)))))
            steep = np.zeros(len(part), bool) if columns.steep is None else np.asarray(columns.steep)[part]
            start += np.where(steep, STEEP, usual).tolist()
            spread += [0.8] * len(part)
            self._scales.append(len(start))
            start.append(-1.0 if i == 0 else 0.0)
            spread.append(0.6)
            self._partials.append(len(start))
            start.append(-0.7)
            spread.append(0.7)
        self._noise = len(start)
        self.prior = np.array([*start, np.log(noise)])
        self.spread = np.array([*spread, 1.0])
        self.theta = self.prior.copy()
        low_high = np.empty((len(self.prior), 2))
        for lengths, scale, partial in zip(self._lengths, self._scales, self._partials, strict=True):
            low_high[lengths], low_high[scale], low_high[partial] = LENGTHS, SCALE, PARTIAL
        low_high[self._noise] = NOISE
        self._bounds = low_high

    def data(self, places: Places, missing: Any, values: Any, variances: Any) -> "GaussianProcess":
        """Takes observations; `fit` or `condition` must follow.

        Args:
            places: of n observations.
            missing: shape (n,), p of each observation.
            values: shape (n,).
            variances: shape (n,), noise variance of each value, in its unit squared.
        """
        self.places, self.missing = places, np.asarray(missing, float)
        values = np.asarray(values, float)
        self.center, self.unit = float(np.median(values)), float(max(values.std(), 1e-3))
        self.values = (values - self.center) / self.unit
        self.variances = np.asarray(variances, float) / self.unit**2
        return self

    def append(self, places: Places, values: Any, variances: Any) -> "GaussianProcess":
        """Takes further observations, at full fidelity, and conditions on them too."""
        self.places = Places.together([self.places, places])
        self.missing = np.r_[self.missing, np.zeros(len(values))]
        self.values = np.r_[self.values, (values - self.center) / self.unit]
        self.variances = np.r_[self.variances, variances / self.unit**2]
        return self.condition()

    def fit(self, iterations: int = ITERATIONS) -> "GaussianProcess":
        """Finds the hyperparameters, always from the same start, so that equal data give equal models."""
        self._prepare()
        result = minimize(
            self._objective,
            self.prior,
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds,
            options={"maxiter": iterations},
        )
        self.theta = result.x
        del self._pairs
        return self.condition()

    def _prepare(self) -> None:
        places = self.places
        self._shared_distances = self._apart(self._parts[0], places.points[places.rows])
        self._pairs = []
        for at, part in zip(places.of_arm, self._parts[1:], strict=True):
            product, points = self.missing[at][:, None] * self.missing[at][None, :], places.points[at]
            levels = 1.0 + self._same_model(points, points) + product
            self._pairs.append(_Pairs(at, self._apart(part, points), product, levels))

    def condition(self) -> "GaussianProcess":
        """Computes what predictions need, with the hyperparameters there are."""
        places, inverse = self.places, np.exp(-self.theta)
        parts = zip(self.columns.parts, self._lengths, strict=True)
        self._factors = [part.factors(inverse[lengths]) for part, lengths in parts]
        self._sides = [_Side(*pair) for pair in zip(places.encoded, self._factors, strict=True)]
        across = self._across(places, self.missing)
        matrix = across.shared[places.row_of[:, None], places.row_of]
        for here, there, block in across.own:
            matrix[here[:, None], there] += block
        matrix[np.diag_indices(len(matrix))] += self.variances + np.exp(2 * self.theta[self._noise]) + JITTER
        self._factor = np.linalg.cholesky(matrix)
        self._weights = cho_solve((self._factor, True), self.values)
        self._inverse: Any = None
        return self

    def predict(self, places: Places, missing: Any | None = None) -> tuple[Any, Any]:
        """Means and standard deviations of the noiseless values, each of shape (m,).

        Args:
            places: of m points.
            missing: shape (m,); None: full fidelity.
        """
        across = self._across(places, missing)
        levels = 2.0 if self.columns.model is None else 3.0
        squared = 0.0 if missing is None else np.asarray(missing, float) ** 2
        scales, partials = (np.exp(2 * self.theta[at[1:]]) for at in (self._scales, self._partials))
        variance = levels + np.exp(2 * self.theta[self._scales[0]]) + squared
        variance = variance + scales[places.arms] + partials[places.arms] * squared
        variance = np.maximum(variance - self._explained(across), 1e-8)
        return self._mean(across), np.sqrt(variance) * self.unit

    def mean(self, places: Places) -> Any:
        """Means at full fidelity, shape (m,), as of `predict`, in a part of its time."""
        return self._mean(self._across(places))

    def _mean(self, across: _Across) -> Any:
        total = (across.shared @ (self._weights @ self.places.members))[across.places.row_of]
        for here, there, block in across.own:
            total[here] += block @ self._weights[there]
        return total * self.unit + self.center

    def _explained(self, across: _Across) -> Any:
        """Variance of each point that the observations take away, shape (m,): k' K^-1 k with k in its parts."""
        if self._inverse is None:
            self._inverse = _inverse(self._factor)
            self._inverse_rows = self._inverse @ self.places.members
        row_of = across.places.row_of
        by_row = self._inverse_rows @ across.shared.T
        explained = ((across.shared @ self.places.members.T) * by_row.T).sum(1)[row_of]
        for here, there, block in across.own:
            further = 2 * by_row[there].T[row_of[here]] + block @ self._inverse[there[:, None], there]
            explained[here] += (further * block).sum(1)
        return explained

    def _apart(self, part: Any, points: Any) -> Any:
        """Squared distances per column, shape (columns, n, n)."""
        x = points[:, part].T
        squared = (x[:, :, None] - x[:, None, :]) ** 2
        return np.where(self.columns.categorical[part][:, None, None], 0.5 * (squared > 0), squared)

    def _across(self, places: Places, missing: Any | None = None) -> _Across:
        scales, partials = (np.exp(2 * self.theta[at]) for at in (self._scales, self._partials))
        shared = self._matern(0, places)
        shared *= scales[0]
        shared += 1.0
        own = []
        for arm, (here, there) in enumerate(zip(places.of_arm, self.places.of_arm, strict=True)):
            if not len(here) or not len(there):
                continue
            block = self._matern(arm + 1, places)
            if missing is None:
                block *= scales[arm + 1]
            else:
                product = missing[here][:, None] * self.missing[there][None, :]
                block = (scales[arm + 1] + partials[arm + 1] * product) * block + product
            block += 1.0 + self._same_model(places.points[here], self.places.points[there])
            own.append((here, there, block))
        return _Across(places, shared, own)

    def _same_model(self, a: Any, b: Any) -> Any:
        """1 where two points have the same base model, shape (len(a), len(b)); 0 where there is only one."""
        at = self.columns.model
        return 0.0 if at is None else (a[:, at][:, None] == b[:, at][None, :]).astype(float)

    def _matern(self, i: int, places: Places) -> Any:
        """Matern-5/2 between points and observations in the columns of a part, shape (u, v)."""
        here, there = _Side(places.encoded[i], self._factors[i]), self._sides[i]
        r = here.squares[:, None] + there.squares
        r -= 2 * (here.values @ there.values.T)
        np.maximum(r, 1e-12, out=r)
        np.sqrt(r, out=r)
        r *= ROOT5
        values = r * r
        values /= 3
        values += r
        values += 1.0
        np.negative(r, out=r)
        values *= np.exp(r, out=r)
        return values

    def _objective(self, theta: Any) -> tuple[float, Any]:
        """Negative log posterior of hyperparameters and its gradient (Rasmussen and Williams 2006, eq. 5.9)."""
        shared = _Matern(theta[self._lengths[0]], self._shared_distances)
        scale_0 = np.exp(2 * theta[self._scales[0]])
        matrix = (1.0 + scale_0 * shared.values)[self.places.row_of[:, None], self.places.row_of]
        own = []
        for i, pairs in enumerate(self._pairs, 1):
            matern = _Matern(theta[self._lengths[i]], pairs.distances)
            scale, partial = np.exp(2 * theta[self._scales[i]]), np.exp(2 * theta[self._partials[i]])
            factor = scale + partial * pairs.product
            matrix[np.ix_(pairs.at, pairs.at)] += factor * matern.values + pairs.levels
            own.append((matern, scale, partial, factor))
        extra = np.exp(2 * theta[self._noise])
        matrix[np.diag_indices(len(matrix))] += self.variances + extra + JITTER
        try:
            factor_l = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse = _inverse(factor_l)
        alpha = inverse @ self.values
        off = (theta - self.prior) / self.spread
        value = 0.5 * self.values @ alpha + np.log(np.diag(factor_l)).sum() + 0.5 * off @ off
        outer = np.outer(alpha, alpha) - inverse
        gradient = np.zeros_like(theta)
        by_row = self.places.members.T @ outer @ self.places.members
        gradient[self._lengths[0]] = shared.by_lengths(by_row * scale_0)
        gradient[self._scales[0]] = -scale_0 * (by_row * shared.values).sum()
        for i, (pairs, (matern, scale, partial, factor)) in enumerate(zip(self._pairs, own, strict=True), 1):
            among = outer[np.ix_(pairs.at, pairs.at)]
            gradient[self._lengths[i]] = matern.by_lengths(among * factor)
            mass = among * matern.values
            gradient[self._scales[i]] = -scale * mass.sum()
            gradient[self._partials[i]] = -partial * (mass * pairs.product).sum()
        gradient[self._noise] = -extra * np.trace(outer)
        return float(value), gradient + off / self.spread


class _Side:
    """Points in units of the lengths of a kernel.

    Args:
        encoded: shape (m, D), as of `Part.encode`.
        factors: shape (D,), as of `Part.factors`.
    """

    def __init__(self, encoded: Any, factors: Any) -> None:
        self.values = encoded * factors
        self.squares = (self.values * self.values).sum(1)


class _Matern:
    """Matern-5/2 of points with squared distances by column.

    Args:
        log_lengths: one per column.
        distances: shape (columns, n, n).
    """

    def __init__(self, log_lengths: Any, distances: Any) -> None:
        self.inverse, self.distances = np.exp(-2 * log_lengths), distances
        r = np.sqrt(np.tensordot(self.inverse, distances, 1) + 1e-12)
        decay = np.exp(-ROOT5 * r)
        self.values = (1 + ROOT5 * r + 5 / 3 * r * r) * decay
        self.slope = (5 / 3) * (1 + ROOT5 * r) * decay

    def by_lengths(self, weights: Any) -> Any:
        """Derivative of the sum of -0.5 times weights of shape (n, n) times values, by each logarithm of a length."""
        return -0.5 * np.tensordot(self.distances, weights * self.slope, ([1, 2], [0, 1])) * self.inverse


def _inverse(factor: Any) -> Any:
    """Inverse of the matrix with this lower Cholesky factor."""
    inverse, info = dpotri(factor, lower=1)
    if info:
        raise np.linalg.LinAlgError(f"dpotri: {info}")
    return np.tril(inverse) + np.tril(inverse, -1).T
