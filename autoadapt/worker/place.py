"""Where a worker process stands: its devices, its rank in the group, its parent."""

import ctypes
import os
import signal
from pathlib import Path

from autoadapt.domain.jobs import Devices
from autoadapt.domain.strict import StrictModel

ENVIRONMENT = "AUTOADAPT_PLACE"
PR_SET_PDEATHSIG = 1


class Place(StrictModel):
    """Given by an executor in the environment variable AUTOADAPT_PLACE, as JSON."""

    devices: Devices
    rank: int = 0
    world: int = 1
    meeting_file: str | None = None
    """Where the ranks of a group meet; it must not exist when the first comes."""
    cores: list[int] | None = None
    """CPU cores this rank may use."""
    parent: int | None = None
    """Process whose end must end this one."""

    def settle(self) -> None:
        """Binds this process to its parent's life and to its cores, before any heavy import."""
        if self.parent is not None:
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self.parent:  # it ended before the line above
                os._exit(1)
        if self.cores:
            os.sched_setaffinity(0, self.cores)
        os.environ["OMP_NUM_THREADS"] = str(self.devices.threads)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        if self.devices.accelerator == "cpu":
            os.environ["DS_ACCELERATOR"] = "cpu"
            os.environ["CUDA_VISIBLE_DEVICES"] = ""

    def heartbeat(self, folder: Path) -> Path:
        """The file whose time of change says that this rank makes progress."""
        return folder / ("heartbeat" if self.rank == 0 else f"heartbeat-{self.rank}")
