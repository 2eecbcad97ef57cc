"""BundleDescription: ``option.json`` of a bundle, which says what it is and lists its files."""

from typing import Any, Literal

from pydantic import Field

from autoadapt.domain.artifact import FileHash
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.option import Option
from autoadapt.domain.strict import StrictModel

BUNDLE_FILE = "option.json"
MODEL_FOLDER, ADAPTER_FOLDER = "model", "adapter"
PartKind = Literal["prompted", "features", "onnx", "words", "plugin", "remote"]
"""What computes a part's answers; `onnx`: as `features`, by onnxruntime; `plugin`: a family of another package, and
`remote`: a server. AutoAdapt alone can ask the last two, so that a bundle with one of them has no predict.py."""


class Part(StrictModel):
    """One trial's option within a bundle."""

    folder: str
    """In the bundle: ``.``, or of a cascade ``first`` and ``second``; ``model/`` in it is an artifact."""
    kind: PartKind
    trial: int
    method: str
    base_model: str
    licence: str | None
    """Of the base model, as an SPDX name or as its model card writes it; None: not known."""
    precision: str
    """In which it computes."""
    adapter_rank: int | None = None
    """Of a LoRA adapter in ``adapter/``; None: there is none."""
    final_fit: bool
    """Whether it was trained once more on validation rows too, after it had been chosen."""
    prompt_sha256: str
    """Of template and instruction."""
    prompt_entry: str = ""
    """Id and version of the entry of the prompt library that they are; empty: they are the search space's."""


class Handover(StrictModel):
    """When a cascade passes a row from its first part on to its second."""

    temperature: float
    threshold: float
    """Calibrated confidence from which the first part's answer is taken."""


class InputColumns(StrictModel):
    """Columns of the task's files."""

    input: list[str]
    output: str
    references: str | None = None


class Checked(StrictModel):
    """How many answers of the bundle, loaded by its own predict.py in a process of its own, equal those of the run.

    All of them, except where its weights have eight bits.
    """

    split: Literal["test", "validation"]
    rows: int
    equal: int


class Scores(StrictModel):
    """Quality on test rows (validation rows where the option was not scored on test rows), with its 95 % interval."""

    split: Literal["test", "validation"]
    value: float
    low: float
    high: float
    rows: int

    @property
    def interval_text(self) -> str:
        """Such as ``0.835 [0.772, 0.884]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class OnnxFigures(StrictModel):
    """A bundle in ONNX beside the same one in PyTorch, on the CPU of the machine that has exported it."""

    int8: bool
    """Whether its weights are integers of eight bits."""
    threads: int
    largest_difference: float | None
    """Of a log-probability of a label; None: they are not known of sets of labels."""
    torch_ms: float
    """Median time of a single request."""
    onnx_ms: float
    torch_rows_per_s: float
    """In batches of 32."""
    onnx_rows_per_s: float
    bytes_before: int
    """Of all files of the bundle."""
    bytes: int
    difference: float | None = None
    """Of its quality from that of the run's answers to the same rows; None: the answers are equal."""
    low: float | None = None
    """With `high` its 95 % interval."""
    high: float | None = None


class BundleDescription(StrictModel):
    """Everything about a bundle that is not in its parts."""

    version: Literal[1] = 1
    task: str
    option: str
    """Its number in the run: ``7``, or ``3 > 12`` of a cascade."""
    metric: PluginChoice
    answers: AnswerKind
    labels: list[str] | None
    columns: InputColumns
    parts: list[Part]
    cascade: Handover | None = None
    quality: Scores
    """Of what is in the bundle: after a final fit, of that fit."""
    figures: Option
    """The option as the run's report shows it, priced under the task's own economics; before a final fit."""
    price: dict[str, Any]
    """The task's economics, and where its price of a device-hour comes from."""
    hardware: dict[str, Any]
    """On which it was measured."""
    data: dict[str, str]
    """SHA-256 of every split."""
    versions: dict[str, str | None]
    """Of the packages of the run."""
    checked: Checked | None = None
    """None: a model behind a server, whose answers are billed and not the same twice."""
    onnx: OnnxFigures | None = None
    """None: it computes by PyTorch, or by scikit-learn."""
    files: dict[str, FileHash] = Field(default={})
    """Every other file of the bundle."""

    @property
    def quality_text(self) -> str:
        """Such as ``accuracy 0.835 [0.772, 0.884] on 170 test rows``."""
        quality = self.quality
        return f"{self.metric.name} {quality.interval_text} on {quality.rows:,} {quality.split} rows"

    @property
    def parts_text(self) -> str:
        """What answers, such as ``tfidf on classical, then lora on embedded``."""
        return ", then ".join(f"{part.method} on {part.base_model}" for part in self.parts)
