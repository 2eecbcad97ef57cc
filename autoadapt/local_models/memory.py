"""Memory of devices: how much was used, whether it ran out, and giving it back to the system."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from autoadapt.process_memory import return_freed_memory


def gpu_meters() -> Mapping[str, Callable[[], Any]]:
    """Meters of this process's GPU, as `ModelFamily.meters` describes them."""
    return {
        "synchronize": torch.cuda.synchronize,
        "reset_peak_memory": torch.cuda.reset_peak_memory_stats,
        "peak_memory": torch.cuda.max_memory_allocated,
        "memory": torch.cuda.memory_allocated,
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def device_memory(device: torch.device) -> float:
    """Bytes of memory of a device in all."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return float(psutil.virtual_memory().total)


def free_unused_memory() -> None:
    """Frees objects that nothing refers to and gives their memory back to the system."""
    return_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
