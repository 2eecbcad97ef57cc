"""Answering: a label by log-likelihood (see `label_scoring`), or free text by batched generation.

Prompts of similar length are answered together; a base model that writes is stopped at the first blank line, unless the
decoding says otherwise. What is written before an answer, or drawn, is in `reasoning`.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from autoadapt.domain.method import Answer, Decoding, Training
from autoadapt.local_models.heads import label_answer
from autoadapt.local_models.texts import Encoded, batches
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.label_scoring import LabelScorer
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.sampling import Draws, Likelihoods
from autoadapt.models.causal_lm.stops import Ends, cut, stops_of

LEAST_LOG_PROBABILITY = math.log(1e-6)
"""Of a label that its prompt does not offer; the floor's of a label of which there is no training row."""


class Answerer:
    """A model that answers inputs (see `autoadapt.domain.method.Adapted`).

    Args:
        lm: the model; eval mode is set here.
        encoder: makes token ids of inputs and answers.
        labels: what to choose from; empty for free text.
        decoding: how an answer is read off the model.
        max_new_tokens: longest free-text answer.
        tick: called for every batch.
    """

    def __init__(
        self,
        lm: LanguageModel,
        encoder: Encoder,
        labels: Sequence[str],
        *,
        decoding: Decoding | None = None,
        max_new_tokens: int = 64,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.lm, self.encoder, self.labels = lm, encoder, list(labels)
        self.decoding, self.max_new_tokens, self.tick = decoding or Decoding(), max_new_tokens, tick
        self.training = Training()
        self.parameters_total = lm.parameters
        self._bias: torch.Tensor | None = None
        self.scorer = LabelScorer(lm, self._label_tokens())
        self._number = {label: k for k, label in enumerate(self.labels)}
        lm.model.eval()

    def _label_tokens(self) -> list[list[int]]:
        ids = [self.encoder.answer(label) for label in self.labels]
        end = [self.lm.tokenizer.eos_token_id]
        if self.encoder.tuned and all(i[-1:] == end for i in ids):
            bare = [i[:-1] for i in ids]
            # the end token decides only between labels of which one begins another
            if not any(a is not b and b[: len(a)] == a for a in bare for b in bare):
                return bare
        return ids

    @torch.no_grad()
    def prepare(self, inputs: Sequence[str]) -> int:
        """Keeps the keys and values of the token prefix that all prompts share; returns its length, 0: not kept.

        Shared by all of `inputs`; other inputs are checked against it when they come.
        """
        self._bias = None
        if not self.labels:
            return 0
        self.scorer.keep_shared([one.ids for one in self.encoder.encode_all(inputs)])
        if self.decoding.label_score == "calibrated":
            self._bias = self.scorer.scores([self.encoder.encode("N/A")])[0]
        return len(self.scorer.prefix)

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        """Answers inputs in batches of similar length; the order of the result is that of the inputs."""
        begun = time.perf_counter()
        encoded = self.encoder.encode_all(inputs)
        answers: list[Answer | None] = [None] * len(encoded)
        answer = self._most_tokens(encoded) if self.labels else self.max_new_tokens
        written = answer * self.decoding.num_beams
        for batch in batches(
            encoded, self.lm.device.type, written, known=len(self.scorer.prefix), generates=not self.labels
        ):
            chosen = [encoded[i] for i in batch]
            first = FirstToken()
            ones = self._label(chosen) if self.labels else self._write(chosen, first)
            done = time.perf_counter()
            for i, one in zip(batch, ones, strict=True):
                answers[i] = dataclasses.replace(one, first_s=(first.at or done) - begun, done_s=done - begun)
            self.tick()
        return [a for a in answers if a is not None]

    def close(self) -> None:
        """Forgets what was computed for all prompts."""
        self.scorer.forget()
        self._bias = None

    def _most_tokens(self, encoded: Sequence[Encoded]) -> int:
        """Tokens of the labels that are scored behind a prompt, at most."""
        longest = sorted(map(len, self.scorer.labels), reverse=True)
        return sum(longest[: max((len(e.offered) for e in encoded), default=0) or None])

    def _label(self, encoded: list[Encoded]) -> list[Answer]:
        lengths = [len(ids) for ids in self.scorer.labels]
        shortlisted = any(e.offered for e in encoded)
        with torch.no_grad():
            offered = [[self._number[label] for label in e.offered] for e in encoded] if shortlisted else None
            scores = self.scorer.scores(encoded, offered)
            if self.decoding.label_score == "mean":
                scores = scores / torch.tensor(lengths, device=scores.device)
            if self._bias is not None:
                scores = scores - self._bias
            log_probs = scores.log_softmax(dim=-1)
            if shortlisted:
                log_probs = log_probs.clamp(min=LEAST_LOG_PROBABILITY)
            numbers = log_probs.tolist()
        return [label_answer(self.labels, log_probs, e, lengths) for log_probs, e in zip(numbers, encoded, strict=True)]

    def _write(self, encoded: list[Encoded], first: "FirstToken", draws: Draws | None = None) -> list[Answer]:
        """A free text for each prompt; the most probable one, or with `draws` one that is drawn."""
        stops = stops_of(self.decoding, self.encoder.chat)
        answers = []
        for e, one in zip(encoded, self._written(encoded, self.max_new_tokens, stops, first, draws), strict=True):
            counted = one.log_probs[: max(1, one.tokens)]  # of an answer without tokens, the end token's
            confidence = math.exp(sum(counted) / len(counted)) if counted else None
            answers.append(Answer(one.text, len(e.ids), one.tokens, e.truncated, confidence=confidence))
        return answers

    def _written(
        self, encoded: list[Encoded], most: int, stops: Sequence[str], first: "FirstToken", draws: Draws | None
    ) -> list["Written"]:
        """What the model writes behind each prompt.

        Args:
            encoded: the prompts.
            most: tokens of the longest text.
            stops: what ends a text, of `stops_of`.
            first: notes when the first token was there.
            draws: how tokens are drawn; None: the most probable ones.
        """
        tokenizer, device = self.lm.tokenizer, self.lm.device
        width = max(len(e.ids) for e in encoded)
        ids = torch.full((len(encoded), width), tokenizer.pad_token_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, e in enumerate(encoded):
            ids[i, width - len(e.ids) :] = torch.tensor(e.ids)
            mask[i, width - len(e.ids) :] = 1
        beams = 1 if draws is not None or self.decoding.reasons else self.decoding.num_beams
        likelihoods = draws or Likelihoods()
        config = GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            num_beams=beams,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
        )
        with torch.no_grad():
            rows = self.lm.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([first, *([Ends(tokenizer, width, stops)] if stops else [])]),
                logits_processor=LogitsProcessorList([likelihoods] if beams == 1 else []),
            )[:, width:].tolist()
        written = []
        for out, log_probs in zip(rows, likelihoods.of_rows() if beams == 1 else [[] for _ in rows], strict=True):
            last = [k for k, t in enumerate(out) if t in (tokenizer.eos_token_id, tokenizer.pad_token_id)]
            out = out[: last[0]] if last else out
            text = tokenizer.decode(out, skip_special_tokens=True).strip()
            for stop in stops:
                text = cut(stop, text)
            written.append(Written(text, len(out), log_probs))
        return written


@dataclasses.dataclass(frozen=True)
class Written:
    """A text that was written."""

    text: str
    tokens: int
    log_probs: list[float]
    """Of its tokens and of what follows its end; empty: not known."""


class FirstToken(StoppingCriteria):  # type: ignore[misc]
    """Notes when the first token was there; ends nothing."""

    def __init__(self) -> None:
        self.at: float | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        self.at = self.at or time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
