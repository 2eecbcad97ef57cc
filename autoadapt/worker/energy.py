"""Energy a GPU has drawn, by NVIDIA's counter (package nvidia-ml-py, extra ``energy``).

A processor's counter is that of the whole socket and cannot be divided among trials side by side: it is not read.
"""

import os
from collections.abc import Callable


def energy_counter(accelerator: str) -> Callable[[], float | None]:
    """A function that gives joules drawn since the driver was loaded; None where there is no counter.

    Args:
        accelerator: where the trial runs; its first visible GPU is the one read.
    """
    if accelerator != "cuda":
        return lambda: None
    try:
        import pynvml  # type: ignore[import-not-found]
    except ImportError:
        return lambda: None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    try:
        pynvml.nvmlInit()
        index = int(first) if first.isdigit() else None
        by_uuid = pynvml.nvmlDeviceGetHandleByUUID
        handle = by_uuid(first) if index is None else pynvml.nvmlDeviceGetHandleByIndex(index)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:  # an old GPU, a shared one (MIG), no permission
        return lambda: None
    return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
