"""Causal language models of transformers: named ones (embedded, smollm2), folders and hub repositories.

This file imports no heavy library; the modules beside it do, and they are imported when a worker opens a model.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from autoadapt import model_files
from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices, Fit
from autoadapt.domain.method import Adapted, Context, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.local_models.family import LocalFamily
from autoadapt.local_models.known_types import CAUSAL

if TYPE_CHECKING:
    from autoadapt.local_models.warm_models import Load
    from autoadapt.models.causal_lm.language_model import LanguageModel


LEAST_TO_REASON = 1_000_000_000
"""Weights below which reasoning is not searched unasked: published gains are those of large models (Wei et al. 2022),
and every token of it takes as long as a label. A search space may still name it."""


class CausalLm(LocalFamily["LanguageModel"]):
    """Models that predict the next token; they are prompted, tuned in full, or tuned by adapters of peft."""

    name: ClassVar[str] = "causal_lm"
    types: ClassVar[str] = CAUSAL
    kind: ClassVar[str] = "causal language model"

    def claims(self, name: str, base: Path) -> bool:
        return model_files.is_model_name(name, base) and not model_files.names_encoder(name, base)

    def capabilities(self, model: ModelReference) -> Capabilities:
        folder = Path(model.place)
        weights = model_files.count_weights(folder)
        return Capabilities(
            generates=True,
            reasons=weights >= LEAST_TO_REASON and model_files.has_chat_template(folder),
            reads_prompts=True,
            scores_labels=True,
            answers_label_sets=True,
            embeds=True,
            trains=True,
            adapters=True,
            context_length=model_files.context_length(folder),
            parameters=weights,
        )

    def obstacle(self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]]) -> str | None:
        folder, limit = Path(model.place), model_files.context_length(Path(model.place))
        if limit is None or "template" not in job.candidate.params:
            return None
        from autoadapt.models.causal_lm.lengths import too_long

        return too_long(folder, limit, job, splits["train"], splits["validation"], splits.get("documents", ()))

    def cached_numbers(
        self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]], accelerator: str
    ) -> int:
        if "template" not in job.candidate.params:
            return 0
        from autoadapt.models.causal_lm.lengths import largest_batch

        folder = Path(model.place)
        texts, tokens = largest_batch(
            folder, job, splits["train"], splits["validation"], accelerator, splits.get("documents", ())
        )
        tokens = min(tokens, model_files.context_length(folder) or tokens)
        return texts * model_files.cached_numbers(model_files.read_config(folder), tokens)

    def open(self, context: Context, model: ModelReference) -> Model:
        from autoadapt.models.causal_lm.opened import OpenedCausalLm

        return OpenedCausalLm(context, model, self.warm_models(context.devices))

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        from autoadapt.local_models.artifacts import Option, place_here
        from autoadapt.models.causal_lm.options import load_option

        option = Option(folder, description.weights, place_here(description.model), description.precision)
        return load_option(self.warm_models(devices), option, description, devices, tick, select)

    def loader(self) -> "Load[LanguageModel]":
        from autoadapt.models.causal_lm import language_model

        return language_model.load
