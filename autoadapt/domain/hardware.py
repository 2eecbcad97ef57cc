"""What this machine has, found without importing torch."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from autoadapt.domain.trial import Devices


def gpu_names() -> list[str]:
    """Names of the GPUs this process may use, by ``nvidia-smi``; empty where there are none."""
    tool = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if tool is None or visible == "":
        return []
    try:
        command = [tool, "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    names = [line.strip() for line in listed.splitlines() if line.strip()]
    return names if visible is None else [names[i] for i in gpu_numbers(len(names))]


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
