"""A causal language model opened for one job: behind a prompt as it is, trained, or with a head on its features."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from autoadapt.domain.method import Adapted, AdapterSpec, Decoding, Training
from autoadapt.domain.selector import PromptChoices
from autoadapt.local_models.adapters import make_trainable
from autoadapt.local_models.artifacts import Option, deployed_bytes, load_weights, write_weights
from autoadapt.local_models.example_vectors import READ, ExampleVectors
from autoadapt.local_models.opened import OpenedLocalModel, Trainee
from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm.examples import make_examples
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.raw_text import raw_text_reader
from autoadapt.training.losses import AnswerLoss


class OpenedCausalLm(OpenedLocalModel[LanguageModel]):
    """One job on one base model."""

    _vectors: ExampleVectors | None = None
    """By which examples are chosen."""

    def prompt(self, decoding: Decoding) -> Adapted:
        job, context = self.context.job, self.context
        lm = self.models.borrow(self.base, self.accelerator, self.dtype)
        training = self._compare_examples(lm)
        context.save_artifact(decoding, "none", self._write_vectors)
        size = deployed_bytes(context.artifact, "none", job.prompt)
        training = dataclasses.replace(training, artifact_bytes=size)
        encoder = make_encoder(lm, job, context.select, decoding)
        return make_answerer(lm, encoder, job, decoding, training, context.tick)

    def _compare_examples(self, lm: LanguageModel) -> Training:
        """Gives the candidate's examples the vectors that they are chosen by, if they are; returns what that took.

        The seconds are those that the features took once, as of a head: what an option costs does not depend on which
        trial came first.
        """
        select = self.context.select
        if not isinstance(select, PromptChoices) or not select.needs_vectors:
            return Training()
        cached, count = self.cached_features(lm, READ), len(select.rows)
        self._vectors = ExampleVectors(cached.vectors[:count])
        select.use(self._vectors.vectors, self._vectors.embedder(lm, self.reader(lm)))
        seconds, tokens = float(cached.seconds[:count].sum()), int(cached.tokens[:count].sum())
        return Training(preparing_seconds=seconds, preparing_tokens=tokens)

    def _write_vectors(self, folder: Path) -> None:
        if self._vectors is not None:
            self._vectors.write(folder)

    def trainee(self, lm: LanguageModel, adapter: AdapterSpec | None) -> Trainee:
        context = self.context
        encoder = make_encoder(lm, context.job, context.select, self.tuned)
        model = make_trainable(lm, adapter, "CAUSAL_LM")

        return Trainee(
            module=model,
            model=model,
            examples=make_examples(encoder, context.training_rows(), lm.context_length),
            loss=AnswerLoss(lm.tokenizer.pad_token_id, lm.keeps_logits),
            answerer=lambda training: make_answerer(lm, encoder, context.job, self.tuned, training, context.tick),
            write=lambda gathered: write_weights(model, lm.tokenizer, gathered),
        )

    def finished(self, option: Option, training: Training) -> Adapted:
        context = self.context
        lm = load_weights(self.models, option, context.devices)
        encoder = make_encoder(lm, context.job, context.select, self.tuned)
        return make_answerer(lm, encoder, context.job, self.tuned, training, context.tick)

    def reader(self, lm: LanguageModel) -> Callable[[str], Encoded]:
        return raw_text_reader(lm)
