"""USD of 1,000 queries: answering, and the option's training spread over the queries of the horizon."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import Objective, Reading
from autoadapt.domain.option import Option
from autoadapt.domain.params import Effect
from autoadapt.economics.usage_costs import cost_usd_per_1k


class Cost(Objective):
    """Device time at the task's price, and what providers billed (see `economics.usage_costs`)."""

    direction: ClassVar[Literal["maximize", "minimize"]] = "minimize"
    unit: ClassVar[str] = "USD"
    title: ClassVar[str] = "USD per 1,000 queries"
    changed_by: ClassVar[frozenset[Effect] | None] = frozenset({"training", "answering"})

    def read(self, reading: Reading) -> float:
        return float(cost_usd_per_1k(reading.measurement, reading.economics, reading.share_trained))

    def of_option(self, option: Option, name: str) -> float:
        return option.cost_usd_per_1k
