"""Memory of this process: what it holds, its peak since a moment, and giving back what it no longer uses."""

import contextlib
import ctypes
import gc
from pathlib import Path


def resident_bytes() -> int:
    """Resident set now; 0 where the system does not tell."""
    return _status_bytes("VmRSS")


def peak_resident_bytes() -> int:
    """Greatest resident set since `reset_peak`; 0 where the system does not tell."""
    return _status_bytes("VmHWM")


def reset_peak() -> None:
    """Lets the peak begin anew at the resident set of now."""
    with contextlib.suppress(OSError):  # not every container lets a process reset its own peak
        Path("/proc/self/clear_refs").write_text("5")


def return_freed_memory() -> None:
    """Frees objects that nothing refers to and gives their memory back to the system."""
    gc.collect()
    # glibc keeps freed memory for later; after a large model that can be most of what this process holds
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status_bytes(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
