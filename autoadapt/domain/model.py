"""ModelReference, Capabilities: a base model that a family has found, and what can be done with it."""

from typing import Any

from pydantic import Field

from autoadapt.domain.strict import StrictModel
from autoadapt.registry import expanded


class ModelReference(StrictModel):
    """A base model by name, family and place."""

    name: str
    """As the task calls it."""
    family: str
    """Name of the family in the models folder that claims it."""
    location: str
    """What the family loads it from: a folder or a URL; empty where the name is enough. A reference ``${NAME}`` in the
    name stands here too as it was written."""
    settings: dict[str, Any] = Field(default={})
    """Of this model, as its family defines them; references ``${NAME}`` stand as they were written."""

    @property
    def place(self) -> str:
        """The location with every reference replaced from the environment.

        Raises:
            UserError: such a variable is not set.
        """
        return str(expanded(self.location))


class Capabilities(StrictModel):
    """What a family can do with one of its models; a method states which of these it needs."""

    generates: bool = False
    """Writes free text."""
    scores_labels: bool = False
    """Chooses among given labels by its own scores of them."""
    answers_label_sets: bool = False
    """Chooses any number of the given labels by a probability of each, or writes them."""
    reads_prompts: bool = False
    """Follows an instruction and examples that stand before the input."""
    reasons: bool = False
    """Is likely to answer better after it has written its reasoning: it follows a conversation and is large enough."""
    reasoning_efforts: list[str] = Field(default=[])
    """How much it may be told to reason, in its server's words; empty: it is not told."""
    embeds: bool = False
    """Gives a vector for a text."""
    contrasts: bool = False
    """Its vectors of texts can be trained by comparing pairs of texts."""
    counts_words: bool = False
    """Learns from the words of the training rows alone; it is no language model."""
    trains: bool = False
    """All of its weights can be trained."""
    adapters: bool = False
    """Small trained adapters can stand beside its frozen weights."""
    context_length: int | None = Field(default=None, ge=1)
    """Greatest number of tokens, prompt and answer together; None: no limit, or not known."""
    remote: bool = False
    """Answers come from a server; nothing is loaded here."""
    parameters: int = Field(default=0, ge=0)
    """Number of weights; 0: not known, or it has none."""
