"""An encoder trained on pairs of texts, with a classifier on its features afterwards (SetFit; arXiv 2209.11055)."""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from autoadapt.domain.method import Adapted, Context, Training
from autoadapt.domain.params import ContrastParams, HeadParams
from autoadapt.local_models.adapters import make_trainable
from autoadapt.local_models.artifacts import write_weights
from autoadapt.local_models.feature_cache import joined
from autoadapt.local_models.features import Features, compute_features, pooled
from autoadapt.local_models.heads import HeadAnswerer, LinearHead
from autoadapt.local_models.opened import Trainee
from autoadapt.local_models.texts import Encoded
from autoadapt.models.encoder.encoder_model import EncoderModel
from autoadapt.training.losses import LabelledExample, PairExample, PairLoss
from autoadapt.training.pairs import draw_pairs


class TextVectors(torch.nn.Module):
    """Mean-pooled vectors of texts, as they are trained.

    Args:
        backbone: an encoder.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        """Vectors, shape (texts, width), of a right-padded batch of token ids."""
        return pooled(self.backbone(**batch).last_hidden_state, batch["attention_mask"], "mean")


@dataclass(frozen=True)
class _Classifier:
    """A head, and what fitting it took."""

    head: LinearHead
    seconds: float
    tokens: int


def pair_trainee(
    context: Context,
    lm: EncoderModel,
    params: ContrastParams,
    rows: Sequence[LabelledExample],
    read: Callable[[str], Encoded],
) -> Trainee:
    """An encoder made ready for training on pairs of rows.

    Its classifier is fitted when the trained model is first saved or asked, hence after training, to the features that
    it has then: those of the run's cache are of the model as it was before.

    Args:
        context: of the job.
        lm: the encoder, whose weights are changed.
        params: of pairs, training and classifier.
        rows: for training.
        read: token ids of an input.
    """
    model = make_trainable(lm, None)

    @functools.cache
    def classifier() -> _Classifier:
        return _fit_classifier(context, lm, params, rows)

    def answerer(training: Training) -> Adapted:
        fitted = classifier()
        whole = dataclasses.replace(
            training, seconds=training.seconds + fitted.seconds, tokens=training.tokens + fitted.tokens
        )
        return HeadAnswerer(lm, fitted.head, read, context.job.labels or [], training=whole, tick=context.tick)

    def write(gathered: dict[str, torch.Tensor] | None) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            write_weights(model, lm.tokenizer, gathered)(folder)
            classifier().head.write(folder)

        return fill

    labels = [cast(int, row.label) for row in rows]  # the method is not for sets of labels
    drawn = draw_pairs(labels, params.pairs_per_row, context.job.seed)
    return Trainee(
        module=TextVectors(model),
        model=model,
        examples=[PairExample(rows[i], rows[j]) for i, j in drawn],
        loss=PairLoss(lm.tokenizer.pad_token_id),
        answerer=answerer,
        write=write,
        stops_early=False,
    )


def _fit_classifier(
    context: Context, lm: EncoderModel, params: ContrastParams, rows: Sequence[LabelledExample]
) -> _Classifier:
    from autoadapt.local_models.logistic_regression import fit_head

    begun = time.perf_counter()
    as_head = HeadParams(pooling="mean", scaling="unit", C=params.C)
    encoded = [Encoded(row.ids, False, row.types) for row in rows]
    computed = joined([*compute_features(Features(lm, as_head.pooling), encoded, context.tick)])
    if not np.isfinite(computed.vectors).all():
        raise FloatingPointError("training has ended with features that are not finite")
    answers = np.array([row.label for row in rows])
    head = fit_head(computed.vectors, answers, len(context.job.labels or []), as_head).to(lm.device)
    return _Classifier(head, time.perf_counter() - begun, int(computed.tokens.sum()))
