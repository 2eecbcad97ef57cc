"""Parameters from which the Params class of every method is built."""

from pydantic import Field

from autoadapt.domain.strict import StrictModel


class PromptedParams(StrictModel):
    """Every method answers through a prompt."""

    template: str
    """Name of a prompt template of the search space."""
    instruction: str = "none"
    """Name of an instruction of the search space."""


class TunedParams(PromptedParams):
    """Parameters of the training loop, with the names transformers uses."""

    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Peak rate of AdamW; linear warm-up, linear decay to 0. LoRA needs about ten times the rate of full tuning."""
    num_train_epochs: int = Field(default=3, ge=1, le=1000)
    """Passes over the training rows."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Rows per optimizer step, over all devices."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps over which the rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """AdamW's decoupled weight decay."""
