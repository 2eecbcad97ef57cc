"""The hardware of this machine, read without importing torch."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from autoadapt.domain.jobs import Devices


def gpu_names() -> list[str]:
    """Names of the GPUs this process may use, by ``nvidia-smi``; empty where there are none."""
    names = _nvidia_smi("name")
    return [names[i] for i in gpu_numbers(len(names))]


def _nvidia_smi(field: str) -> list[str]:
    """A field of every GPU; empty where there are none or none may be used."""
    tool = shutil.which("nvidia-smi")
    if tool is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = [tool, f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def device_memory_bytes(accelerator: str) -> int | None:
    """Memory of the smallest usable GPU, or of this machine; None: not known."""
    if accelerator == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    listed = _nvidia_smi("memory.total")
    sizes = [int(listed[i]) * 2**20 for i in gpu_numbers(len(listed)) if listed[i].isdigit()]
    return min(sizes, default=None)


def gpu_numbers(count: int) -> list[int]:
    """Indices of the usable GPUs among `count`, as CUDA_VISIBLE_DEVICES says (indices only; UUIDs count as all)."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    parts = [p.strip() for p in visible.split(",")] if visible else []
    if parts and all(p.isdigit() for p in parts):
        return [int(p) for p in parts if int(p) < count]
    return list(range(count))


def cpu_name() -> str:
    """The processor's model name, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.machine()


def usable_cores() -> list[int]:
    """CPU cores this process may run on."""
    return sorted(os.sched_getaffinity(0))


def own_devices() -> Devices:
    """One GPU if there is one, else one CPU slot of all cores."""
    names = gpu_names()
    if names:
        return Devices(kind=names[0], count=1, accelerator="cuda", threads=1)
    return Devices(kind=cpu_name(), count=1, accelerator="cpu", threads=len(usable_cores()))
