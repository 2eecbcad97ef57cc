"""Energy that GPUs have drawn, by NVIDIA's counter (package nvidia-ml-py, extra ``energy``).

A processor's counter is that of the whole socket and cannot be divided among jobs side by side: it is not read.
"""

import os
from collections.abc import Callable
from typing import Any


def energy_counter(accelerator: str, count: int = 1) -> Callable[[], float | None]:
    """A function that gives joules drawn since the driver was loaded; None where there is no counter.

    Args:
        accelerator: where the job runs.
        count: GPUs read, the first visible ones, together.
    """
    if accelerator != "cuda":
        return lambda: None
    try:
        import pynvml  # type: ignore[import-not-found]
    except ImportError:
        return lambda: None
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = (visible or [str(i) for i in range(count)])[:count]
    try:
        pynvml.nvmlInit()
        handles = [_handle(pynvml, name) for name in names]
        for handle in handles:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:  # an old GPU, a shared one (MIG), no permission
        return lambda: None
    return lambda: sum(float(pynvml.nvmlDeviceGetTotalEnergyConsumption(h)) for h in handles) / 1000


def joules_between(before: float | None, after: float | None) -> float | None:
    """Joules between two readings of a counter; None where there is no counter."""
    return None if before is None or after is None else after - before


def _handle(pynvml: Any, name: str) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
