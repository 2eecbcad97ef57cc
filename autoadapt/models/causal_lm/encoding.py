"""From prompt text to token ids: chat template, special tokens made inert, prompts shortened to fit the context."""

import functools
from collections.abc import Sequence

from autoadapt.domain.documents import NO_PASSAGES, Passages
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import PromptChoices, Select, labels_offered, passages_shown
from autoadapt.errors import Exit, UserError
from autoadapt.local_models.texts import Encoded, inert
from autoadapt.models.causal_lm.language_model import LanguageModel
from autoadapt.prompts.limits import LimitError, UseLimits
from autoadapt.prompts.rendering import MAX_CHARACTERS, Prompt


class Encoder:
    """Encodes prompts and answers for one model and one prompt.

    Args:
        lm: the model, for its tokenizer and context length.
        prompt: renders text and examples.
        select: few-shot selection, the labels that are offered, and passages of documents; None: no examples, all
            labels, and no passages.
        room: tokens of the context that are left for the answer.
        tuned: whether answers end with the end token, as tuned models learn them.
    """

    def __init__(
        self,
        lm: LanguageModel,
        prompt: Prompt,
        select: Select | None,
        room: int,
        tuned: bool,
    ) -> None:
        self.lm, self.prompt, self.select, self.tuned = lm, prompt, select, tuned
        self.limit = max(8, lm.context_length - room)
        self.chat = lm.chats
        self._limits = UseLimits()

    def _ids(
        self, text: str, examples: Sequence[Row], offered: Sequence[str], passages: Passages = NO_PASSAGES
    ) -> list[int]:
        shown = [
            Row(id=r.id, input=inert(r.input, self.lm.tokenizer), outputs=[inert(r.outputs[0], self.lm.tokenizer)])
            for r in examples
        ]
        prompt = self.prompt.render(text, shown, offered, passages)
        tokenizer = self.lm.tokenizer
        if self.chat:
            prompt = self._in_chat(prompt)
            return list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        return self.lm.start_ids + list(tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def _in_chat(self, prompt: str) -> str:
        """The prompt as the model's chat template shows it.

        Raises:
            UserError: the template fails, or takes more memory or time than a template needs.
        """
        messages = [{"role": "user", "content": prompt}]
        try:
            shown: str = self._limits.run(
                lambda: self.lm.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            )
            if len(shown) > MAX_CHARACTERS + len(prompt):
                raise LimitError(f"it makes {len(shown):,} characters of {len(prompt):,}")
        except Exception as error:
            reason = str(error) if isinstance(error, LimitError) else f"{type(error).__name__}: {error}"
            raise UserError(
                f"the chat template cannot be used: {reason}; put that of {self.lm.path} right, or leave the model out",
                Exit.ENVIRONMENT,
            ) from error
        return shown

    def encode_all(self, texts: Sequence[str]) -> list[Encoded]:
        """The prompts for many inputs."""
        if isinstance(self.select, PromptChoices):
            self.select.expect(texts)
        return [self.encode(text) for text in texts]

    def encode(self, text: str) -> Encoded:
        """The prompt for one input: examples are dropped, then passages, then the input is cut, until it fits."""
        examples, offered = self.select(text) if self.select else [], labels_offered(self.select, text)
        passages = passages_shown(self.select, text).changed(lambda passage: inert(passage, self.lm.tokenizer))
        text = inert(text, self.lm.tokenizer)
        ids = self._ids(text, examples, offered, passages)
        truncated = len(ids) > self.limit
        while len(ids) > self.limit and examples:
            examples = examples[1:]
            ids = self._ids(text, examples, offered, passages)
        while len(ids) > self.limit and passages.texts:
            passages = passages.without_last()
            ids = self._ids(text, examples, offered, passages)
        while len(ids) > self.limit and len(text) > 1:
            # characters per token vary, so cut a little more than in proportion and look again
            text = text[: max(1, int(len(text) * 0.95 * self.limit / len(ids)))]
            ids = self._ids(text, examples, offered, passages)
        return Encoded(ids[: self.limit], truncated, offered=tuple(offered))

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer as it follows a prompt, with the end token when tuned."""
        tokenizer = self.lm.tokenizer
        text = inert(text, self.lm.tokenizer)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"] if self.chat else self._continuation(text)
        end = [tokenizer.eos_token_id] if self.tuned and tokenizer.eos_token_id is not None else []
        return list(ids) + end

    def within(self, text: str) -> list[int]:
        """Token ids of an answer that stands behind a colon in what a model writes."""
        return self._continuation(inert(text, self.lm.tokenizer))

    def _continuation(self, text: str) -> list[int]:
        # SentencePiece tokenizers put a space of their own before a text, so encode it behind an anchor
        anchor = self._anchor
        whole = self.lm.tokenizer(": " + text, add_special_tokens=False)["input_ids"]
        if whole[: len(anchor)] == anchor and len(whole) > len(anchor):
            return list(whole[len(anchor) :])
        return list(self.lm.tokenizer(" " + text, add_special_tokens=False)["input_ids"])

    @functools.cached_property
    def _anchor(self) -> list[int]:
        return list(self.lm.tokenizer(":", add_special_tokens=False)["input_ids"])
