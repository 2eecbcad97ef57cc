"""Peak memory of training and answering."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import Objective, Reading
from autoadapt.domain.option import Option


class Memory(Objective):
    """Megabytes (1e6 bytes): on a GPU those allocated on the fullest device, else the worker's resident set."""

    direction: ClassVar[Literal["maximize", "minimize"]] = "minimize"
    unit: ClassVar[str] = "MB"
    title: ClassVar[str] = "peak memory in MB"

    def read(self, reading: Reading) -> float:
        return reading.measurement.peak_memory_bytes / 1e6

    def of_option(self, option: Option, name: str) -> float:
        return option.peak_memory_bytes / 1e6
