"""Finished options of encoders, loaded from an artifact folder."""

from collections.abc import Callable

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Training
from autoadapt.local_models.artifacts import Option, deployed_bytes, load_weights
from autoadapt.local_models.heads import HeadAnswerer, read_head
from autoadapt.local_models.warm_models import WarmModels
from autoadapt.models.encoder.encoder_model import EncoderModel, input_reader


def load_option(
    models: WarmModels[EncoderModel],
    option: Option,
    description: ArtifactDescription,
    devices: Devices,
    tick: Callable[[], None],
) -> Adapted:
    """An option that answers; arguments as of `ModelFamily.load`."""
    lm = load_weights(models, option, devices)
    return HeadAnswerer(
        lm,
        read_head(option.folder, lm.device),
        input_reader(lm, description.input_columns),
        description.labels or [],
        training=Training(artifact_bytes=deployed_bytes(option.folder, option.weights, description.prompt)),
        tick=tick,
    )
