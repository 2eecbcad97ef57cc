"""Init: a task file to start from; what ``autoadapt init`` calls."""

from pathlib import Path

from autoadapt.tasks.starting import copy_example, write_task


def init(
    folder: str | Path = ".",
    data: str | Path | None = None,
    input_column: str | None = None,
    output_column: str | None = None,
) -> list[Path]:
    """Writes a task file to start from, or the example; returns what was written; like ``autoadapt init``.

    Args:
        folder: for the files.
        data: your labelled rows; None: the example.
        input_column, output_column: columns with the text and the answer, where their names do not say so.

    Raises:
        UserError: a file is there already, or the data cannot be read.
    """
    if data is None:
        return copy_example(Path(folder))
    return [write_task(Path(folder), Path(data), input_column, output_column)]
