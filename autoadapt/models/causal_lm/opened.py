"""A causal language model opened for one job: behind a prompt as it is, trained, or with a head on its features."""

from collections.abc import Callable

from autoadapt.domain.method import Adapted, AdapterSpec, Decoding, Training
from autoadapt.local_models.adapters import make_trainable
from autoadapt.local_models.artifacts import Option, deployed_bytes, load_weights, write_weights
from autoadapt.local_models.opened import OpenedLocalModel, Trainee
from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm.examples import make_examples
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.prompted import make_answerer, make_encoder
from autoadapt.models.causal_lm.raw_text import raw_text_reader
from autoadapt.training.losses import AnswerLoss


class OpenedCausalLm(OpenedLocalModel[LanguageModel]):
    """One job on one base model."""

    def prompt(self, decoding: Decoding) -> Adapted:
        job, context = self.context.job, self.context
        lm = self.models.borrow(self.base, self.accelerator, self.dtype)
        context.save_artifact(decoding)
        training = Training(artifact_bytes=deployed_bytes(context.artifact, "none", job.prompt))
        encoder = make_encoder(lm, job, context.select, decoding)
        return make_answerer(lm, encoder, job, decoding, training, context.tick)

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
