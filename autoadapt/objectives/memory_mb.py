"""Peak memory of training and answering."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import Objective, Reading
from autoadapt.domain.option import Option
from autoadapt.domain.params import Effect


class Memory(Objective):
    """Megabytes (1e6 bytes): on a GPU those allocated on the fullest device, else the resident set of a worker.

    What earlier jobs have left in the worker is not counted, nor are libraries that a job imports.
    """

    direction: ClassVar[Literal["maximize", "minimize"]] = "minimize"
    unit: ClassVar[str] = "MB"
    title: ClassVar[str] = "peak memory in MB"
    changed_by: ClassVar[frozenset[Effect] | None] = frozenset({"training", "answering"})

    def read(self, reading: Reading) -> float:
        return reading.measurement.peak_memory_bytes / 1e6

    def of_option(self, option: Option, name: str) -> float:
        return option.peak_memory_bytes / 1e6
