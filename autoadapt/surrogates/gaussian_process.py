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
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

ROOT5 = 5**0.5
JITTER = 1e-6
ITERATIONS = 25
STEEP = -1.2
"""Logarithm of the length that is likely for a steep column beforehand."""
LENGTHS, SCALE, PARTIAL, NOISE = (-2.5, 3.0), (-4.0, 1.5), (-4.0, 1.0), (-6.0, 0.7)
"""Bounds of the logarithms of lengths, scales, fidelity scale and extra noise, in units of the target's spread."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a point are what.

    Args:
        categorical: shape (d,), bool.
        shared: indices of the columns that every arm has.
        of_arm: for each arm, indices of its columns, the shared ones included.
        model: index of the column that names the base model; None where there is one model.
        steep: shape (d,), bool: ranges of orders of magnitude, such as learning rates, on which a value depends most.
    """

    categorical: Any
    shared: Any
    of_arm: tuple[Any, ...]
    model: int | None = None
    steep: Any = None


class GaussianProcess:
    """Fit with `fit`, then ask `predict`.

    Args:
        columns: see `Columns`.
        noise: standard deviation of the learnt extra noise that is thought likely beforehand, in units of the target's
            spread.
    """

    def __init__(self, columns: Columns, noise: float = 0.05) -> None:
        self.columns = columns
        parts = [columns.shared, *columns.of_arm]
        self._parts = [np.asarray(part, int) for part in parts]
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

    def data(self, points: Any, arms: Any, missing: Any, values: Any, variances: Any) -> "GaussianProcess":
        """Takes observations; `fit` or `condition` must follow.

        Args:
            points: shape (n, d); numeric columns in [0, 1], categorical ones as whole numbers.
            arms: shape (n,), index of each point's arm.
            missing: shape (n,), p of each observation.
            values: shape (n,).
            variances: shape (n,), noise variance of each value, in its unit squared.
        """
        self.points, self.arms, self.missing = np.asarray(points, float), np.asarray(arms), np.asarray(missing, float)
        values = np.asarray(values, float)
        self.mean, self.unit = float(np.median(values)), float(max(values.std(), 1e-3))
        self.values = (values - self.mean) / self.unit
        self.variances = np.asarray(variances, float) / self.unit**2
        return self

    def append(self, points: Any, arms: Any, values: Any, variances: Any) -> "GaussianProcess":
        """Takes further observations, at full fidelity, and conditions on them too."""
        self.points, self.arms = np.r_[self.points, points], np.r_[self.arms, arms]
        self.missing = np.r_[self.missing, np.zeros(len(values))]
        self.values = np.r_[self.values, (values - self.mean) / self.unit]
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
        del self._distances, self._same, self._models_alike
        return self.condition()

    def _prepare(self) -> None:
        self._distances = [self._apart(part) for part in self._parts]
        self._models_alike = self._same_model(self.points, self.points)
        self._same = [(self.arms == a)[:, None] & (self.arms == a)[None, :] for a in range(len(self._parts) - 1)]

    def condition(self) -> "GaussianProcess":
        """Computes what predictions need, with the hyperparameters there are."""
        matrix = self._kernel(self.points, self.arms, self.missing, self.points, self.arms, self.missing)
        matrix[np.diag_indices(len(matrix))] += self.variances + np.exp(2 * self.theta[self._noise]) + JITTER
        self._factor = np.linalg.cholesky(matrix)
        self._weights = cho_solve((self._factor, True), self.values)
        return self

    def predict(self, points: Any, arms: Any, missing: Any | None = None) -> tuple[Any, Any]:
        """Means and standard deviations of the noiseless values, each of shape (m,).

        Args:
            points: shape (m, d).
            arms: shape (m,).
            missing: shape (m,); None: full fidelity.
        """
        points, arms = np.asarray(points, float), np.asarray(arms)
        missing = np.zeros(len(points)) if missing is None else np.asarray(missing, float)
        across = self._kernel(points, arms, missing, self.points, self.arms, self.missing)
        mean = across @ self._weights * self.unit + self.mean
        solved = solve_triangular(self._factor, across.T, lower=True)
        levels = 2.0 if self.columns.model is None else 3.0
        variance = levels + np.exp(2 * self.theta[self._scales[0]]) + missing**2
        for a in range(len(self._parts) - 1):
            scale, partial = np.exp(2 * self.theta[self._scales[a + 1]]), np.exp(2 * self.theta[self._partials[a + 1]])
            variance = variance + (arms == a) * (scale + partial * missing**2)
        return mean, np.sqrt(np.maximum(variance - (solved * solved).sum(0), 1e-8)) * self.unit

    def _apart(self, part: Any) -> Any:
        """Squared distances per column, shape (columns, n, n)."""
        x = self.points[:, part].T
        squared = (x[:, :, None] - x[:, None, :]) ** 2
        return np.where(self.columns.categorical[part][:, None, None], 0.5 * (squared > 0), squared)

    def _kernel(self, a: Any, arms_a: Any, p_a: Any, b: Any, arms_b: Any, p_b: Any) -> Any:
        product = p_a[:, None] * p_b[None, :]
        total = 1.0 + np.exp(2 * self.theta[self._scales[0]]) * self._matern(0, a, b)
        for arm in range(len(self._parts) - 1):
            here, there = np.flatnonzero(arms_a == arm), np.flatnonzero(arms_b == arm)
            if not len(here) or not len(there):
                continue
            block = np.ix_(here, there)
            scale, partial = (
                np.exp(2 * self.theta[self._scales[arm + 1]]),
                np.exp(2 * self.theta[self._partials[arm + 1]]),
            )
            pp = product[block]
            total[block] += (
                1.0
                + self._same_model(a[here], b[there])
                + pp
                + (scale + partial * pp) * self._matern(arm + 1, a[here], b[there])
            )
        return total

    def _same_model(self, a: Any, b: Any) -> Any:
        """1 where two points have the same base model, shape (len(a), len(b)); 0 where there is only one."""
        at = self.columns.model
        return 0.0 if at is None else (a[:, at][:, None] == b[:, at][None, :]).astype(float)

    def _matern(self, i: int, a: Any, b: Any) -> Any:
        part = self._parts[i]
        inverse = np.exp(-self.theta[self._lengths[i]])
        number = ~self.columns.categorical[part]
        x, y = a[:, part[number]] * inverse[number], b[:, part[number]] * inverse[number]
        squared = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * x @ y.T
        for j in np.flatnonzero(~number):
            squared = squared + 0.5 * inverse[j] ** 2 * (a[:, part[j]][:, None] != b[:, part[j]][None, :])
        r = np.sqrt(np.maximum(squared, 1e-12))
        return (1 + ROOT5 * r + 5 / 3 * r * r) * np.exp(-ROOT5 * r)

    def _objective(self, theta: Any) -> tuple[float, Any]:
        """Negative log posterior of hyperparameters and its gradient (Rasmussen and Williams 2006, eq. 5.9)."""
        n, product = len(self.values), self.missing[:, None] * self.missing[None, :]
        matrix = np.ones((n, n))
        factors = []
        for i, lengths in enumerate(self._lengths):
            inverse = np.exp(-2 * theta[lengths])
            r = np.sqrt(np.tensordot(inverse, self._distances[i], 1) + 1e-12)
            decay = np.exp(-ROOT5 * r)
            matern = (1 + ROOT5 * r + 5 / 3 * r * r) * decay
            scale = np.exp(2 * theta[self._scales[i]])
            if i == 0:
                factor = np.full((n, n), scale)
                matrix += factor * matern
            else:
                partial = np.exp(2 * theta[self._partials[i]])
                factor = (scale + partial * product) * self._same[i - 1]
                matrix += factor * matern + (1 + self._models_alike + product) * self._same[i - 1]
            factors.append((inverse, (5 / 3) * (1 + ROOT5 * r) * decay, matern, factor, scale))
        extra = np.exp(2 * theta[self._noise])
        matrix[np.diag_indices(n)] += self.variances + extra + JITTER
        try:
            factor_l = np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse_k = cho_solve((factor_l, True), np.eye(n))
        alpha = inverse_k @ self.values
        off = (theta - self.prior) / self.spread
        value = 0.5 * self.values @ alpha + np.log(np.diag(factor_l)).sum() + 0.5 * off @ off
        outer = np.outer(alpha, alpha) - inverse_k
        gradient = np.zeros_like(theta)
        for i, (inverse, slope, matern, factor, scale) in enumerate(factors):
            weighted = outer * factor * slope
            gradient[self._lengths[i]] = -0.5 * np.tensordot(self._distances[i], weighted, ([1, 2], [0, 1])) * inverse
            mass = outer * matern if i == 0 else outer * matern * self._same[i - 1]
            gradient[self._scales[i]] = -scale * mass.sum()
            if i:
                gradient[self._partials[i]] = -np.exp(2 * theta[self._partials[i]]) * (mass * product).sum()
        gradient[self._noise] = -extra * np.trace(outer)
        return float(value), gradient + off / self.spread
