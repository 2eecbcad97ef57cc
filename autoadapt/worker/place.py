"""Where a worker process stands: its devices, its rank in the group, the process on whose life it depends."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from autoadapt.domain.jobs import Devices
from autoadapt.domain.strict import StrictModel

ENVIRONMENT = "AUTOADAPT_PLACE"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Place(StrictModel):
    """Given to a worker by its launcher, as JSON: in a message to the fork server, or in AUTOADAPT_PLACE."""

    devices: Devices
    rank: int = 0
    world: int = 1
    meeting_file: str | None = None
    """Where the ranks of a group meet; it must not exist when the first comes."""
    cores: list[int] | None = None
    """CPU cores this rank may use; None: all."""
    gpus: list[int] | None = None
    """Indices of the GPUs this rank may see; None: those that its launcher sees."""
    memory_bytes: int | None = None
    """Private memory that this process may have; None: no limit."""
    parent: int | None = None
    """Process whose end must end this one; None: it may outlive its launcher."""

    def settle(self) -> None:
        """Binds this process to its parent's life, its cores and its devices; called before any heavy import."""
        if self.parent is not None:
            end_with_parent(self.parent)
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)
        if self.memory_bytes is not None:
            import resource

            # the size of its data, not of its addresses: libraries reserve many that they never use
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, hard))
        os.environ.update(device_environment(self.devices))
        if self.gpus is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, self.gpus))

    def heartbeat(self, folder: Path) -> Path:
        """The file whose time of change says that this rank makes progress."""
        return folder / ("heartbeat" if self.rank == 0 else f"heartbeat-{self.rank}")

    def outcome(self, folder: Path) -> Path:
        """The file of this rank's outcome; rank 0's is that of the job."""
        return folder / ("outcome.json" if self.rank == 0 else f"outcome-{self.rank}.json")


def device_environment(devices: Devices) -> dict[str, str]:
    """Environment variables that numerical libraries read when they are imported."""
    values = {"OMP_NUM_THREADS": str(devices.threads), "TOKENIZERS_PARALLELISM": "false"}
    if devices.accelerator == "cpu":
        values |= {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return values


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Has the kernel end this process when its parent ends (Linux; elsewhere nothing is done).

    The kernel takes the thread that started this process for its parent: it must live as long as the parent does.

    Args:
        parent: number of the process that started this one; if it has ended already, this one exits.
        number: of the signal that the kernel sends.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above, which therefore had no effect
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of every process below it whose parent ends (Linux; elsewhere nothing is done)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
