"""Does the verdict tell the truth? Studies whose true qualities are known: see README.md.

python benchmarks/verdict/run.py [--runs 1000] [--studies 1000]
"""

import argparse
import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from autoadapt.domain.metric import Metric
from autoadapt.domain.option import Option
from autoadapt.domain.task import Advice, Budget, Constraints
from autoadapt.pareto.dominance import non_dominated
from autoadapt.shelves import METRICS, OBJECTIVES
from autoadapt.verdict.comparisons import all_pairs
from autoadapt.verdict.intervals import interval
from autoadapt.verdict.optimism import expected_optimism, optimism, rivals
from autoadapt.verdict.recommendation import Trade, best_of, recommend

OPTIONS, ROWS = 24, 200
"""Measured in full, and rows of validation and of test."""
ALIKE = 0.5
"""Correlation between the answers of two options to a row: some rows are hard for all."""
LABELS = 4
TRIALS = 24
"""Of a whole search."""
GIVE_UP = Trade(Advice(give_up_points=3.0))
"""Greatest loss for which a cheaper option may be recommended; more than the default, so that there often is one."""


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
    values = {i: {"quality": measured[i], "cost_usd_per_1k": float(costs[i])} for i in range(OPTIONS)}
    choice = _Choice(answers.metric, dict(enumerate(validation)), values, seed)
    return {
        **choice.errors("best", best, answers.true[best.trial]),
        **choice.errors("advised", advised, answers.true[advised.trial]),
        **_errors("best", best, answers.true[best.trial]),
        **_errors("advised", advised, answers.true[advised.trial]),
        "advised: true quality lost": max(answers.true[o.trial] for o in options) - answers.true[advised.trial],
        "advised: true quality lost against the best": answers.true[best.trial] - answers.true[advised.trial],
        "advised: loses more than may be given up": float(
            answers.true[best.trial] - answers.true[advised.trial] > GIVE_UP.advice.give_up_points / 100
        ),
        "advised: is a cheaper one": float(advised.trial != best.trial),
        "advised: share of the best one's cost": advised.cost_usd_per_1k / best.cost_usd_per_1k,
    }


@dataclass(frozen=True)
class _Choice:
    """Among which options one was chosen.

    Args:
        metric: of the task.
        stats: validation rows by trial.
        values: quality, by which it was chosen, and cost (or further objectives) by trial.
        seed: of the draws.
    """

    metric: Metric
    stats: Mapping[int, Any]
    values: Mapping[int, Mapping[str, float]]
    seed: int

    def errors(self, name: str, option: Option, truth: float) -> dict[str, float]:
        """What is said of the option's optimism, beside how much too high its validation score really is."""
        goals = [OBJECTIVES.get(objective).goal(objective) for objective in self.values[option.trial]]
        among = {t: self.stats[t] for t in rivals(option.trial, self.values, goals)}
        found = optimism(option, self.metric, among, self.seed, {t: self.values[t]["quality"] for t in among})
        real = option.quality - truth
        assert found.expected is not None
        assert found.expected_low is not None
        assert found.expected_high is not None
        assert found.observed_low is not None
        assert found.observed_high is not None
        return {
            f"{name}: validation less expected optimism": real - found.expected,
            f"{name}: range of its optimism from validation rows covers": float(
                found.expected_low <= real <= found.expected_high
            ),
            f"{name}: range of its optimism by test rows covers": float(
                found.observed_low <= real <= found.observed_high
            ),
            f"{name}: optimism of the best one less its own": self._of_best() - real,
        }

    def _of_best(self) -> float:
        """What was said of every option: that of the best of all."""
        return expected_optimism(self.metric, self.stats, self.seed)


def _errors(name: str, option: Option, truth: float) -> dict[str, float]:
    low, high = option.test_quality_ci or (0.0, 1.0)
    return {
        f"{name}: interval of the test score covers": float(low <= truth <= high),
        f"{name}: validation score": option.quality - truth,
        f"{name}: test score": (option.test_quality or 0.0) - truth,
    }


def one_study(trials: int, seed: int) -> dict[str, float]:
    """A whole search (cost_aware, rungs, racing) in virtual time on a made-up task; its winner scored on fresh rows.

    The same search is judged twice: by measured qualities, and by those that its model expects (`quality_expected`).
    """
    from autoadapt.forecast.simulation import SimulatedTask, simulate

    sys.path.insert(0, str(Path(__file__).parents[1] / "search"))
    from surrogates import TASKS, Task  # type: ignore[import-not-found]

    problem = Task(TASKS[seed % len(TASKS)], seed // len(TASKS))
    simulated = SimulatedTask(
        problem.space,
        Budget(trials=trials),
        models=problem.models,
        rows=problem.rows,
        economics=problem.economics,
    )
    search = simulate(simulated, problem.answers, seed=seed)
    measured = search.results.trials
    truths = {t: problem.truth(measured.record(t).job.candidate)[0] for t in measured.trials()}
    by_measured = _judged(search.results, truths, seed)
    search.update_expected()
    by_expected = _judged(search.results, truths, seed)
    compared = (name for name in by_measured if "lost" in name or "loses" in name)
    return {
        **{f"by expected quality, {name}": value for name, value in by_expected.items()},
        **{f"by measured quality, {name}": value for name, value in by_measured.items()},
        **{f"expected less measured, {name}": by_expected[name] - by_measured[name] for name in compared},
    }


def _judged(results: Any, truths: Mapping[int, float], seed: int) -> dict[str, float]:
    """The errors of what is recommended of a search whose true qualities are known."""
    metric = METRICS.get("accuracy")
    options, stats = [], {}
    for found in results.frontier():
        rows = results.resolved.task.evaluation.rows
        # the test rows of a trial are the same whatever the frontier
        right = np.random.default_rng([seed, 1, found.trial]).random(rows) < truths[found.trial]
        stats[found.trial] = right.astype(float)[:, None]
        test = {"test_quality": float(right.mean()), "test_quality_ci": interval(metric, stats[found.trial])}
        options.append(found.model_copy(update={**test, "test_rows": rows}))
    pairs = all_pairs(metric, stats, seed)
    best = best_of(options, pairs)
    advised = next(o for o in options if o.trial == recommend(options, Constraints(), None, pairs, GIVE_UP).trial)
    trials = results.trials
    on_validation = {t: results.validation_stats(t) for t in trials.trials()}
    longest = max(map(len, on_validation.values()))
    choice = _Choice(
        metric,
        {t: s for t, s in on_validation.items() if len(s) == longest},
        {
            t: {**v, "quality": trials.expected(t)}
            for t, v in trials.values().items()
            if len(on_validation[t]) == longest
        },
        seed,
    )
    allowed = GIVE_UP.advice.give_up_points / 100
    top = max(truths.values())
    return {
        **_errors("best", best, truths[best.trial]),
        **_errors("advised", advised, truths[advised.trial]),
        **choice.errors("best", best, truths[best.trial]),
        **choice.errors("advised", advised, truths[advised.trial]),
        "best: expected quality": best.quality_expected - truths[best.trial],
        "best: true quality lost": top - truths[best.trial],
        "advised: true quality lost": top - truths[advised.trial],
        "advised: loses more than may be given up": float(top - truths[advised.trial] > allowed),
        "advised: loses more than that against the best": float(truths[best.trial] - truths[advised.trial] > allowed),
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


def standard_error(values: Sequence[float]) -> float:
    """Of a mean over runs."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def run(job: Callable[[int], dict[str, float]], runs: int, processes: int) -> list[dict[str, float]]:
    """What many runs have found, several at a time."""
    if processes == 1:
        return [job(seed) for seed in range(runs)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(job, range(runs), chunksize=5))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000, help="studies of independent options, for each metric")
    parser.add_argument("--studies", type=int, default=1000, help="whole searches in virtual time")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of a whole search")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    jobs: list[tuple[str, Callable[[int], dict[str, float]], int]] = [
        (
            f"{OPTIONS} options, {ROWS} validation and test rows, {name}",
            functools.partial(one_run, name),
            arguments.runs,
        )
        for name in ("accuracy", "macro_f1", "rouge_l")
    ]
    title = f"whole searches of {arguments.trials} trials in virtual time, accuracy"
    jobs.append((title, functools.partial(one_study, arguments.trials), arguments.studies))
    for title, job, runs in jobs:
        if not runs:
            continue
        print(f"{title}: {runs} runs", flush=True)
        found = run(job, runs, arguments.processes)
        for name, value in summary(found).items():
            error = standard_error([row[name] for row in found])
            points = f" ({100 * value:+.2f} points, standard error {100 * error:.2f})"
            print(f"  {name}: {value:.3f}" + (points if not name.endswith("cost") else ""))


if __name__ == "__main__":
    main()
