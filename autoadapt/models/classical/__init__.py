"""Models of words by scikit-learn: the floor that every language model has to be better than.

This file imports no heavy library; `words.py` beside it does, and it is imported when a worker opens the model.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices
from autoadapt.domain.method import Adapted, Context, Decoding, Model, Training
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.params import WordModel, WordParams
from autoadapt.domain.selector import Select

NAME = "classical"


class Classical(ModelFamily):
    """The one model ``classical``: nothing is loaded, all of it comes from the training rows."""

    preload: ClassVar[tuple[str, ...]] = ("sklearn.linear_model", "sklearn.feature_extraction.text")

    def claims(self, name: str, base: Path) -> bool:
        return name == NAME

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        return ModelReference(name=name, family="classical", location="")

    def capabilities(self, model: ModelReference) -> Capabilities:
        return Capabilities(generates=True, scores_labels=True, answers_label_sets=True, counts_words=True)

    def open(self, context: Context, model: ModelReference) -> Model:
        return OpenedClassical(context)

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        from autoadapt.models.classical.words import AdaptedWords
        from autoadapt.word_models import load_words

        size = sum(file.stat().st_size for file in folder.glob("words.*"))
        return AdaptedWords(load_words(folder), description.labels, Training(artifact_bytes=size))


class OpenedClassical(Model):
    """One job on the training rows.

    Args:
        context: of the job.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def fit_words(self, kind: WordModel, params: WordParams) -> Adapted:
        import time

        from autoadapt.models.classical.words import AdaptedWords
        from autoadapt.word_models import fit_words, save_words

        context, labels, sets = self.context, self.context.job.labels, self.context.job.multi_label
        rows = context.training_rows()
        begun = time.perf_counter()
        fitted = fit_words(kind, params, [row.input for row in rows], [row.outputs[0] for row in rows], labels, sets)
        seconds = time.perf_counter() - begun
        context.save_artifact(Decoding(tuned=True), "full", save_words(fitted))
        size = sum(file.stat().st_size for file in context.artifact.glob("words.*"))
        training = Training(seconds=seconds, parameters_trained=fitted.parameters, artifact_bytes=size)
        return AdaptedWords(fitted, labels, training)
