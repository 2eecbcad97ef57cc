"""An encoder opened for one job: trained with a classifier or on pairs of texts, or with a head on frozen features."""

from collections.abc import Callable
from pathlib import Path

import torch

from autoadapt.domain.method import Adapted, AdapterSpec, Decoding, Training
from autoadapt.domain.params import ContrastParams
from autoadapt.local_models.adapters import make_trainable
from autoadapt.local_models.artifacts import Option, load_weights, write_weights
from autoadapt.local_models.heads import HeadAnswerer, LinearHead, read_head
from autoadapt.local_models.opened import Follower, OpenedLocalModel, Trainee, label_targets
from autoadapt.local_models.texts import Encoded
from autoadapt.models.encoder.classifier import Classifier
from autoadapt.models.encoder.contrastive import pair_trainee
from autoadapt.models.encoder.encoder_model import EncoderModel, input_reader
from autoadapt.training.loop import seed_everything
from autoadapt.training.losses import LabelledExample, LabelLoss, LabelSetLoss

BACKBONE = "backbone."
HEAD = "head."


class OpenedEncoder(OpenedLocalModel[EncoderModel]):
    """One job on one base model."""

    tuned = Decoding()

    def trainee(self, lm: EncoderModel, adapter: AdapterSpec | None) -> Trainee:
        context = self.context
        labels, sets = context.job.labels or [], context.job.multi_label
        model = make_trainable(lm, adapter)
        head = LinearHead(lm.model.config.hidden_size, len(labels), sets=sets).to(lm.device)

        def answerer(training: Training) -> Adapted:
            return HeadAnswerer(lm, head, self.reader(lm), labels, training=training, tick=context.tick)

        def write(gathered: dict[str, torch.Tensor] | None) -> Callable[[Path], None]:
            def fill(folder: Path) -> None:
                if gathered is not None:
                    head.load_state_dict(_below(gathered, HEAD))
                write_weights(model, lm.tokenizer, _below(gathered, BACKBONE) if gathered is not None else None)(folder)
                head.write(folder)

            return fill

        return Trainee(
            module=Classifier(model, head),
            model=model,
            examples=self._examples(lm),
            loss=(LabelSetLoss if sets else LabelLoss)(lm.tokenizer.pad_token_id),
            answerer=answerer,
            write=write,
        )

    def contrast(self, params: ContrastParams) -> Adapted:
        """Trains on one device, of a group on that of rank 0; the others hold nothing."""
        context = self.context
        if context.rank > 0:
            return Follower(Training(), 0, self.models)
        seed_everything(context.job.seed)
        lm = self.models.take(self.base, self.accelerator, torch.float32)
        return self.train_here(
            params, lm, pair_trainee(context, lm, params, self._examples(lm), self.reader(lm)), "full"
        )

    def finished(self, option: Option, training: Training) -> Adapted:
        lm = load_weights(self.models, option, self.context.devices)
        head = read_head(option.folder, lm.device)
        labels = self.context.job.labels or []
        return HeadAnswerer(lm, head, self.reader(lm), labels, training=training, tick=self.context.tick)

    def reader(self, lm: EncoderModel) -> Callable[[str], Encoded]:
        return input_reader(lm, self.context.job.input_columns)

    def _examples(self, lm: EncoderModel) -> list[LabelledExample]:
        rows, read = self.context.training_rows(), self.reader(lm)
        targets = label_targets(self.context.job, rows).tolist()
        encoded = [read(row.input) for row in rows]
        return [LabelledExample(e.ids, target, e.types) for e, target in zip(encoded, targets, strict=True)]


def _below(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
