"""The task's metric on validation rows."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import SHARE, Objective, Reading
from autoadapt.domain.option import Option
from autoadapt.row_statistics import stats_array


class Quality(Objective):
    """The metric, from 0 to 1; of an option, corrected by similar candidates where the sampler models them."""

    direction: ClassVar[Literal["maximize", "minimize"]] = "maximize"
    unit: ClassVar[str] = SHARE
    title: ClassVar[str] = "quality"
    uncertain: ClassVar[bool] = True
    scale: ClassVar[Literal["linear", "log"]] = "linear"

    def read(self, reading: Reading) -> float:
        return reading.metric.value(stats_array(reading.measurement))

    def of_option(self, option: Option, name: str) -> float:
        return option.quality_expected
