"""A finished study, loaded from its run folder: compared under scenarios, asked for another recommendation.

Nothing is run for it.

    from autoadapt import Study

    study = Study.load("runs/support")
    study.compare({"startup": {"volume": 5000, "hosting": "scale_to_zero"}})
    study.recommend(max_p95=400, max_cost_per_1k=0.01)
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autoadapt.domain.comparison import Column, Terms
from autoadapt.domain.option import Option, RawOption, Recommendation
from autoadapt.domain.scenario import Scenario, Scenarios
from autoadapt.domain.task import Task
from autoadapt.errors import Exit, UserError
from autoadapt.study.pricing import Prices, task_terms, terms
from autoadapt.study.yaml_files import Document, check, parse, parse_value
from autoadapt.verdict.recommendation import binding, recommend, recommend_by_weights
from autoadapt.verdict.scenarios import compare, options_under


class Study:
    """What a search has left.

    Args:
        root: its run folder.
        task: as it was run, prices looked up.
        raws: every option measured in full.
        summary: what was spent.
        source: where the task's price comes from.
    """

    def __init__(
        self, root: Path, task: Task, raws: Sequence[RawOption], summary: Mapping[str, Any], source: str
    ) -> None:
        self.root, self.task, self.raws, self.summary, self.source = root, task, list(raws), dict(summary), source

    @classmethod
    def load(cls, root: str | Path) -> "Study":
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
        return cls(root, task, options, summary, str(lock.get("price_source", "the task")))

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

    def _column(self, name: str, scenario: Scenario, prices: Prices) -> Column:
        economics, spent = self.task.economics, float(self.summary["spent"]["usd"])
        found, warnings = terms(name, scenario, economics, self.task.constraints, self.source, spent, prices)
        quotes = [prices.token(model) for model in scenario.api]
        warnings += [w for q in quotes if (w := q.stale_now())]
        return compare(self.raws, found, quotes).model_copy(update={"warnings": warnings + self._notes(found)})

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
        return recommend(options, constraints, None), binding(options, constraints), options

    def _some_option(self) -> None:
        if not self.raws:
            raise UserError(f"{self.root}: no option was measured in full, so there is nothing to weigh", Exit.PARTIAL)


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
        known = sorted(p.parent.name for p in root.parent.glob("*/measured.json"))[:10]
        hint = f"; studies here: {', '.join(known)}" if known else ""
        raise UserError(f"{root}: no finished study ({name} is missing){hint}") from None
    except (ValueError, NotADirectoryError) as error:
        raise UserError(f"{root / name}: damaged; run `autoadapt search` again to rebuild it", Exit.STORAGE) from error
