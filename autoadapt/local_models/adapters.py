"""What is trained of a model: all of its weights, or an adapter of any kind that peft has beside frozen ones."""

from collections.abc import Mapping
from typing import Any

import torch

from autoadapt.domain.method import AdapterSpec
from autoadapt.errors import UserError, did_you_mean
from autoadapt.local_models.loading import LoadedModel

ATTENTION = (
    r".*\.(q_proj|k_proj|v_proj|o_proj|qkv_proj|query|key|value|query_key_value|c_attn|Wqkv|q_lin|k_lin|v_lin|out_lin)"
)
CHECKPOINTED_ACTIVATIONS = 1_000_000_000
"""Parameters above which activations are computed again in the backward pass instead of being kept."""


def make_trainable(lm: LoadedModel, adapter: AdapterSpec | None, task_type: str | None = None) -> Any:
    """The model with gradients on all weights, or an adapter on frozen ones.

    Args:
        lm: the model.
        adapter: what is trained beside it; None: the model itself.
        task_type: peft's name of what the model does, such as CAUSAL_LM; None: it gives hidden states.

    Raises:
        UserError: peft has no such adapter, refuses its settings, or the model has no layer it could sit on.
    """
    if lm.parameters > CHECKPOINTED_ACTIVATIONS:
        lm.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        lm.model.enable_input_require_grads()
    if adapter is None:
        return lm.model.requires_grad_(True)
    from peft import get_peft_model

    settings = dict(adapter.settings)
    if settings.get("target_modules") == "attention":
        settings["target_modules"] = ATTENTION
    config = _configuration(adapter.peft_type, {"task_type": task_type, **settings})
    if config.is_prompt_learning:
        raise UserError(
            f"{adapter.peft_type} trains tokens before the prompt, which cannot be merged into the weights; "
            "choose an adapter that changes layers, such as LORA or IA3"
        )
    try:
        return get_peft_model(lm.model, config)
    except ValueError as error:
        linear = sorted({n.split(".")[-1] for n, m in lm.model.named_modules() if isinstance(m, torch.nn.Linear)})
        target = adapter.settings.get("target_modules", "chosen by peft")
        raise UserError(
            f"{adapter.peft_type} target_modules {target} matches no layer of this model; "
            f"its linear layers are called {', '.join(linear) or 'nothing: it has none'} ({error})"
        ) from error


def _configuration(peft_type: str, settings: Mapping[str, Any]) -> Any:
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    by_name = {kind.value: configuration for kind, configuration in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if peft_type not in by_name:
        raise UserError(f"peft has no adapter '{peft_type}': {did_you_mean(peft_type, by_name)}")
    try:
        return by_name[peft_type](**settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"{peft_type} does not take these settings: {error}") from error
