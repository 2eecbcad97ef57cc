"""Answering a file of rows by a bundle; what was answered before an interruption is not answered again.

Answers are appended to a hidden file beside the output, whose first line says which bundle and which rows they belong
to. When the last row is answered the output is written whole and the hidden file is removed.
"""

import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from autoadapt.bundle.description import BUNDLE_FILE
from autoadapt.bundle.loaded import Bundle
from autoadapt.errors import Exit, UserError
from autoadapt.files import home_path, inert, output_target, why_unwritable, write_atomic
from autoadapt.shown_text import inert_json
from autoadapt.tasks.tables import check_whole, records_of

STDIN = "-"
ROWS_AT_ONCE = 256
OUTPUTS = (".jsonl", ".csv", ".parquet")
ADDED = ("prediction", "confidence", "part")
"""Columns that an answered row has beside its own; `part` of a cascade alone."""
Progress = Callable[[int, float], None]
"""Called with the rows that were answered so far, and with rows per second of this call."""


@dataclass(frozen=True)
class Answered:
    """What a call has done."""

    rows: int
    resumed: int
    """Of these, how many an earlier call had answered."""
    seconds: float


def answer_rows(
    bundle: Bundle, rows: str, output: Path | None = None, progress: Progress = lambda rows, rate: None
) -> Answered:
    """Answers every row of a file.

    Args:
        bundle: what answers.
        rows: a csv, jsonl or parquet file with the option's input columns; ``-``: lines of JSON at standard input.
        output: a jsonl, csv or parquet file, replaced when all rows are answered; None: lines of JSON to standard
            output, as they come.
        progress: called after every part.

    Raises:
        UserError: a file cannot be read or written, there are no rows, or a column is missing.
    """
    begun = time.monotonic()
    if output is None:
        count = sum(_write_lines(lines, sys.stdout) for lines in _parts(bundle, records(rows), 0, progress))
        return Answered(_some(count, rows), 0, time.monotonic() - begun)
    check_output(output, rows)
    header = {"bundle": _hash(bundle.folder / BUNDLE_FILE), "rows": None if rows == STDIN else _hash(Path(rows))}
    target = output_target(output)
    partial = output.with_name(f".{output.name}.partial")
    resumed = _whole_lines(partial, header)
    count = resumed
    try:
        with partial.open("a", encoding="utf-8") as file:
            for lines in _parts(bundle, islice(records(rows), resumed, None), resumed, progress):
                count += _write_lines(lines, file)
        _some(count, rows)
        _finish(partial, target)
    except OSError as error:
        why = why_unwritable(error)
        raise UserError(f"{output}: cannot be written ({why})", Exit.ENVIRONMENT) from error
    return Answered(count, resumed, time.monotonic() - begun)


def records(rows: str) -> Iterator[tuple[str, Any]]:
    """The rows of a file or of standard input, each with where it stands; at standard input a row may be a JSON text.

    Raises:
        UserError: exit code 3, with file and line.
    """
    if rows != STDIN:
        yield from records_of(home_path(rows)).rows
        return
    for number, line in enumerate(sys.stdin.buffer, 1):  # bytes, so that what is no text has a line too
        if not line.strip():
            continue
        where = f"standard input, line {number}"
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(f"{where}: not UTF-8 (byte {error.start}); write it as UTF-8", Exit.DATA) from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not valid JSON ({error}); write one row a line", Exit.DATA) from error
        if not isinstance(record, dict | str):
            raise UserError(f"{where}: a {type(record).__name__}, neither a text nor an object of columns", Exit.DATA)
        yield where, record


def check_output(output: Path, rows: str) -> None:
    """Raises a UserError where answers could not be written to a file, before anything is answered."""
    if output.suffix.lower() not in OUTPUTS:
        raise UserError(f"--output {output}: write it as one of {', '.join(OUTPUTS)}")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: the folder {output.parent} does not exist")
    output_target(output)
    if rows != STDIN and output.exists() and output.samefile(home_path(rows)):
        raise UserError(f"--output {output}: these are the rows themselves; name another file")


def _parts(
    bundle: Bundle, wanted: Iterable[tuple[str, Any]], before: int, progress: Progress
) -> Iterator[list[dict[str, Any]]]:
    """Answered rows, some at a time."""
    begun, count, rest = time.monotonic(), 0, iter(wanted)
    while part := list(islice(rest, ROWS_AT_ONCE)):
        for where, record in part:
            taken = [name for name in ADDED if isinstance(record, dict) and name in record]
            if taken:
                raise UserError(f"{where}: there is a column '{taken[0]}' already; rename it", Exit.DATA)
            for name, cell in record.items() if isinstance(record, dict) else ():  # every column is written again
                text = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
                check_whole(name + text, where, name)
        predictions = bundle.predict([bundle.text_of(record, where) for where, record in part])
        lines = []
        for (_, record), prediction in zip(part, predictions, strict=True):
            line = dict(record) if isinstance(record, dict) else {"input": record}
            line |= {"prediction": prediction.answer, "confidence": rounded(prediction.confidence)}
            lines.append(line | ({"part": prediction.part} if bundle.description.cascade is not None else {}))
        count += len(lines)
        progress(before + count, count / max(1e-9, time.monotonic() - begun))
        yield lines


def rounded(confidence: float | None) -> float | None:
    """A confidence in the digits in which it is written."""
    return None if confidence is None else round(confidence, 6)


def _write_lines(lines: list[dict[str, Any]], file: TextIO) -> int:
    file.write("".join(inert_json(json.dumps(line, ensure_ascii=False, default=str)) + "\n" for line in lines))
    file.flush()
    return len(lines)


def _some(count: int, rows: str) -> int:
    if not count:
        raise UserError(f"{'standard input' if rows == STDIN else rows}: there are no rows", Exit.DATA)
    return count


def _hash(file: Path) -> str:
    try:
        with home_path(file).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}", Exit.DATA) from error


def _whole_lines(partial: Path, header: dict[str, Any]) -> int:
    """How many rows a partial file of the same bundle and rows holds; begins a new one where there is none.

    The last line of a process that was killed may be cut off: it is removed, and its row is answered again.
    """
    lines = partial.read_bytes().split(b"\n") if partial.is_file() else []
    first = json.dumps(header)
    if header["rows"] is None or not lines or lines[0] != first.encode():
        write_atomic(partial, first + "\n")
        return 0
    whole = b"\n".join(lines[:-1]).decode("utf-8")
    write_atomic(partial, whole + "\n")
    return len(lines) - 2


def _finish(partial: Path, output: Path) -> None:
    """Writes the output whole, and removes the partial file."""
    kind = output.suffix.lower()
    if kind == ".jsonl":
        write_atomic(output, partial.read_text(encoding="utf-8").split("\n", 1)[1])
    elif kind == ".csv":
        write_atomic(output, _csv(_lines(partial)))
    else:
        _write_parquet(_lines(partial), output)
    partial.unlink()


def _lines(partial: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in partial.read_text(encoding="utf-8").split("\n")[1:] if line]


def _csv(lines: list[dict[str, Any]]) -> str:
    """Text that a spreadsheet would run is quoted; lists and objects are written as JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for line in lines for name in line)), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        cells = {k: json.dumps(v, ensure_ascii=False) if isinstance(v, list | dict) else v for k, v in line.items()}
        writer.writerow({name: inert(cell) for name, cell in cells.items()})
    return text.getvalue()


def _write_parquet(lines: list[dict[str, Any]], output: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    temporary = output.with_name(f".{output.name}.tmp")
    try:
        names = list(dict.fromkeys(name for line in lines for name in line))
        columns = {name: [line.get(name) for line in lines] for name in names}
        pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
        temporary.replace(output)
    except pyarrow.ArrowInvalid as error:
        raise UserError(
            f"{output}: a column holds values of several kinds ({error}); choose .jsonl", Exit.DATA
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
