"""Size of the files that are deployed in addition to the base model."""

from typing import ClassVar, Literal

from autoadapt.domain.objective import Objective, Reading
from autoadapt.domain.option import Option
from autoadapt.domain.params import Effect


class ArtifactSize(Objective):
    """Megabytes (1e6 bytes); 0 for a prompt, so differences are compared on a linear scale."""

    direction: ClassVar[Literal["maximize", "minimize"]] = "minimize"
    unit: ClassVar[str] = "MB"
    title: ClassVar[str] = "artifact in MB"
    scale: ClassVar[Literal["linear", "log"]] = "linear"
    changed_by: ClassVar[frozenset[Effect] | None] = frozenset({"artifact"})

    def read(self, reading: Reading) -> float:
        return reading.measurement.artifact_bytes / 1e6

    def of_option(self, option: Option, name: str) -> float:
        return option.artifact_bytes / 1e6
