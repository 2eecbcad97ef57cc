"""Labelled rows of files and of hub data sets.

Csv files are read by `delimited`, workbooks by `workbooks`, parquet and hub data sets by `dataset_files`.

Every mistake names file, line and column. Values are made text the same way everywhere: 1 and "1" are one label.
"""

import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoadapt.domain.label_sets import SEPARATOR, text_of_set
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.rows import Row, joined_input
from autoadapt.domain.task import Columns, Data
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.tasks.delimited import LONGEST_CELL, Located, Records, csv_records
from autoadapt.tasks.encodings import encoding_of, not_decoded

MOST_ROWS = 1_000_000
FORMATS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Reading:
    """What a task says of how its files are read."""

    encoding: str | None = None
    """Of text files; None: by their bytes."""
    merge_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels as they stand in the files -> the label that they are read as."""

    @classmethod
    def of(cls, data: Data) -> "Reading":
        """As the task's data say."""
        return cls(data.encoding, data.merge_labels)


AS_IT_STANDS = Reading()


@dataclass
class Table:
    """The usable rows of one source, and what was left out."""

    name: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


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
    path = (base / source).expanduser()
    if path.suffix.lower() in FORMATS or path.exists():
        records = records_of(path, reading.encoding)
    elif source.count("/") == 1 and not source.startswith((".", "/", "~")):
        from autoadapt.tasks.dataset_files import hub_records

        records = Records(hub_records(source, split))
    else:
        raise UserError(f"{path}: no such file, and no hub id (owner/name)", Exit.DATA)
    table = Table(source, [], records.notes)
    _fill(table, records.rows, columns, answers, reading.merge_labels)
    return table


def records_of(path: Path, encoding: str | None = None) -> Records:
    """The raw rows of a file, each with where it stands.

    Args:
        path: the file.
        encoding: of a text file; None: by its bytes.

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

        return Records(parquet_records(path))
    if kind == ".xlsx":
        from autoadapt.tasks.workbooks import xlsx_records

        return xlsx_records(path)
    hint = "; save it as .xlsx or csv" if kind in (".xls", ".xlsm", ".xlsb", ".ods", ".numbers") else ""
    raise UserError(f"{path}: unknown kind of file; use {', '.join(FORMATS)}{hint}", Exit.DATA)


def _json_records(path: Path, encoding: str) -> Iterator[Located]:
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
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


def _fill(
    table: Table, records: Iterable[Located], columns: Columns, kind: AnswerKind, merged: Mapping[str, str]
) -> None:
    """Adds the usable rows, and notes of those that are left out."""
    blank = 0
    for number, (where, record) in enumerate(records):
        if number >= MOST_ROWS:
            table.notes.append(f"{table.name}: only the first {MOST_ROWS:,} rows are used")
            break
        text = _input(record, columns, where)
        if kind == "labels":
            answers = _label_set(record, columns, where, merged)
        else:
            answers = [merged.get(answer, answer) for answer in _answers(record, columns, where, kind)]
        if not text.strip() or not answers:
            blank += 1
            continue
        table.rows.append(Row(id=number, input=text, outputs=answers))
    if blank:
        table.notes.append(f"{table.name}: {blank} rows without input or output are left out")
    if not table.rows:
        raise UserError(f"{table.name}: no usable row", Exit.DATA)


def _input(record: dict[str, Any], columns: Columns, where: str) -> str:
    """The input of a row; empty where every one of its columns is."""
    if isinstance(columns.input, str):
        return _cell(record, columns.input, where)
    texts = [_cell(record, column, where) for column in columns.input]
    return joined_input(columns.input, texts) if any(text.strip() for text in texts) else ""


def _label_set(record: dict[str, Any], columns: Columns, where: str, merged: Mapping[str, str]) -> list[str]:
    """The set of labels of a row as its one answer; nothing where the cell is empty, so that it is not known."""
    value = _value(record, columns.output, where)
    listed = list_in(value)
    if listed is None:
        if value is None or not str(value).strip():
            return []
        raise UserError(
            f"{where}: column '{columns.output}' holds {str(value)[:80]!r}, not a list of labels; write "
            f"{json.dumps([str(value)[:80]], ensure_ascii=False)}, and [] for no label",
            Exit.DATA,
        )
    written = [cell_text(label, where, columns.output).strip() for label in listed]
    labels = [merged.get(label, label) for label in written]
    for label in labels:
        if not label:
            raise UserError(f"{where}: column '{columns.output}' lists an empty label; [] means no label", Exit.DATA)
        if SEPARATOR in label:
            raise UserError(f"{where}: {label_with_separator(label)}", Exit.DATA)
    return [text_of_set(labels)]


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


def _answers(record: dict[str, Any], columns: Columns, where: str, kind: AnswerKind) -> list[str]:
    listed = record.get(columns.references) if columns.references else None
    if listed is not None:
        values = listed if isinstance(listed, list) else [listed]
    elif columns.references and columns.output not in record:
        raise UserError(f"{where}: neither column '{columns.output}' nor '{columns.references}'", Exit.DATA)
    else:
        value = _value(record, columns.output, where)
        if isinstance(value, list) or (kind == "label" and list_in(value) is not None):
            raise UserError(
                f"{where}: column '{columns.output}' holds a list. Where a row has a set of labels, choose "
                "`metric: micro_f1`; where it has several accepted answers, set data.columns.references",
                Exit.DATA,
            )
        values = [value]
    texts = [cell_text(v, where, columns.references or columns.output) for v in values]
    return [t for t in texts if t.strip()]


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
    """A cell as text; of a list or an object its form in Python, which is only shown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\x00", "")


def cell_text(value: Any, where: str, column: str) -> str:
    """The text of a cell; 1 and "1" are one text.

    Raises:
        UserError: it holds a list or an object, or is too long.
    """
    if isinstance(value, list | dict):
        raise UserError(f"{where}: column '{column}' holds a {type(value).__name__}, not a text", Exit.DATA)
    text = as_text(value)
    if len(text) > LONGEST_CELL:
        raise UserError(
            f"{where}: column '{column}' is {len(text):,} characters long (at most {LONGEST_CELL:,})", Exit.DATA
        )
    return text
