"""Labelled rows of files and of hub data sets.

Csv files are read by `delimited`, workbooks by `workbooks`, parquet and hub data sets by `dataset_files`.

Every mistake names file, line and column. Values are made text the same way everywhere: 1 and "1" are one label.
"""

import json
import math
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoadapt.domain.data import Columns, Data
from autoadapt.domain.label_sets import SEPARATOR, text_of_set
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.rows import Row, joined_input
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.tasks.delimited import LONGEST_CELL, Located, Records, Unreadable, csv_records
from autoadapt.tasks.encodings import encoding_of, not_decoded
from autoadapt.tasks.sampling import places_in, sampled

MOST_ROWS = 1_000_000
"""Of a source with more rows a sample is used."""
MOST_CHARACTERS = 1_000_000_000
"""Of the rows of a source together: a small file may unpack to more than any memory."""
LONGEST_LINE = 100_000_000
"""Characters of one line of a JSONL file."""
FORMATS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Reading:
    """What a task says of how its files are read."""

    encoding: str | None = None
    """Of text files; None: by their bytes."""
    merge_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels as they stand in the files -> the label that they are read as."""
    seed: int = 0
    """Of the choice of rows where a source has more than are used."""
    mistake: Callable[[str], str | None] = lambda answer: None
    """What is wrong with an accepted answer; None: nothing."""
    inputs_alone: bool = False
    """Whether rows have no answer: their output column is not looked at."""

    @classmethod
    def of(cls, data: Data, seed: int = 0, mistake: Callable[[str], str | None] = lambda answer: None) -> "Reading":
        """As the task's data say."""
        return cls(data.encoding, data.merge_labels, seed, mistake)


AS_IT_STANDS = Reading()
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character: it cannot be written to any file."""


@dataclass
class Table:
    """The usable rows of one source, and what was left out."""

    name: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    forms: set[str] = field(default_factory=set)
    """How labels are written in it, of `form_of`; empty for texts."""


def read_table(
    source: str,
    base: Path,
    columns: Columns,
    split: str,
    answers: AnswerKind = "label",
    reading: Reading = AS_IT_STANDS,
) -> Table:
    """Reads a file (relative to `base`) or a hub data set.

    Args:
        source: path, or a hub id such as ``owner/name``.
        base: folder of the task file.
        columns: which column is what.
        split: what the rows are for; on the hub, the split's name.
        answers: what the output column holds; of a row with a set of labels the answer is the text of the set.
        reading: encoding, and labels that are read as another one.

    Raises:
        UserError: exit code 3, with file, line and column.
    """
    if "\0" in source:
        raise UserError(f"data {source!r}: a path holds no NUL character; write it again", Exit.DATA)
    path = (base / source).expanduser()
    if path.suffix.lower() in FORMATS or path.exists():
        records = records_of(path, reading.encoding, needed_columns(columns, reading.inputs_alone))
    elif source.count("/") == 1 and not source.startswith((".", "/", "~")):
        from autoadapt.tasks.dataset_files import hub_records

        records = hub_records(source, split)
    else:
        raise UserError(f"{path}: no such file, and no hub id (owner/name)", Exit.DATA)
    table = Table(source, [], records.notes)
    _fill(table, records, _RowReader(columns, answers, reading), reading.seed)
    return table


def needed_columns(columns: Columns, inputs_alone: bool = False) -> set[str] | None:
    """The columns that rows are made of; None: which ones cannot be known before rows are read."""
    inputs = {columns.input} if isinstance(columns.input, str) else {*columns.input}
    if inputs_alone:
        return inputs
    return None if columns.references is not None else {columns.output, *inputs}


def records_of(path: Path, encoding: str | None = None, wanted: Collection[str] | None = None) -> Records:
    """The raw rows of a file, each with where it stands.

    Args:
        path: the file.
        encoding: of a text file; None: by its bytes.
        wanted: columns that are needed, so that a parquet file is spared from reading others; None: all of them.

    Raises:
        UserError: exit code 3, with file and line; while rows are read, too.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", Exit.DATA) from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a regular file", Exit.DATA)
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv", ".txt"):
            return csv_records(path, encoding)
        if kind in (".jsonl", ".ndjson", ".json"):
            return Records(_json_records(path, encoding_of(path, encoding, may_be_western=False).name))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", Exit.DATA) from error
    if kind == ".parquet":
        from autoadapt.tasks.dataset_files import parquet_records

        return parquet_records(path, wanted)
    if kind == ".xlsx":
        from autoadapt.tasks.workbooks import xlsx_records

        return xlsx_records(path)
    hint = "; save it as .xlsx or csv" if kind in (".xls", ".xlsm", ".xlsb", ".ods", ".numbers") else ""
    raise UserError(f"{path}: unknown kind of file; use {', '.join(FORMATS)}{hint}", Exit.DATA)


def _json_records(path: Path, encoding: str) -> Iterator[Located]:
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                if len(line) == LONGEST_LINE:
                    raise UserError(f"{where}: more than {LONGEST_LINE:,} characters; is it one row a line?", Exit.DATA)
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    hint = "; a JSON array? Write one object per line (JSONL)" if line.lstrip()[:1] == "[" else ""
                    raise UserError(f"{where}: not valid JSON ({error}){hint}", Exit.DATA) from error
                if not isinstance(record, dict):
                    raise UserError(f"{where}: a {type(record).__name__}, not an object of columns", Exit.DATA)
                yield where, record
    except UnicodeError as error:
        raise not_decoded(path, encoding, error) from error


class _RowReader:
    """Makes usable rows of raw ones, and remembers what a reader of the table should know.

    Args:
        columns: which column is what.
        kind: what the output column holds.
        reading: labels that are read as another one, and what is wrong with an answer.
    """

    def __init__(self, columns: Columns, kind: AnswerKind, reading: Reading) -> None:
        self.columns, self.kind, self.merged, self.mistake = columns, kind, reading.merge_labels, reading.mistake
        self.inputs_alone = reading.inputs_alone
        self.characters = self.composed = 0
        self.forms: set[str] = set()

    def read(self, place: int, located: Located) -> Row | None:
        """The row at a place; None: it has no input or no output.

        Raises:
            UserError: exit code 3, with file, line and column.
        """
        where, record = located
        text = self._input(record, where)
        answers: list[str] = []
        if not self.inputs_alone:
            answers = self._label_set(record, where) if self.kind == "labels" else self._answers(record, where)
        if not text.strip() or not (answers or self.inputs_alone):
            return None
        self.characters += len(text) + sum(map(len, answers))
        if self.characters > MOST_CHARACTERS:
            raise UserError(
                f"{where}: the rows up to here hold more than {MOST_CHARACTERS:,} characters; give shorter texts or "
                "fewer rows",
                Exit.DATA,
            )
        return Row(id=place, input=text, outputs=answers)

    def notes(self, name: str) -> list[str]:
        """What was changed in labels."""
        if not self.composed:
            return []
        return [
            f"{name}: {self.composed} labels have letters in two characters, such as e and an accent; they are read as "
            "the same labels with the letter in one (Unicode NFC)"
        ]

    def _input(self, record: dict[str, Any], where: str) -> str:
        """The input of a row; empty where every one of its columns is."""
        columns = self.columns
        if isinstance(columns.input, str):
            return _cell(record, columns.input, where)
        texts = [_cell(record, column, where) for column in columns.input]
        return joined_input(columns.input, texts) if any(text.strip() for text in texts) else ""

    def _label(self, text: str) -> str:
        """The label that a text stands for: merged as the task says, letters composed as most programs write them."""
        label = self.merged.get(text, text)
        composed = unicodedata.normalize("NFC", label)
        self.composed += composed != label
        return self.merged.get(composed, composed)

    def _label_set(self, record: dict[str, Any], where: str) -> list[str]:
        """The set of labels of a row as its one answer; nothing where the cell is empty, so that it is not known."""
        column = self.columns.output
        value = _value(record, column, where)
        listed = list_in(value)
        if listed is None:
            text = cell_text(value, where, column)[:80]
            if not text.strip():
                return []
            raise UserError(
                f"{where}: column '{column}' holds {text!r}, not a list of labels; write "
                f"{json.dumps([text], ensure_ascii=False)}, and [] for no label",
                Exit.DATA,
            )
        self.forms.update(map(form_of, listed))
        labels = [self._label(cell_text(label, where, column).strip()) for label in listed]
        for label in labels:
            if not label:
                raise UserError(f"{where}: column '{column}' lists an empty label; [] means no label", Exit.DATA)
            if SEPARATOR in label:
                raise UserError(f"{where}: {label_with_separator(label)}", Exit.DATA)
        return [text_of_set(labels)]

    def _answers(self, record: dict[str, Any], where: str) -> list[str]:
        columns = self.columns
        listed = record.get(columns.references) if columns.references else None
        if listed is not None:
            values = listed if isinstance(listed, list) else [listed]
        elif columns.references and columns.output not in record:
            raise UserError(f"{where}: neither column '{columns.output}' nor '{columns.references}'", Exit.DATA)
        else:
            value = _value(record, columns.output, where)
            if isinstance(value, list) or (self.kind == "label" and list_in(value) is not None):
                raise UserError(
                    f"{where}: column '{columns.output}' holds a list. Where a row has a set of labels, choose "
                    "`metric: micro_f1`; where it has several accepted answers, set data.columns.references",
                    Exit.DATA,
                )
            values = [value]
        column = columns.references or columns.output
        if self.kind == "text":  # an answer that is an object is the text of its JSON
            values = [json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for v in values]
        texts = [cell_text(v, where, column) for v in values]
        if self.kind == "label":
            self.forms.update(form_of(value) for value, text in zip(values, texts, strict=True) if text.strip())
            return [self._label(text) for text in texts if text.strip()]
        answers = [self.merged.get(text, text) for text in texts if text.strip()]
        for answer in answers:
            if (mistake := self.mistake(answer)) is not None:
                raise UserError(f"{where}: column '{column}' holds {answer[:60]!r}: {mistake}", Exit.DATA)
        return answers


def form_of(value: Any) -> str:
    """How a label is written in its file: as text, a number, or true and false."""
    if isinstance(value, bool):
        return "true and false"
    return "numbers" if isinstance(value, int | float) else "text"


def _fill(table: Table, records: Records, reader: _RowReader, seed: int) -> None:
    """Adds the usable rows, and notes of those that are left out."""
    if records.pick is not None and records.total is not None and records.total > MOST_ROWS:
        places, total = places_in(records.total, MOST_ROWS, f"{seed}/rows"), records.total
        rows = [reader.read(*located) for located in zip(places, records.pick(places), strict=True)]
    else:
        rows, total = sampled(records.rows, MOST_ROWS, f"{seed}/rows", reader.read)
    if total > MOST_ROWS:
        table.notes.append(
            f"{table.name}: {MOST_ROWS:,} of its {total:,} rows are used, drawn at random from all of them by the seed "
            f"{seed}"
        )
    table.rows = [row for row in rows if row is not None]
    if len(table.rows) < len(rows):
        lacking = "input" if reader.inputs_alone else "input or output"
        table.notes.append(f"{table.name}: {len(rows) - len(table.rows)} rows without {lacking} are left out")
    table.notes += reader.notes(table.name)
    table.forms = reader.forms
    if not table.rows:
        columns = "its input column" if reader.inputs_alone else "its input and its output column"
        raise UserError(f"{table.name}: no usable row; each needs text in {columns}", Exit.DATA)


def label_with_separator(label: str) -> str:
    """What is wrong with a label of a set that contains the separator."""
    return f"label '{label[:80]}' contains '{SEPARATOR}', which separates the labels of a set; write it in another way"


def list_in(value: Any) -> list[Any] | None:
    """A list, or one that is written as JSON in a cell of text; None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _cell(record: dict[str, Any], column: str, where: str) -> str:
    return cell_text(_value(record, column, where), where, column)


def _value(record: dict[str, Any], column: str, where: str) -> Any:
    if column not in record:
        raise UserError(
            f"{where}: no column '{column}': {did_you_mean(column, record)} Set data.columns in the task file.",
            Exit.DATA,
        )
    return record[column]


def as_text(value: Any) -> str:
    """A cell as text; of a list or an object its form in Python, which is only shown.

    A number that is none (NaN) is how pandas writes an empty cell.
    """
    if value is None or isinstance(value, Unreadable) or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\x00", "")


def cell_text(value: Any, where: str, column: str) -> str:
    """The text of a cell; 1 and "1" are one text.

    Raises:
        UserError: it holds a list or an object, cannot be read, or is too long.
    """
    if isinstance(value, Unreadable):
        raise UserError(f"{where}: column '{column}' cannot be read: {value.reason}; correct the cell", Exit.DATA)
    if isinstance(value, list | dict):
        raise UserError(f"{where}: column '{column}' holds a {type(value).__name__}, not a text", Exit.DATA)
    text = as_text(value)
    if len(text) > LONGEST_CELL:
        raise UserError(
            f"{where}: column '{column}' is {len(text):,} characters long (at most {LONGEST_CELL:,}); shorten it or "
            "leave the row out",
            Exit.DATA,
        )
    check_whole(text, where, column)
    return text


def check_whole(text: str, where: str, column: str) -> None:
    """Checks that a text can be written to a file.

    Raises:
        UserError: it holds half of a character.
    """
    if not text.isascii() and (half := SURROGATE.search(text)):
        raise UserError(
            f"{where}: column '{column}' holds half of a character (\\u{ord(half[0]):04x}), as when a text is cut in "
            "the middle of an emoji; write the whole character or leave it out",
            Exit.DATA,
        )
