"""What fits: bytes a method needs on a device, from the weights' sizes as their files state them.

Mixed precision, P weights in all, T of them trained, N devices (DeepSpeed's documentation of ZeRO): plain full tuning
keeps weights, gradients and AdamW's two moments in fp32, 16 P; LoRA keeps frozen weights in the computing type and 16
T; ZeRO-2 takes 2 P + 18 T / N, ZeRO-3 2 P / N + 16 T / N. Activations come on top.
"""

import json
import struct
from pathlib import Path

from autoadapt.domain.trial import Candidate

MOST_HEADER_BYTES = 100_000_000
ACTIVATIONS = 1.2
"""Factor for activations and buffers, which depend on batch and length."""
LORA_SHARE = 0.02
"""Weights a LoRA adapter trains at most, as a share of the model, when its rank is not known."""


def weights(folder: Path) -> int:
    """Number of weights in a model folder, by the headers of its safetensors files; 0 where there are none."""
    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            size = struct.unpack("<Q", opened.read(8))[0]
            if size > MOST_HEADER_BYTES:
                continue
            header = json.loads(opened.read(size))
        for name, told in header.items():
            if name != "__metadata__":
                count = 1
                for side in told["shape"]:
                    count *= side
                total += count
    return total


def need_bytes(candidate: Candidate, parameters: int, devices: int, low_precision: bool) -> int:
    """Bytes a candidate needs on each device.

    Args:
        candidate: its method decides.
        parameters: weights of the base model.
        devices: that share the training.
        low_precision: whether it computes in bf16, not in fp32.
    """
    each = 2 if low_precision else 4
    if candidate.method == "full":
        # of several devices the leanest stage is asked, ZeRO-3: an earlier one is taken only where it fits
        whole = 18 * parameters / devices if devices > 1 else 16 * parameters
    elif candidate.method == "prompt":
        whole = each * parameters
    else:
        whole = each * parameters + 16 * LORA_SHARE * parameters / devices
    return int(whole * ACTIVATIONS)
