"""Reading labelled rows from csv and jsonl files; `autoadapt.tasks.dataset_files` reads parquet and hub data sets.

Every mistake names file, line and column. Values are made text the same way everywhere: 1 and "1" are one label.
"""

import csv
import json
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoadapt.domain.label_sets import SEPARATOR, text_of_set
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.rows import Row, joined_input
from autoadapt.domain.task import Columns
from autoadapt.errors import Exit, UserError, did_you_mean

MOST_ROWS = 1_000_000
LONGEST_CELL = 1_000_000
FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


@dataclass
class Table:
    """The usable rows of one source, and what was left out."""

    name: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def read_table(source: str, base: Path, columns: Columns, split: str, answers: AnswerKind = "label") -> Table:
    """Reads a file (relative to `base`) or a hub data set.

    Args:
        source: path, or a hub id such as ``owner/name``.
        base: folder of the task file.
        columns: which column is what.
        split: what the rows are for; on the hub, the split's name.
        answers: what the output column holds; of a row with a set of labels the answer is the text of the set.

    Raises:
        UserError: exit code 3, with file, line and column.
    """
    path = (base / source).expanduser()
    if path.suffix.lower() in FORMATS or path.exists():
        records = records_of(path)
    elif source.count("/") == 1 and not source.startswith((".", "/", "~")):
        from autoadapt.tasks.dataset_files import hub_records

        records = hub_records(source, split)
    else:
        raise UserError(f"{path}: no such file, and no hub id (owner/name)", Exit.DATA)
    return _table(source, records, columns, answers)


def records_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The raw rows of a file, each with where it stands.

    Raises:
        UserError: exit code 3, with file and line.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", Exit.DATA) from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a regular file", Exit.DATA)
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        return _csv_records(path, "\t" if kind == ".tsv" else ",")
    if kind == ".parquet":
        from autoadapt.tasks.dataset_files import parquet_records

        return parquet_records(path)
    if kind in (".jsonl", ".ndjson", ".json"):
        return _json_records(path)
    raise UserError(f"{path}: unknown kind of file; use {', '.join(FORMATS)}", Exit.DATA)


def _json_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
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
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8", Exit.DATA) from error


def _csv_records(path: Path, delimiter: str) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL * 10)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(reader, None)
            if header is None:
                return
            if len(header) == 1 and ";" in header[0]:
                raise UserError(f"{path}, line 1: columns are separated by ';'; save the file with ','", Exit.DATA)
            if repeated := sorted({h for h in header if header.count(h) > 1}):
                raise UserError(f"{path}, line 1: column '{repeated[0]}' is named twice", Exit.DATA)
            for cells in reader:
                where = f"{path}, line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise UserError(
                        f"{where}: {len(cells)} cells, but the header names {len(header)} columns; "
                        f"quote text that holds '{delimiter}'",
                        Exit.DATA,
                    )
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a quote left open?", Exit.DATA) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8", Exit.DATA) from error


def _table(name: str, records: Iterable[tuple[str, dict[str, Any]]], columns: Columns, kind: AnswerKind) -> Table:
    table = Table(name, [])
    blank = 0
    for number, (where, record) in enumerate(records):
        if number >= MOST_ROWS:
            table.notes.append(f"{name}: only the first {MOST_ROWS:,} rows are used")
            break
        text = _input(record, columns, where)
        answers = _label_set(record, columns, where) if kind == "labels" else _answers(record, columns, where, kind)
        if not text.strip() or not answers:
            blank += 1
            continue
        table.rows.append(Row(id=number, input=text, outputs=answers))
    if blank:
        table.notes.append(f"{name}: {blank} rows without input or output are left out")
    if not table.rows:
        raise UserError(f"{name}: no usable row", Exit.DATA)
    return table


def _input(record: dict[str, Any], columns: Columns, where: str) -> str:
    """The input of a row; empty where every one of its columns is."""
    if isinstance(columns.input, str):
        return _cell(record, columns.input, where)
    texts = [_cell(record, column, where) for column in columns.input]
    return joined_input(columns.input, texts) if any(text.strip() for text in texts) else ""


def _label_set(record: dict[str, Any], columns: Columns, where: str) -> list[str]:
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
    labels = [cell_text(label, where, columns.output).strip() for label in listed]
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


def cell_text(value: Any, where: str, column: str) -> str:
    """The text of a cell; 1 and "1" are one text.

    Raises:
        UserError: it holds a list or an object, or is too long.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        raise UserError(f"{where}: column '{column}' holds a {type(value).__name__}, not a text", Exit.DATA)
    text = str(value).replace("\x00", "")
    if len(text) > LONGEST_CELL:
        raise UserError(
            f"{where}: column '{column}' is {len(text):,} characters long (at most {LONGEST_CELL:,})", Exit.DATA
        )
    return text
