"""Answers by a model of words."""

import time
from collections.abc import Sequence

from autoadapt.domain.method import Answer, Training
from autoadapt.word_models import Words


class AdaptedWords:
    """Answers by a model of words (see `autoadapt.domain.method.Adapted`).

    Args:
        words: the model.
        labels: the allowed labels; None: free text.
        training: what fitting took.
    """

    def __init__(self, words: Words, labels: Sequence[str] | None, training: Training) -> None:
        self.words, self.labels, self.training = words, list(labels or []), training
        self.parameters_total = words.parameters

    def prepare(self, inputs: Sequence[str]) -> int:
        """Nothing is shared by inputs."""
        return 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers inputs; what counts as a token is a word."""
        begun = time.perf_counter()
        if not inputs:
            return []
        answers = self.words.answered(inputs, self.labels)
        seconds = time.perf_counter() - begun
        return [
            Answer(
                text,
                tokens_in=len(asked.split()),
                tokens_out=len(text.split()),
                first_s=seconds,
                done_s=seconds,
                confidence=confidence,
                log_probs=log_probs,
            )
            for asked, (text, confidence, log_probs) in zip(inputs, answers, strict=True)
        ]

    def close(self) -> None:
        """There is nothing to give back."""
