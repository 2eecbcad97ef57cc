"""A study, loaded from its run folder: its trials, its verdict, other scenarios, other recommendations.

Nothing is run for it; a search that still runs is not disturbed. `autoadapt.Study` is this with figures.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter, ValidationError

from autoadapt.domain.comparison import Column, Terms
from autoadapt.domain.files import read_whole
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option, RawOption, Recommendation
from autoadapt.domain.plan import Plan
from autoadapt.domain.rows import read_rows
from autoadapt.domain.scenario import Scenario, Scenarios
from autoadapt.domain.task import Task, Words
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.verdict import Importance, Paired, Verdict
from autoadapt.errors import Exit, UserError
from autoadapt.pareto.frontier import points
from autoadapt.pareto.reference import Reference, hypervolume_share, reference_of
from autoadapt.study.pricing import Prices, task_terms, terms
from autoadapt.study.storage import OBJECTIVES, load_trials
from autoadapt.study.trials import importances, last_measured, read_trials, steps_of
from autoadapt.study.yaml_files import Document, check, parse, parse_value
from autoadapt.verdict.recommendation import binding, recommend, recommend_by_weights
from autoadapt.verdict.scenarios import compare, options_under

if TYPE_CHECKING:
    import optuna
    import pandas


RIGHT = 0.5
"""Score of a row from which its answer counts as right, where samples are shown."""


class Answered(Words):
    """One row and what an option answered."""

    split: str
    input: str
    expected: list[str]
    answer: str
    score: float
    """From 0 to 1."""

    @property
    def right(self) -> bool:
        """Whether it counts as right, where samples are shown."""
        return self.score >= RIGHT


class Study:
    """What a search has left, or has found so far.

    Args:
        root: its run folder.
        lock: content of its lock file.
        task: as it was run, prices looked up.
        raws: every option measured in full.
        summary: what was spent.
    """

    def __init__(
        self,
        root: Path,
        lock: Mapping[str, Any],
        task: Task,
        raws: Sequence[RawOption],
        summary: Mapping[str, Any],
    ) -> None:
        self.root, self.lock, self.task, self.raws, self.summary = root, dict(lock), task, list(raws), dict(summary)
        self._hosted: dict[str, Column] = {}
        self.source = str(lock.get("price_source", "the task"))
        """Where the task's price of a device-hour comes from."""

    @classmethod
    def load(cls, root: str | Path) -> Self:
        """Reads a run folder.

        Raises:
            UserError: there is no study in it, or it is damaged or of an earlier version.
        """
        root = Path(root)
        lock, summary = read_file(root, "task.lock.yaml"), read_file(root, "summary.json")
        raws = read_file(root, "measured.json")
        try:
            # the lock was written in JSON's types: tuples and decimals are read back from them
            task = Task.model_validate_json(json.dumps(lock["task"]))
            options = TypeAdapter(list[RawOption]).validate_json(json.dumps(raws))
        except (ValidationError, KeyError, TypeError) as error:
            raise UserError(
                f"{root}: written by another version of AutoAdapt, or damaged; "
                "run `autoadapt search` on its task again: it repeats no trial and writes the files anew",
                Exit.STORAGE,
            ) from error
        return cls(root, lock, task, options, summary)

    # -- what was found

    @functools.cached_property
    def verdict(self) -> Verdict | None:
        """Ties, optimism, learning curve, reasons; None until a search has ended."""
        return read_whole(self.root / "verdict.json", Verdict)

    @functools.cached_property
    def options(self) -> list[Option]:
        """The frontier by falling quality, and the untuned prompt, under the task's own economics."""
        return TypeAdapter(list[Option]).validate_json(json.dumps(read_file(self.root, "frontier.json")))

    @functools.cached_property
    def recommendation(self) -> Recommendation:
        """The advice under the task's own constraints."""
        return Recommendation.model_validate_json(json.dumps(read_file(self.root, "recommendations.json")[0]))

    @functools.cached_property
    def rows(self) -> list[TrialRow]:
        """Every trial that was begun, by number; failed, cached and unfinished ones included.

        Raises:
            UserError: the Optuna study cannot be read.
        """
        return read_trials(self._asked, self.root, self.task, self.raws, self.verdict)

    @functools.cached_property
    def _asked(self) -> "list[optuna.trial.FrozenTrial]":
        """The trials of the Optuna study, read once."""
        return load_trials(self.root / "study.db", self.task.name)

    def raw(self, trial: int | None) -> RawOption | None:
        """A trial measured in full; None: it is none of these."""
        return next((r for r in self.raws if r.trial == trial), None)

    def option(self, trial: int | None) -> Option | None:
        """A trial of the frontier, or the untuned prompt; None: it is neither."""
        return next((o for o in self.options if o.trial == trial), None)

    def trials(self) -> "pandas.DataFrame":
        """Every trial as a row: columns of `TrialRow`, parameters as ``params.NAME``; indexed by trial."""
        import pandas

        told = [flat(row) for row in self.rows]
        return pandas.DataFrame(told, columns=None if told else list(TrialRow.model_fields)).set_index("trial")

    def frontier(self) -> "pandas.DataFrame":
        """The frontier and the untuned prompt as rows: columns of `Option`, parameters as ``params.NAME``."""
        import pandas

        told = [flat(option) for option in self.options]
        return pandas.DataFrame(told, columns=None if told else list(Option.model_fields)).set_index("trial")

    def importances(self) -> list[Importance]:
        """How much each parameter moved each objective within each method (fANOVA over complete trials)."""
        return list(self._importances)

    @functools.cached_property
    def _importances(self) -> list[Importance]:
        found = importances(self._asked, OBJECTIVES, self.task.seed)
        return [
            Importance(method=method, objective=objective, parameter=name, share=value, trials=trials)
            for (method, objective), (trials, shares) in found.items()
            for name, value in shares.items()
        ]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The objectives of the search."""
        return DEFAULT_GOALS

    def reference(self) -> Reference:
        """The box of this study's hypervolume.

        Raises:
            UserError: no trial was measured in full.
        """
        return reference_of(self.rows, self.goals)

    def hypervolume(self, reference: Reference | None = None) -> float:
        """Hypervolume of all trials measured in full, as a share of the box.

        Args:
            reference: the box; None: the study's own (runs that are compared must share one).
        """
        return hypervolume_share(points(self.rows, self.goals), reference or self.reference())

    def latency_ms(self, trial: int) -> list[float]:
        """Milliseconds of every single request of a trial's last step; empty: none was timed."""
        last = last_measured(steps_of(self.root, trial))
        return list(last.measurement.latency_ms) if last is not None and last.measurement is not None else []

    def answers(self, trial: int, most: int = 5) -> list[Answered]:
        """Some right and some wrong answers of a trial: on test rows if it was re-scored, else on validation rows.

        Args:
            trial: its number.
            most: of each kind.
        """
        for split in ("test", "validation"):
            path = self.root / "trials" / f"{trial:04d}" / f"predictions-{split}.jsonl"
            if path.is_file():
                inputs = {r.id: r.input for r in read_rows(self.root / "data" / f"{split}.jsonl")}
                told = [json.loads(line) for line in path.read_bytes().splitlines()]
                found = [
                    Answered(
                        split=split,
                        input=inputs.get(t["id"], ""),
                        expected=list(t["expected"]),
                        answer=str(t["answer"]),
                        score=float(t["score"]),
                    )
                    for t in told
                ]
                return [a for a in found if a.right][:most] + [a for a in found if not a.right][:most]
        return []

    @property
    def plan(self) -> Plan | None:
        """What `autoadapt plan` expected of it; None: it was not planned."""
        told = self.summary.get("plan")
        return Plan.model_validate_json(json.dumps(told)) if told else None

    # -- other scenarios, other limits

    def compare(self, scenarios: "Scenarios | Mapping[str, Scenario | Mapping[str, Any]] | str | Path") -> list[Column]:
        """Prices every option anew under each scenario: what to choose, what it costs, from which volume another.

        Args:
            scenarios: a scenarios file, or scenarios by name.

        Raises:
            UserError: a scenario is wrong, a price unknown, or no option was measured in full.
        """
        self._some_option()
        base = Path()
        if isinstance(scenarios, str | Path):
            base = Path(scenarios).resolve().parent
            read = parse(Document(Path(scenarios)), Scenarios)
        elif isinstance(scenarios, Scenarios):
            read = scenarios
        else:
            plain = {
                n: s.model_dump(exclude_unset=True) if isinstance(s, Scenario) else s for n, s in scenarios.items()
            }
            read = check(Scenarios, {"scenarios": plain}, "scenarios")
        prices = Prices(None if read.price_book is None else (base / read.price_book).expanduser())
        return [self._column(name, scenario, prices) for name, scenario in read.scenarios.items()]

    def hosted(self, hosting: str) -> Column:
        """The task's own use under another way of hosting; computed once."""
        if hosting not in self._hosted:
            self._hosted[hosting] = self.compare({hosting: {"hosting": hosting}})[0]
        return self._hosted[hosting]

    def _column(self, name: str, scenario: Scenario, prices: Prices) -> Column:
        economics, spent = self.task.economics, float(self.summary["spent"]["usd"])
        found, warnings = terms(name, scenario, economics, self.task.constraints, self.source, spent, prices)
        quotes = [prices.token(model) for model in scenario.api]
        warnings += [w for q in quotes if (w := q.stale_now())]
        return compare(self.raws, found, quotes, self._pairs()).model_copy(
            update={"warnings": warnings + self._notes(found)}
        )

    def _notes(self, terms: Terms) -> list[str]:
        hosting = terms.scenario.hosting
        notes = []
        if hosting == "scale_to_zero" and terms.scenario.cold_s is None:
            measured = [r.load.cold_start_s for r in self.raws if r.load and r.load.cold_start_s is not None]
            notes.append(
                "cold_s is not given: starting is taken to be loading the model as measured "
                f"({max(measured):.1f} s at most), without starting a machine"
                if measured
                else "cold_s is not given and was not measured: starting is taken to be free"
            )
        if hosting == "shared" and terms.scenario.unmerged_slowdown == 1:
            notes.append(
                "adapters that share a base answer unmerged, which is slower (1.1 to 2.1 times in our own runs on a "
                "small model); options were measured merged: set unmerged_slowdown"
            )
        device = terms.scenario.price.split("/")[1] if isinstance(terms.scenario.price, str) else None
        measured_on = sorted({r.hardware for r in self.raws})
        if device is not None and not any(device.split("-")[0] in kind.lower() for kind in measured_on):
            notes.append(
                f"times were measured on {', '.join(measured_on)} and are priced as those of a {device}: only a run on "
                "that device gives its figures"
            )
        return notes

    def recommend(
        self,
        *,
        min_quality: float | None = None,
        max_p95: float | None = None,
        max_cost_per_1k: float | None = None,
        max_train_usd: float | None = None,
        max_memory_mb: float | None = None,
        max_artifact_mb: float | None = None,
        weights: tuple[float, float, float] | None = None,
        knee: bool = False,
    ) -> tuple[Recommendation, list[str], list[Option]]:
        """The option that fits, why, which constraints bind, and all options that were weighed.

        Args:
            min_quality: least quality, 0 to 1.
            max_p95: greatest latency in milliseconds.
            max_cost_per_1k: greatest cost of 1,000 queries in USD.
            max_train_usd: most that training may cost.
            max_memory_mb: greatest peak memory.
            max_artifact_mb: greatest size of what is deployed.
            weights: of quality, cost, latency, instead of the cheapest option that is as good as the best.
            knee: equal weights.

        Raises:
            UserError: a limit is out of range, or no option was measured in full.
        """
        self._some_option()
        given = {
            "quality": min_quality,
            "latency_p95_ms": max_p95,
            "cost_usd_per_1k": max_cost_per_1k,
            "training_usd": max_train_usd,
            "memory_mb": max_memory_mb,
            "artifact_mb": max_artifact_mb,
        }
        limits = {k: v for k, v in given.items() if v is not None}
        own = {k: v for k, v in self.task.constraints.model_dump().items() if v is not None}
        constraints = check(type(self.task.constraints), {**own, **limits}, "recommend")
        found = task_terms(self.task.model_copy(update={"constraints": constraints}))
        options = options_under(self.raws, found, found.cell())
        if knee:
            weights = (1.0, 1.0, 1.0)
        if weights is not None:
            if min(weights) < 0 or sum(weights) <= 0:
                raise UserError("weights must not be negative, and not all 0")
            return recommend_by_weights(options, constraints, weights), binding(options, constraints), options
        pairs = self._pairs()
        return recommend(options, constraints, None, pairs), binding(options, constraints, pairs), options

    def _pairs(self) -> list[Paired]:
        return [] if self.verdict is None else self.verdict.paired

    def _some_option(self) -> None:
        if not self.raws:
            raise UserError(f"{self.root}: no option was measured in full, so there is nothing to weigh", Exit.PARTIAL)


def flat(row: TrialRow | Option) -> dict[str, Any]:
    """A row with its parameters as columns ``params.NAME`` and intervals as two columns; lists stay."""
    told: dict[str, Any] = {}
    for name, value in row.model_dump().items():
        if name == "params":
            told |= {f"params.{k}": v for k, v in value.items()}
        elif isinstance(value, tuple) or name.endswith("_ci"):
            told |= {
                f"{name.removesuffix('_ci')}_{end}": value[i] if value else None
                for i, end in enumerate(("low", "high"))
            }
        else:
            told[name] = value
    return told


def scenario_of(text: str) -> tuple[str, Scenario]:
    """A scenario written as ``volume=10000,price=2.69,p95=400``; ``volume=1000/5000/20000`` is low, likely, high.

    Raises:
        UserError: it cannot be read.
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key.strip() or not equals:
            raise UserError(f"--scenario {text}: write it as key=value,key=value")
        parts = value.split("/")
        try:
            numbers = [float(p) for p in parts] if len(parts) == 3 else None
        except ValueError:
            numbers = None
        values[key.strip()] = numbers or parse_value(f"--scenario {text}", value)
    name = str(values.pop("name", text))
    if isinstance(values.get("api"), str):
        values["api"] = values["api"].split("+")
    return name, check(Scenario, values, f"--scenario {text}")


def read_file(root: Path, name: str) -> Any:
    """The JSON values of a file of a finished run.

    Raises:
        UserError: it is absent (the message names the studies beside it) or damaged.
    """
    try:
        return json.loads((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (root / "study.db").is_file():
            raise UserError(f"{root}: no trial was measured in full yet ({name} is missing)", Exit.PARTIAL) from None
        known = sorted(p.parent.name for p in root.parent.glob("*/measured.json"))[:10]
        hint = f"; studies here: {', '.join(known)}" if known else ""
        raise UserError(f"{root}: no finished study ({name} is missing){hint}") from None
    except (ValueError, NotADirectoryError) as error:
        raise UserError(f"{root / name}: damaged; run `autoadapt search` again to rebuild it", Exit.STORAGE) from error
