"""What fits: bytes a method needs on a device, from the weights' sizes as their files state them.

Mixed precision, P weights in all, T of them trained, N devices (DeepSpeed's documentation of ZeRO): plain full tuning
keeps weights, gradients and AdamW's two moments in fp32, 16 P; LoRA keeps frozen weights in the computing type and 16
T; ZeRO-2 takes 2 P + 18 T / N, ZeRO-3 2 P / N + 16 T / N. Activations come on top.
"""

from autoadapt.domain.candidate import Candidate

ACTIVATIONS = 1.2
"""Factor for activations and buffers, which depend on batch and length."""
LORA_SHARE = 0.02
"""Weights a LoRA adapter trains at most, as a share of the model, when its rank is not known."""


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
