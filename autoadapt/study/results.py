"""From finished trials to the frontier, its re-scoring, the recommendation, and the files that hold them."""

import csv
import functools
import io
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from autoadapt.domain.events import Status
from autoadapt.domain.files import inert, write_atomic, write_json
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.option import Objectives, Option, RawOption, Recommendation
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.plan import Plan
from autoadapt.domain.trial import Fidelity, Step, seed_of
from autoadapt.domain.verdict import Paired
from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.frontier import directions
from autoadapt.study.pricing import task_terms
from autoadapt.study.probing import kept_plan
from autoadapt.study.resolve import Resolved
from autoadapt.study.run_folder import Record, RunFolder
from autoadapt.verdict.comparisons import all_pairs
from autoadapt.verdict.costs import peak_rate
from autoadapt.verdict.intervals import interval, mean_interval
from autoadapt.verdict.latency import decode_share, percentile
from autoadapt.verdict.objectives import objectives, stats_array
from autoadapt.verdict.recommendation import recommend
from autoadapt.verdict.scenarios import Pricer
from autoadapt.worker.run import METHODS


class _Sums(NamedTuple):
    """What is computed once of every outcome, for it is shown twice a second."""

    tokens_in: int
    tokens_out: int
    tokens_in_ci: tuple[float, float]
    tokens_out_ci: tuple[float, float]
    decode_share: float
    p50: float
    p95: float | None

    @classmethod
    def of(cls, outcome: Outcome) -> "_Sums":
        measured = outcome.measurement
        assert measured is not None
        read, written = [row.tokens_in for row in measured.rows], [row.tokens_out for row in measured.rows]
        return cls(
            sum(read),
            sum(written),
            mean_interval(read),
            mean_interval(written),
            decode_share(measured.latency_ms, measured.tokens_out_latency),
            percentile(measured.latency_ms, 50) or 0.0,
            percentile(measured.latency_ms, 95),
        )


class Results:
    """The options of one study.

    Args:
        resolved: the task, for metric and economics.
        folder: the records.
        hardware: device kind; options measured on other hardware are left off the frontier.
    """

    def __init__(self, resolved: Resolved, folder: RunFolder, hardware: str) -> None:
        self.resolved, self.folder, self.hardware = resolved, folder, hardware
        self._outcomes: dict[int, Outcome] = {}
        self._points: dict[int, Objectives] = {}
        self._sums: dict[int, _Sums] = {}
        self._intervals: dict[tuple[int, str], tuple[float, float]] = {}
        self._believed: Mapping[int, float] = {}
        self._frontier: list[int] | None = None
        self._terms = task_terms(resolved.task)
        self._known: dict[int, RawOption] | None = None
        self._pairs: dict[tuple[int, int], Paired] = {}
        self.gone: set[int] = set()
        """Trained options whose weights were deleted when others beat them: they cannot come back."""

    def add(self, trial: int, outcome: Outcome) -> None:
        """Takes a trial's outcome at full fidelity."""
        if outcome.devices.kind == self.hardware:
            self._frontier = None
            self._outcomes[trial] = outcome
            self._sums[trial] = _Sums.of(outcome)
            self._points[trial] = objectives(outcome, self.resolved.metric, self.resolved.task.economics)

    def believe(self, qualities: Mapping[int, float]) -> None:
        """Takes qualities of trials as corrected by what their neighbours showed; the frontier is chosen by them."""
        self._believed, self._frontier = qualities, None

    def _expected(self, trial: int) -> float:
        return self._believed.get(trial, self._points[trial].quality)

    def frontier_trials(self) -> list[int]:
        """Trials that no other dominates, by falling quality."""
        if self._frontier is None:
            self._frontier = sorted(self._non_dominated(self._expected), key=lambda t: -self._expected(t))
        return self._frontier

    def _non_dominated(self, quality: Callable[[int], float]) -> list[int]:
        trials = sorted(set(self._points) - self.gone)
        rows = [(quality(t), self._points[t].cost_usd_per_1k, self._points[t].latency_ms) for t in trials]
        flags = non_dominated(rows, directions(DEFAULT_GOALS))
        return [t for t, flag in zip(trials, flags, strict=True) if flag]

    def let_go(self) -> set[int]:
        """Gives up what is on the frontier neither as expected nor as measured; returns what is left.

        What is expected of an option may rise again, but its weights are deleted once it is given up.
        """
        kept = {*self.frontier_trials(), *self._non_dominated(lambda t: self._points[t].quality)}
        trained = {
            t for t, o in self._outcomes.items() if o.measurement is not None and o.measurement.parameters_trained
        }
        self.gone |= trained - kept
        return kept

    def baseline(self) -> int | None:
        """The first zero-shot prompt that was measured in full: what one has without doing anything."""
        for trial in sorted(self._outcomes):
            candidate = self._candidate(trial)
            if candidate.method == "prompt" and candidate.params.get("shots") == 0:
                return trial
        return None

    def outcomes_to_rescore(self) -> list[Outcome]:
        """Validation outcomes of the options whose test score is still missing."""
        return [self._outcomes[t] for t in self._rescored_trials() if self._test_record(t) is None]

    def steps_under_load(self) -> list[Step]:
        """A load step for each option of the frontier, and the baseline, that has none; the recommended one first."""
        evaluation, economics = self.resolved.task.evaluation, self.resolved.task.economics
        if not evaluation.load_requests or not self.folder.lasting:
            return []
        steps = []
        advised = self.recommendation().trial
        for trial in sorted(self._rescored_trials(), key=lambda t: t != advised):
            tried = self.folder.of(trial, "load")
            if len(tried) > 1 or self._record(trial, "load") is not None:
                continue
            change = {
                "split": "load",
                "attempt": len(tried),
                "fidelity": Fidelity(
                    rows=min(evaluation.rows, len(self.resolved.splits.validation)),
                    steps=1.0,
                    latency_requests=evaluation.load_requests,
                ),
                "rate": float(peak_rate(Decimal(economics.queries_per_month))),
                "promise_ms": self.resolved.task.constraints.latency_p95_ms,
                "keep_checkpoint": False,
            }
            steps.append(self._last_step(trial).model_copy(update=change))
        return steps

    def steps_to_rescore(self) -> list[Step]:
        """One step on the test rows for each option that has none."""
        steps = []
        for trial in self._rescored_trials():
            if self._test_record(trial) is not None:
                continue
            last = self._last_step(trial)
            attempt = len(self.folder.of(trial, "test"))
            rows = len(self.resolved.splits.test)
            steps.append(
                last.model_copy(
                    update={
                        "split": "test",
                        "attempt": attempt,
                        "fidelity": Fidelity(rows=rows, steps=1.0, latency_requests=0),
                        "keep_checkpoint": False,
                    }
                )
            )
        return steps

    def frontier(self) -> list[Option]:
        """The frontier's options, by falling quality."""
        return [self.option(t) for t in self.frontier_trials()]

    def options(self) -> list[Option]:
        """The frontier, and the baseline even where it is beaten."""
        found = self.frontier()
        baseline = self.baseline()
        if baseline is not None and all(o.trial != baseline for o in found):
            found.append(self.option(baseline).model_copy(update={"on_frontier": False}))
        return found

    def recommendation(self) -> Recommendation:
        """The advice under the task's constraints."""
        return recommend(self.options(), self.resolved.task.constraints, self.baseline(), self.pairs())

    def pairs(self) -> list[Paired]:
        """The frontier and the baseline compared on test rows, as far as they were re-scored."""
        stats = {t: s for t in self._rescored_trials() if (s := self.stats(t, "test")) is not None}
        return all_pairs(self.resolved.metric, stats, self.resolved.task.seed, self._pairs)

    def stats(self, trial: int, split: Literal["validation", "test"]) -> Any:
        """The metric's statistics of a trial measured in full, shape (rows, statistics); None: not re-scored."""
        outcome: Outcome | None = self._outcomes[trial]
        if split == "test":
            record = self._record(trial, "test")
            outcome = record.outcome if record is not None else None
        return None if outcome is None or outcome.measurement is None else stats_array(outcome.measurement)

    def points(self) -> dict[int, Objectives]:
        """Objectives of every trial measured in full."""
        return dict(self._points)

    def step_again(self, trial: int, train_rows: int | None, seed_index: int) -> Step:
        """A step that fits a trial's candidate anew and scores it on the test rows."""
        last = self._last_step(trial)
        change = {
            "rung": 0,
            "split": "again",
            "fidelity": Fidelity(rows=len(self.resolved.splits.test), steps=1.0, latency_requests=0),
            "train_rows": train_rows,
            "seed_index": seed_index,
            "seed": seed_of(last.seed, seed_index) if seed_index else last.seed,
            "keep_checkpoint": False,
        }
        step = last.model_copy(update={**change, "attempt": 0})
        folder = str(self.folder.step_folder(step).relative_to(self.folder.root))
        return step.model_copy(
            update={"attempt": len(self.again(trial, train_rows, seed_index)), "state_folder": folder}
        )

    def again(self, trial: int, train_rows: int | None, seed_index: int) -> list[Record]:
        """What came of fitting a trial anew; empty: it was not tried."""
        asked = (train_rows, seed_index)
        return [r for r in self.folder.of(trial, "again") if (r.step.train_rows, r.step.seed_index) == asked]

    def random_trials(self) -> list[int]:
        """Options of the frontier that another seed would change: trained, or with examples drawn by chance."""
        found = []
        for trial in self.frontier_trials():
            candidate = self._candidate(trial)
            if METHODS.get(candidate.method).tunes or candidate.params.get("shots"):
                found.append(trial)
        return found

    def raw(self, trial: int) -> RawOption:
        """Everything measured of one trial."""
        outcome, candidate = self._outcomes[trial], self._candidate(trial)
        measured = outcome.measurement
        assert measured is not None
        test = self._record(trial, "test")
        tested = test.outcome.measurement if test is not None and test.outcome is not None else None
        loaded = self._record(trial, "load")
        free_text, sums = self.resolved.metric.answers == "text", self._sums[trial]
        return RawOption(
            trial=trial,
            method=candidate.method,
            model=candidate.model,
            params=candidate.params,
            quality=self._points[trial].quality,
            quality_ci=self._interval(trial, "validation", outcome),
            quality_expected=self._expected(trial),
            test_quality=self.resolved.metric.value(stats_array(tested)) if tested else None,
            test_quality_ci=self._interval(trial, "test", test.outcome) if test and test.outcome and tested else None,
            test_rows=len(tested.rows) if tested else 0,
            hardware=outcome.devices.kind,
            devices=outcome.devices.count,
            train_seconds=measured.train_seconds,
            inference_seconds=measured.inference_seconds,
            rows=len(measured.rows),
            tokens_in=sums.tokens_in,
            tokens_shared=measured.tokens_shared,
            tokens_out=sums.tokens_out,
            tokens_in_ci=sums.tokens_in_ci,
            tokens_out_ci=sums.tokens_out_ci,
            free_text=free_text,
            decode_share=sums.decode_share if free_text else 0.0,
            latency_p50_ms=sums.p50,
            latency_p95_ms=sums.p95,
            load=loaded.outcome.load if loaded is not None and loaded.outcome is not None else None,
            energy_joules=measured.energy_joules,
            artifact_bytes=measured.artifact_bytes,
            peak_memory_bytes=measured.peak_memory_bytes,
            shares_base=METHODS.get(candidate.method).shares_base,
            on_frontier=trial in self.frontier_trials(),
            weights_kept=trial not in self.gone,
        )

    def option(self, trial: int) -> Option:
        """Everything told of one trial, under the task's economics."""
        return Pricer(self.raw(trial), self._terms).as_option(self._terms.cell())

    def write(self, status: Status) -> None:
        """Writes frontier.json, frontier.csv, measured.json, recommendations.json and summary.json."""
        if not self.folder.lasting:
            return
        options = [json.loads(o.model_dump_json()) for o in self.options()]
        root = self.folder.root
        write_json(root / "frontier.json", options)
        write_json(root / "measured.json", [json.loads(r.model_dump_json()) for r in self._raws()])
        write_atomic(root / "frontier.csv", _as_csv(options))
        write_json(root / "recommendations.json", [json.loads(self.recommendation().model_dump_json())])
        plan = self._plan
        write_json(
            root / "summary.json",
            {
                "plan": None if plan is None else json.loads(plan.model_dump_json()),
                "spent": json.loads(status.spent.model_dump_json()),
                **{k: getattr(status, k) for k in ("complete", "pruned", "failed", "cached")},
                "methods": self.per_method(),
            },
        )

    def per_method(self) -> dict[str, dict[str, float]]:
        """Trials, steps and device-seconds of every method."""
        found: dict[str, dict[str, float]] = {}
        trials: dict[str, set[int]] = {}
        for record in self.folder.records:
            method = record.step.candidate.method
            entry = found.setdefault(method, {"trials": 0, "steps": 0, "device_seconds": 0.0})
            trials.setdefault(method, set()).add(record.step.trial)
            entry["trials"] = len(trials[method])
            entry["steps"] += 1
            if record.outcome is not None:
                entry["device_seconds"] += record.outcome.seconds * record.outcome.devices.count
        return found

    def _rescored_trials(self) -> list[int]:
        baseline = self.baseline()
        wanted = self.frontier_trials()
        return wanted if baseline is None or baseline in wanted else [*wanted, baseline]

    def _candidate(self, trial: int) -> Any:
        return self._last_step(trial).candidate

    def _last_step(self, trial: int) -> Step:
        return [r for r in self.folder.of(trial) if r.outcome is not None and r.outcome.measurement][-1].step

    def _test_record(self, trial: int) -> Record | None:
        return self._record(trial, "test")

    def _record(self, trial: int, split: str) -> Record | None:
        """The last finished step of a trial on a split."""
        done = [r for r in self.folder.of(trial, split) if r.outcome is not None and r.outcome.failure is None]
        return done[-1] if done else None

    @functools.cached_property
    def _plan(self) -> Plan | None:
        """The plan made for this task; hashing the data for it takes time."""
        return kept_plan(self.resolved, self.folder.root)

    def _raws(self) -> list[RawOption]:
        """Every trial measured in full on this hardware, by number."""
        return [self.raw(trial) for trial in sorted(self._outcomes)]

    def _interval(self, trial: int, split: str, outcome: Outcome) -> tuple[float, float]:
        if self._known is None:  # a bootstrap takes its time: what an earlier run has computed is not computed again
            self._known = {r.trial: r for r in read_measured(self.folder.root)} if self.folder.lasting else {}
        known = self._known.get(trial)
        earlier = None if known is None else known.quality_ci if split == "validation" else known.test_quality_ci
        if earlier is not None:
            self._intervals.setdefault((trial, split), earlier)
        if (trial, split) not in self._intervals:
            measured = outcome.measurement
            assert measured is not None
            self._intervals[trial, split] = interval(
                self.resolved.metric, stats_array(measured), self.resolved.task.seed
            )
        return self._intervals[trial, split]


def read_measured(root: Path) -> list[RawOption]:
    """The options of a run folder; none where the file is absent or was written by another version."""
    try:
        return TypeAdapter(list[RawOption]).validate_json((root / "measured.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return []


def _as_csv(options: list[Mapping[str, Any]]) -> str:
    """One row per option; intervals in two columns, parameters as JSON. A text a spreadsheet would run is quoted."""
    out = io.StringIO()
    rows = []
    for option in options:
        row: dict[str, Any] = {}
        for key, value in option.items():
            if key.endswith("_ci"):
                row[f"{key}_low"], row[f"{key}_high"] = value or (None, None)
            elif key == "params":
                row[key] = json.dumps(value, ensure_ascii=False)
            else:
                row[key] = inert(value)
        rows.append(row)
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
