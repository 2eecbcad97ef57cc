"""Does the verdict tell the truth? Studies whose true qualities are known: see README.md.

python benchmarks/verdict/run.py [--runs 1000] [--studies 1000]
"""

import argparse
import functools
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.domain.task import Advice, Budget, Constraints
from autoadapt.pareto.dominance import non_dominated
from autoadapt.shelves import METRICS
from autoadapt.verdict.comparisons import all_pairs
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.optimism import expected_optimism
from autoadapt.verdict.recommendation import Trade, best_of, recommend

OPTIONS, ROWS = 24, 200
"""Measured in full, and rows of validation and of test."""
ALIKE = 0.5
"""Correlation between the answers of two options to a row: some rows are hard for all."""
LABELS = 4
TRIALS = 24
GIVE_UP = Trade(Advice(give_up_points=3.0))
"""Greatest loss for which a cheaper option may be recommended; more than the default, so that there often is one."""
"""Of a whole search."""


class Answers:
    """Draws the answers of several options to the same rows; what each is worth in the long run is known.

    Args:
        metric: accuracy, macro_f1 or rouge_l.
        true: share of right answers of each option (mean score for rouge_l).
    """

    def __init__(self, metric: str, true: Any) -> None:
        self.name, self.metric, self.right = metric, METRICS.get(metric), true

    @functools.cached_property
    def true(self) -> Any:
        """The metric of each option over endlessly many rows, shape (options,)."""
        if self.name != "macro_f1":
            return self.right
        shares = self._shares()
        return np.array([self._f1(q, shares) for q in self.right])

    def draw(self, rows: int, random: np.random.Generator) -> Any:
        """Statistics, shape (options, rows, statistics)."""
        latent = np.sqrt(ALIKE) * random.standard_normal(rows)
        latent = latent + np.sqrt(1 - ALIKE) * random.standard_normal((len(self.right), rows))
        if self.name == "rouge_l":  # scores between 0 and 1, many at the ends
            from scipy.stats import beta

            q = self.right[:, None]
            return beta.ppf(norm.cdf(latent), 1.2 * q, 1.2 * (1 - q))[:, :, None]
        right = (norm.cdf(latent) < self.right[:, None]).astype(float)
        if self.name == "accuracy":
            return right[:, :, None]
        truth = random.choice(LABELS, size=rows, p=self._shares())
        wrong = (truth + random.integers(1, LABELS, size=right.shape)) % LABELS
        predicted = np.where(right > 0, truth, wrong)
        return np.stack([right, np.broadcast_to(truth, right.shape), predicted], 2)

    @staticmethod
    def _shares() -> Any:
        return np.array([0.4, 0.3, 0.2, 0.1])

    @staticmethod
    def _f1(q: float, shares: Any) -> float:
        # a wrong answer is any other label: those of the other labels' rows that fall on this one
        predicted = q * shares + (1 - q) / (LABELS - 1) * (shares.sum() - shares)
        return float(np.mean(2 * q * shares / (shares + predicted)))


def option(trial: int, stats: Any, test: Any, metric: Metric, cost: float, seed: int) -> Option:
    """An option with its intervals, as a search makes it."""
    quality = metric.value(stats)
    return Option(
        trial=trial,
        method="lora",
        model="m",
        params={},
        quality=quality,
        quality_ci=interval(metric, stats, seed),
        quality_expected=quality,
        test_quality=metric.value(test),
        test_quality_ci=interval(metric, test, seed),
        test_rows=len(test),
        train_seconds=1.0,
        artifact_bytes=0,
        peak_memory_bytes=0,
        latency_p50_ms=10.0,
        latency_p95_ms=10.0,
        cost_usd_per_1k=cost,
        inference_usd_per_1k=cost,
        training_usd=0.0,
        values={},
    )


def one_run(metric: str, seed: int) -> dict[str, float]:
    """A study of independent options: the reported figures of its best option minus the true ones."""
    random = np.random.default_rng([seed, len(metric)])
    true = np.clip(random.normal(0.7, 0.05, OPTIONS), 0.05, 0.95)
    costs = 10 ** random.normal(0, 0.5, OPTIONS) * (true / 0.7) ** 4
    answers = Answers(metric, true)
    validation, test = answers.draw(ROWS, random), answers.draw(ROWS, random)
    measured = [answers.metric.value(s) for s in validation]
    front = np.flatnonzero(non_dominated(np.column_stack([measured, costs]), [True, False])).tolist()
    options = [option(i, validation[i], test[i], answers.metric, float(costs[i]), seed) for i in front]
    pairs = all_pairs(answers.metric, {i: test[i] for i in front}, seed)
    best = best_of(options, pairs)
    advised = next(o for o in options if o.trial == recommend(options, Constraints(), None, pairs, GIVE_UP).trial)
    excess = expected_optimism(answers.metric, dict(enumerate(validation)), seed)
    return {
        **_errors("best", best, answers.true[best.trial]),
        **_errors("advised", advised, answers.true[advised.trial]),
        "best: validation less expected optimism": best.quality - excess - answers.true[best.trial],
        "advised: true quality lost": max(answers.true[o.trial] for o in options) - answers.true[advised.trial],
        "advised: true quality lost against the best": answers.true[best.trial] - answers.true[advised.trial],
        "advised: loses more than may be given up": float(
            answers.true[best.trial] - answers.true[advised.trial] > GIVE_UP.advice.give_up_points / 100
        ),
        "advised: is a cheaper one": float(advised.trial != best.trial),
        "advised: share of the best one's cost": advised.cost_usd_per_1k / best.cost_usd_per_1k,
    }


def _errors(name: str, option: Option, truth: float) -> dict[str, float]:
    low, high = option.test_quality_ci or (0.0, 1.0)
    return {
        f"{name}: interval of the test score covers": float(low <= truth <= high),
        f"{name}: validation score": option.quality - truth,
        f"{name}: test score": (option.test_quality or 0.0) - truth,
    }


def one_study(seed: int) -> dict[str, float]:
    """A whole search (cost_aware, rungs, racing) in virtual time on a made-up task; its winner scored on fresh rows."""
    from autoadapt.forecast.simulation import SimulatedTask, simulate

    sys.path.insert(0, str(Path(__file__).parents[1] / "search"))
    from surrogates import TASKS, Task  # type: ignore[import-not-found]

    problem = Task(TASKS[seed % len(TASKS)], seed // len(TASKS))
    simulated = SimulatedTask(
        problem.space,
        Budget(trials=TRIALS),
        models=problem.models,
        rows=problem.rows,
        economics=problem.economics,
    )
    search = simulate(simulated, problem.answers, seed=seed)
    results, metric, random = search.results, METRICS.get("accuracy"), np.random.default_rng([seed, 1])
    options, stats, truths = [], {}, {}
    for measured in results.frontier():
        trial = measured.trial
        truths[trial] = problem.truth(results.trials.record(trial).job.candidate)[0]
        stats[trial] = (random.random(problem.rows) < truths[trial]).astype(float)[:, None]
        test = {"test_quality": float(stats[trial].mean()), "test_quality_ci": interval(metric, stats[trial])}
        options.append(measured.model_copy(update={**test, "test_rows": problem.rows}))
    pairs = all_pairs(metric, stats, seed)
    best = best_of(options, pairs)
    advised = next(o for o in options if o.trial == recommend(options, Constraints(), None, pairs, GIVE_UP).trial)
    on_validation = {t: results.validation_stats(t) for t in results.trials.trials()}
    longest = max(map(len, on_validation.values()))
    excess = expected_optimism(metric, {t: s for t, s in on_validation.items() if len(s) == longest}, seed)
    return {
        **_errors("best", best, truths[best.trial]),
        **_errors("advised", advised, truths[advised.trial]),
        "best: validation less expected optimism": best.quality - excess - truths[best.trial],
        "best: expected quality": best.quality_expected - truths[best.trial],
        "advised: true quality lost": max(truths.values()) - truths[advised.trial],
        "advised: share of the best one's cost": advised.cost_usd_per_1k / best.cost_usd_per_1k,
    }


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over runs; of costs, the geometric one."""
    columns: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return {
        name: float(np.exp(np.mean(np.log(values)))) if name.endswith("cost") else float(np.mean(values))
        for name, values in columns.items()
    }


def run(job: Callable[[int], dict[str, float]], runs: int) -> dict[str, float]:
    """Means over many runs, two at a time."""
    with ProcessPoolExecutor(2) as pool:
        return summary(list(pool.map(job, range(runs), chunksize=5)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--studies", type=int, default=1000)
    arguments = parser.parse_args()
    jobs: list[tuple[str, Callable[[int], dict[str, float]], int]] = [
        (
            f"{OPTIONS} options, {ROWS} validation and test rows, {name}",
            functools.partial(one_run, name),
            arguments.runs,
        )
        for name in ("accuracy", "macro_f1", "rouge_l")
    ]
    jobs.append(("whole searches in virtual time, accuracy", one_study, arguments.studies))
    for title, job, runs in jobs:
        if not runs:
            continue
        print(f"{title}: {runs} runs", flush=True)
        for name, value in run(job, runs).items():
            print(
                f"  {name}: {value:.3f}"
                + ("" if "cover" in name or "cost" in name else f" ({100 * value:+.2f} points)")
            )


if __name__ == "__main__":
    main()
