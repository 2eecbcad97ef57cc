"""Training on one device with a plain torch loop, resumable from its own checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from autoadapt.training.batches import HasTokens
from autoadapt.training.settings import BackendSettings


class PlainBackend:
    """AdamW on the weights that require gradients.

    Args:
        model: the model in training precision; trained weights are fp32.
        settings: how steps are computed.
    """

    resumes = True
    leader = True

    def __init__(self, model: torch.nn.Module, settings: BackendSettings) -> None:
        self.model, self.settings = model, settings
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=0.0, fused=True)
        self.device = next(model.parameters()).device

    def step(self, examples: Sequence[HasTokens], rate: float) -> float:
        """One optimizer step; returns the mean loss per answer token, or per row."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        count, total = self.settings.loss.count(examples), torch.zeros((), device=self.device)
        size = -(-len(examples) // self.settings.micro_batches)
        lower = self.settings.dtype != torch.float32
        for start in range(0, len(examples), size):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=lower):
                loss = self.settings.loss.summed(self.model, examples[start : start + size], self.device) / count
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(total)

    def agree(self, value: float) -> float:
        """One rank decides for itself."""
        return value

    def save(self, folder: Path) -> None:
        """Writes weights and optimizer state as safetensors."""
        save_file({n: p.detach().cpu().contiguous() for n, p in self.trained.items()}, folder / "weights.safetensors")
        names = {id(p): n for n, p in self.trained.items()}
        state = {
            f"{names[id(p)]}|{key}": value.detach().cpu().reshape(value.shape).contiguous()
            for p, values in self.optimizer.state.items()
            for key, value in values.items()
        }
        save_file(state, folder / "optimizer.safetensors")

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote."""
        with torch.no_grad():
            for name, value in load_file(folder / "weights.safetensors").items():
                self.trained[name].copy_(value)
        for joined, value in load_file(folder / "optimizer.safetensors").items():
            name, key = joined.rsplit("|", 1)
            parameter = self.trained[name]
            # the step counter stays on the CPU, as torch keeps it
            self.optimizer.state[parameter][key] = value if key == "step" else value.to(parameter.device)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The whole model's weights."""
        return dict(self.model.state_dict())

    def close(self) -> None:
        """Frees gradients and optimizer state."""
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Trained weights: matrices with decay, vectors (biases, norms) without."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, object]] = [{"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay}]
    vectors = [p for p in trained if p.ndim < 2]
    return [*groups, {"params": vectors, "weight_decay": 0.0}] if vectors else groups
