"""An input as it is, without a prompt, from which features are read."""

from collections.abc import Callable

from autoadapt.local_models.texts import Encoded, inert
from autoadapt.models.causal_lm.language_model import LanguageModel


def raw_text_reader(lm: LanguageModel) -> Callable[[str], Encoded]:
    """A function that gives token ids of a text behind the start token; what does not fit the context is cut off."""

    def read(text: str) -> Encoded:
        ids = lm.start_ids + list(lm.tokenizer(inert(text, lm.tokenizer), add_special_tokens=False)["input_ids"])
        ids = ids or [lm.tokenizer.pad_token_id]  # a text without any token still needs a vector
        return Encoded(ids[: lm.context_length], len(ids) > lm.context_length)

    return read
