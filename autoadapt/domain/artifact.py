"""ArtifactDescription: ``option.json``, by which a finished option is loaded anywhere.

An artifact is a self-contained folder: weights or adapter with the tokenizer (none for a prompt), ``examples.jsonl``
with few-shot rows, ``passages.jsonl`` with passages of documents, ``shortlist/`` with what chooses labels, and
``option.json``, which is written last and lists every other file with its size and SHA-256. It names its base model, or
holds that too; everything else that answering needs is in it.
"""

from typing import Any, Literal

from pydantic import Field

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.documents import Retrieval
from autoadapt.domain.jobs import PromptText
from autoadapt.domain.method import Decoding, Weights
from autoadapt.domain.model import ModelReference
from autoadapt.domain.selector import Order
from autoadapt.domain.strict import StrictModel

DESCRIPTION_FILE = "option.json"
EXAMPLES_FILE = "examples.jsonl"
VECTORS_FILE = "example_vectors.safetensors"
"""Vectors of the rows of ``examples.jsonl``, where examples are chosen by them."""
SHORTLIST_FOLDER = "shortlist"
"""Holds the model of words that chooses the labels which a prompt offers."""
HERE = "."
"""Location of a base model whose files lie in the artifact's own folder."""


class FileHash(StrictModel):
    """One file of an artifact."""

    bytes: int = Field(ge=0)
    sha256: str


class FewShot(StrictModel):
    """How examples are chosen from ``examples.jsonl``."""

    selector: str
    shots: int = Field(ge=1)
    seed: int
    all_rows: bool
    """Whether the file holds all rows to choose from; False: it holds the chosen ones, which every query gets."""
    order: Order = "best_last"
    """In which a prompt shows them; chosen ones stand in the file as they are shown."""


class ArtifactDescription(StrictModel):
    """Everything that answering with a finished option needs to know."""

    version: Literal[1] = 1
    trial: int
    candidate: Candidate
    model: ModelReference
    """The base model; of a fully tuned option it is where the option came from."""
    weights: Weights
    """What the folder holds."""
    prompt: PromptText
    input_columns: list[str] = Field(default=[])
    """Columns that an input is joined from, where there are several."""
    labels: list[str] | None
    """The label words, in the order in which they are scored; None: free text."""
    multi_label: bool = False
    """Whether an answer is a set of labels (`autoadapt.domain.label_sets`)."""
    decoding: Decoding
    max_new_tokens: int
    answer_schema: dict[str, Any] | None = None
    """JSON schema of the answers, to which servers that can are held; None: answers are no JSON objects."""
    precision: Literal["auto", "bf16", "fp32"]
    few_shot: FewShot | None = None
    shortlist: int = Field(default=0, ge=0)
    """Labels that a prompt offers, chosen for each input by the model of words in ``shortlist/``; 0: all of them."""
    retrieval: Retrieval | None = None
    """How prompts show passages of ``passages.jsonl``; None: they show none."""
    files: dict[str, FileHash] = Field(default={})
    """Every other file of the folder."""

    @property
    def labels_offered(self) -> int:
        """How many labels each prompt offers, chosen for its input; 0: all of them."""
        return self.shortlist

    @property
    def fits_onnx(self) -> bool:
        """Whether it is a classifier on the states of a model, which can be converted to ONNX."""
        return self.model.family == "encoder" or self.weights == "head"

    @property
    def scored_labels(self) -> list[str]:
        """The labels of which a prompted model scores each; empty: it writes its answer, a text or a set of labels."""
        return [] if self.multi_label else self.labels or []
