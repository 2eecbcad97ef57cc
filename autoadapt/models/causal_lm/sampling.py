"""Drawing tokens such that an answer depends on its input and its number alone, and not on the rest of its batch."""

import hashlib
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor


def seed_of_sample(seed: int, text: str, number: int) -> int:
    """The seed of an answer: 56 bits of SHA-256 over the job's seed, the number of the sample and the input."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}/{text}".encode()).digest()[:7], "big")


class Likelihoods(LogitsProcessor):  # type: ignore[misc]
    """Notes the log-likelihood of the token that greedy decoding chooses: one number per row and step."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = scores.float()
        self.steps.append(numbers.amax(-1) - numbers.logsumexp(-1))
        return scores

    def of_rows(self) -> list[list[float]]:
        """For each row its tokens' log-likelihoods, those after its end included."""
        return torch.stack(self.steps, dim=1).tolist()


class Draws(Likelihoods):
    """Draws each row's next token by a generator of its own, and leaves it as the only possible one.

    What is drawn at a step is the inverse of the distribution function at one number from the generator, so that a row
    draws the same alone and in any batch. Log-likelihoods are those at temperature 1.

    Args:
        seeds: of the rows.
        temperature: greater than 0.
        top_p: tokens are drawn among the most probable ones that have this probability together.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        super().__init__()
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature, self.top_p = temperature, top_p

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = scores.float()
        shares, order = (numbers / self.temperature).softmax(-1).double(), None
        if self.top_p < 1:
            shares, order = shares.sort(dim=-1, descending=True, stable=True)
            shares = shares * (shares.cumsum(-1) - shares < self.top_p)
        sums = shares.cumsum(-1)
        drawn = [torch.rand(1, generator=one, dtype=torch.float64) for one in self.generators]
        index = torch.searchsorted(sums, torch.stack(drawn).to(sums.device) * sums[:, -1:], right=True)
        index = index.clamp(max=sums.shape[-1] - 1)
        chosen = index if order is None else order.gather(-1, index)
        self.steps.append(numbers.gather(-1, chosen)[:, 0] - numbers.logsumexp(-1))
        return torch.full_like(scores, float("-inf")).scatter(-1, chosen, 0.0)
