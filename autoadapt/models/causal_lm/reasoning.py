"""Answering after reasoning, and by several answers that were drawn for each input.

The model writes up to the marker that parts reasoning from the answer; behind ``Answer:`` every label is scored, so
that there is always one, with its probability, or a text is written. Each sample is a row of its own in a batch.
"""

import dataclasses
import time
from collections.abc import Sequence

from autoadapt.domain.method import Answer
from autoadapt.local_models.texts import Encoded, batches
from autoadapt.models.causal_lm.answering import Answerer, FirstToken
from autoadapt.models.causal_lm.sampling import Draws, seed_of_sample
from autoadapt.models.causal_lm.stops import reasoning_stops
from autoadapt.prompts.answer_extraction import MARKER
from autoadapt.prompts.voting import agreed


class WritingAnswerer(Answerer):
    """A model that reasons before it answers, or whose answers are drawn; arguments as of `Answerer`."""

    def prepare(self, inputs: Sequence[str]) -> int:
        """Keeps nothing of the prompts, which are read by writing; labels that are calibrated need their bias."""
        self.scorer.forget()
        self._bias = None
        if self.labels and self.decoding.label_score == "calibrated":
            self._bias = self.scorer.scores([self._behind(self.encoder.encode("N/A"), "")])[0]
        return 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers inputs in batches of similar length; the order of the result is that of the inputs."""
        begun, count = time.perf_counter(), self.decoding.samples
        encoded = self.encoder.encode_all(inputs)
        every = [one for one in encoded for _ in range(count)]
        seeds = [seed_of_sample(self.decoding.seed, text, k) for text in inputs for k in range(count)]
        samples: list[Answer | None] = [None] * len(every)
        answers_at_once = not (self.labels or self.decoding.reasons)
        answer = self._most_tokens(encoded) if self.labels else self.max_new_tokens
        for batch in batches(every, self.lm.device.type, self.decoding.reasoning_room + answer, generates=True):
            first = FirstToken()
            drawn = self._drawn([every[i] for i in batch], [seeds[i] for i in batch], first)
            done = time.perf_counter() - begun
            at = (first.at or begun + done) - begun
            for i, one in zip(batch, drawn, strict=True):
                samples[i] = dataclasses.replace(one, first_s=at if answers_at_once else done, done_s=done)
            self.tick()
        whole = [one for one in samples if one is not None]
        return [agreed(whole[i : i + count], self.labels) for i in range(0, len(whole), count)]

    def _label_tokens(self) -> list[list[int]]:
        # behind the marker a label stands within a text, in a conversation too
        return (
            [self.encoder.within(label) for label in self.labels] if self.decoding.reasons else super()._label_tokens()
        )

    def _drawn(self, encoded: list[Encoded], seeds: list[int], first: FirstToken) -> list[Answer]:
        """One answer for each row of a batch."""
        temperature, top_p = self.decoding.temperature, self.decoding.top_p
        draws = Draws(seeds, temperature, top_p) if temperature > 0 else None
        if not self.decoding.reasons:
            return self._label(encoded) if self.labels else self._write(encoded, first, draws)
        stops = reasoning_stops(self.encoder.chat)
        reasoning = self._written(encoded, self.decoding.reasoning_tokens, stops, first, draws)
        behind = [self._behind(e, one.text) for e, one in zip(encoded, reasoning, strict=True)]
        answers = self._label(behind) if self.labels else self._write(behind, first)
        return [
            dataclasses.replace(answer, tokens_in=len(e.ids), tokens_out=one.tokens + answer.tokens_out)
            for answer, e, one in zip(answers, encoded, reasoning, strict=True)
        ]

    def _behind(self, encoded: Encoded, reasoning: str) -> Encoded:
        """The prompt with reasoning and marker behind it, as far as it fits."""
        ids = self.encoder.answer(f"{reasoning}\n{MARKER}")
        room = self.decoding.reasoning_room
        return dataclasses.replace(encoded, ids=[*encoded.ids, *ids[-room:]])
