"""Documents of a task, and the passages of them that a prompt shows beside its input."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from autoadapt.domain.strict import PathText, StrictModel

Position = Literal["before", "after"]
"""Where passages stand, seen from the input."""
HEADING = "Documents:"


class DocumentsSettings(StrictModel):
    """Documents in which models may look answers up."""

    folder: PathText
    """Folder of text files (`.txt`, `.md`, UTF-8), with its subfolders; hidden files are left out."""
    no_answer: str = Field(default="no answer", min_length=1, max_length=200)
    """What a model shall write where the documents do not answer, and what the data have as the answer of such rows."""


class Document(StrictModel):
    """One file of the folder of documents."""

    name: str
    """Path relative to the folder."""
    text: str


class Retrieval(StrictModel):
    """How passages of documents are chosen and shown."""

    passages: int = Field(ge=1)
    """Shown at most; passages that have no word of the input are not shown."""
    chunk_words: int = Field(ge=1)
    """Words of a passage at most."""
    position: Position


@dataclass(frozen=True)
class Passages:
    """What a prompt shows of documents for one input."""

    texts: tuple[str, ...] = ()
    """The most relevant first."""
    position: Position = "before"

    def changed(self, change: Callable[[str], str]) -> "Passages":
        """The same with each text changed."""
        return dataclasses.replace(self, texts=tuple(map(change, self.texts)))

    def without_last(self) -> "Passages":
        """The same without the least relevant passage."""
        return dataclasses.replace(self, texts=self.texts[:-1])

    def beside(self, text: str) -> str:
        """An input with the passages as a block before or after it; alone where there are none."""
        if not self.texts:
            return text
        block = "\n\n".join([HEADING, *(f"[{i}] {passage}" for i, passage in enumerate(self.texts, 1))])
        return f"{block}\n\n{text}" if self.position == "before" else f"{text}\n\n{block}"


NO_PASSAGES = Passages()


def retrieval_of(params: Mapping[str, Any]) -> Retrieval | None:
    """How the prompts of a candidate with these parameters show passages; None: they show none."""
    count = params.get("passages")
    if not isinstance(count, int) or count < 1:
        return None
    stated = {"chunk_words": params.get("chunk_words", 120), "position": params.get("passage_position", "before")}
    return Retrieval.model_validate({"passages": count, **stated})
