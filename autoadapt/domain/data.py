"""Data: where a task's labelled rows are, and which column holds what."""

import codecs
import unicodedata

from pydantic import Field, field_validator, model_validator

from autoadapt.domain.strict import PathText, StrictModel


def text_encoding(name: str) -> str:
    """An encoding of text, as Python calls it.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        known = codecs.lookup(name).name
        " ".encode(known)
    except (LookupError, ValueError):
        raise ValueError(
            "no encoding of text; use such as utf-8, utf-16, cp1252 (western Europe), cp1250 (central Europe), cp1251 "
            "(Cyrillic), shift_jis, gb18030"
        ) from None
    return known


class Columns(StrictModel):
    """Which column holds what."""

    input: str | list[str] = "input"
    """Column with the text the model is given, or several, such as ``[question, passage]``: they are joined as lines
    ``COLUMN: TEXT``, and an encoder reads two of them as a pair."""
    output: str = "output"
    """Column with the right answer: a label, a list of labels (possibly empty), or a text."""
    references: str | None = None
    """Column with a list of accepted answers, where there are several; rows without it use `output`."""

    @field_validator("input")
    @classmethod
    def _input_columns_distinct(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and (not value or len(set(value)) < len(value)):
            raise ValueError("must be a column or a list of different columns")
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    @property
    def joined(self) -> list[str]:
        """The columns from which inputs are joined; empty where one column is the input."""
        return self.input if isinstance(self.input, list) else []


class Data(StrictModel):
    """Where the labelled rows are: either `path`, or `train` with optional `validation` and `test`."""

    path: PathText | None = None
    """One file to be split: csv, jsonl, parquet, xlsx (the first sheet), or a hub id."""
    train: PathText | None = None
    """Rows to learn from (and few-shot examples)."""
    validation: PathText | None = None
    """Rows the search measures on; taken from `train` where absent."""
    test: PathText | None = None
    """Rows the search never sees; taken from `train` where absent."""
    unlabelled: PathText | None = None
    """Rows without an answer, of which the best prompt of the search labels some for other methods to learn from (see
    `teacher`); only their input columns are read."""
    columns: Columns = Columns()
    """Column names."""
    encoding: str | None = None
    """Encoding of csv and jsonl files, such as cp1250; by default UTF-8, UTF-16, or Windows-1252 with a note."""
    labels: list[str] | None = None
    """The allowed labels; by default those found in the training rows."""
    merge_labels: dict[str, str] = Field(default={})
    """Labels that are read as another one: {as it stands in the file: label}. `autoadapt init` offers it for
    labels that differ only by case or white space."""
    train_rows: int | None = Field(default=None, ge=2)
    """Use at most so many training rows (a stratified sample)."""
    holdout: float = Field(default=0.2, gt=0, lt=0.5)
    """Share of rows put aside for each split (validation, test) that is not given."""

    @field_validator("encoding")
    @classmethod
    def _encoding_known(cls, value: str | None) -> str | None:
        return None if value is None else text_encoding(value)

    @field_validator("labels")
    @classmethod
    def _labels_distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        labels = [unicodedata.normalize("NFC", label) for label in value]
        if again := next((label for label in labels if labels.count(label) > 1), None):
            raise ValueError(f"label '{again[:80]}' is given twice; keep one")
        if not all(label.strip() for label in labels):
            raise ValueError("an empty label; rows without an answer are left out, so remove it")
        return labels

    @field_validator("merge_labels")
    @classmethod
    def _merged_once(cls, value: dict[str, str]) -> dict[str, str]:
        if again := sorted({label for label in value.values() if value.get(label, label) != label}):
            raise ValueError(f"'{again[0]}' is merged into another label itself; name the last one in its place")
        if empty := next((written for written, label in value.items() if not label.strip()), None):
            raise ValueError(f"'{empty}' is merged into an empty label; give it a name")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "Data":
        if (self.path is None) == (self.train is None):
            raise ValueError("give either `path` (one file, split for you) or `train` (with `validation` and `test`)")
        if self.path is not None and (self.validation or self.test):
            raise ValueError(
                "`path` is split for you; to give `validation` or `test` yourself, use `train` for the rest"
            )
        return self
