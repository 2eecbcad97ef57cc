"""A causal language model behind a prompt: encoder and answerer as a job or an artifact describes them."""

from collections.abc import Callable

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.jobs import JobBase
from autoadapt.domain.method import Decoding, Training
from autoadapt.domain.selector import Select
from autoadapt.models.causal_lm.answering import Answerer
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.models.causal_lm.reasoning import WritingAnswerer
from autoadapt.prompts.answer_extraction import ReasoningPrompt
from autoadapt.prompts.rendering import Prompt

Described = JobBase | ArtifactDescription
"""What states prompt, labels and the longest answer."""


def make_encoder(lm: LanguageModel, described: Described, select: Select | None, decoding: Decoding) -> Encoder:
    """The encoder of a model's prompts, with room in the context for the longest answer.

    Args:
        lm: the model.
        described: states prompt, labels and the longest answer.
        select: few-shot selection; None for zero-shot.
        decoding: how an answer is read off the model.
    """
    text, tuned = described.prompt, decoding.tuned
    stated = (text.template, text.instruction, described.labels or [], described.multi_label)
    prompt = ReasoningPrompt(*stated, chat=lm.chats) if decoding.reasons else Prompt(*stated)
    room = described.max_new_tokens
    if scored := described.scored_labels:
        probe = Encoder(lm, prompt, None, 0, tuned)
        room = max(len(probe.answer(label)) for label in scored)
    return Encoder(lm, prompt, select, room + decoding.reasoning_room, tuned)


def make_answerer(
    lm: LanguageModel,
    encoder: Encoder,
    described: Described,
    decoding: Decoding,
    training: Training,
    tick: Callable[[], None],
) -> Answerer:
    """The model as it answers.

    Args:
        lm: the model.
        encoder: of `make_encoder`.
        described: states labels and the longest answer.
        decoding: how an answer is read off the model.
        training: what adapting took.
        tick: called for every batch.
    """
    kind = WritingAnswerer if decoding.writes_first else Answerer
    answerer = kind(
        lm, encoder, described.scored_labels, decoding=decoding, max_new_tokens=described.max_new_tokens, tick=tick
    )
    answerer.training = training
    return answerer
