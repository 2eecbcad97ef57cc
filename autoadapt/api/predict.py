"""Predict: a file of rows answered by a bundle; what ``autoadapt predict`` calls."""

from pathlib import Path

from autoadapt.bundle.answering import Answered, Progress, answer_rows, check_output
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.versions import located
from autoadapt.files import home_path


def predict(
    bundle: str | Path,
    rows: str | Path,
    *,
    output: str | Path | None = None,
    progress: Progress = lambda rows, rate: None,
) -> Answered:
    """Answers every row of a file by a bundle.

    Args:
        bundle: its folder, or a version of the registry such as ``registry:support@production``.
        rows: a csv, jsonl or parquet file with the option's input columns; ``-``: lines of JSON at standard input.
        output: a jsonl, csv or parquet file, written when all rows are answered. Called again after an interruption,
            it goes on where it was. None: lines of JSON to standard output, as they come.
        progress: called with the rows answered so far and rows per second.

    Raises:
        UserError: the bundle is damaged, a file cannot be read or written, or a column is missing.
    """
    target = None if output is None else home_path(output)
    if target is not None:
        check_output(target, str(rows))
    with Bundle.load(located(bundle)[0]) as loaded:
        return answer_rows(loaded, str(rows), target, progress)
