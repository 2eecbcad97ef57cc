"""Machine: what is here for a search to use; Checkup: what that comes to, and the fix for each lack."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.strict import StrictModel

Hub = Literal["reachable", "unreachable", "switched off"]


class LocalServer(StrictModel):
    """A server of models on this machine."""

    url: str
    models: list[str]
    """As it calls them."""


class Torch(StrictModel):
    """The installed torch."""

    version: str | None = None
    """None: it is not installed."""
    cuda: str | None = None
    """Version of CUDA that it was built for; None: a build for the CPU."""
    failure: str | None = None
    """Why it cannot be imported; None: it can, or that was not tried."""
    gpus: int | None = None
    """That it can use; None: not tried."""


class Machine(StrictModel):
    """What a search finds here."""

    cpu: str
    cores: int = Field(ge=1)
    memory_bytes: int
    """Of the machine."""
    available_bytes: int
    """Of these, not in use now."""
    disk_bytes: int
    """Free where the search would write."""
    gpus: list[str]
    """Names of the usable ones."""
    gpu_bytes: int | None
    """Memory of the smallest of them."""
    torch: Torch
    servers: list[LocalServer]
    keys: dict[str, str]
    """Provider -> environment variable that holds its key and is set; the key itself is never read."""

    @property
    def accelerator_bytes(self) -> int:
        """Memory of one device on which a model would lie."""
        return self.gpu_bytes or self.memory_bytes


class Finding(StrictModel):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "lack", "stops"]
    """`lack`: something optional is missing; `stops`: no search can run."""
    says: str
    fix: str | None = None
    """What to do about it."""


class Checkup(StrictModel):
    """What a machine can do."""

    can_search: bool
    """Whether a search can run here."""
    findings: list[Finding]
