"""Finished options of causal language models, loaded from an artifact folder."""

from collections.abc import Callable

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Training
from autoadapt.domain.selector import PromptChoices, Select
from autoadapt.local_models.artifacts import Option, deployed_bytes, load_weights
from autoadapt.local_models.example_vectors import ExampleVectors
from autoadapt.local_models.heads import HeadAnswerer, read_head
from autoadapt.local_models.warm_models import WarmModels
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.raw_text import raw_text_reader


def load_option(
    models: WarmModels[LanguageModel],
    option: Option,
    description: ArtifactDescription,
    devices: Devices,
    tick: Callable[[], None],
    select: Select | None,
) -> Adapted:
    """An option that answers; arguments as of `ModelFamily.load`."""
    lm = load_weights(models, option, devices)
    training = Training(artifact_bytes=deployed_bytes(option.folder, option.weights, description.prompt))
    if option.weights == "head":
        head = read_head(option.folder, lm.device)
        return HeadAnswerer(lm, head, raw_text_reader(lm), description.labels or [], training=training, tick=tick)
    if isinstance(select, PromptChoices) and select.needs_vectors:
        vectors = ExampleVectors.read(option.folder)
        select.use(vectors.vectors, vectors.embedder(lm, raw_text_reader(lm)))
    encoder = make_encoder(lm, description, select, description.decoding)
    return make_answerer(lm, encoder, description, description.decoding, training, tick)
