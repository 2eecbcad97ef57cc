"""Init: a task file to start from; what ``autoadapt init`` calls."""

from pathlib import Path

from autoadapt.display.terminal.beginnings import column_lines, flags
from autoadapt.domain.data import text_encoding
from autoadapt.errors import Exit, UserError
from autoadapt.forecast.machine import survey
from autoadapt.forecast.proposals import Begun, proposed_search
from autoadapt.tasks.first_look import FirstLook, first_look
from autoadapt.tasks.listed_models import list_models
from autoadapt.tasks.spellings import merged
from autoadapt.tasks.starting import Beginning, copy_example, must_be_new, write_task


def init(
    folder: str | Path = ".",
    data: str | Path | None = None,
    input_column: str | None = None,
    output_column: str | None = None,
    *,
    merge_labels: bool = False,
    encoding: str | None = None,
) -> list[Path]:
    """Writes a task file to start from, or the example; returns what was written; like ``autoadapt init``.

    Args:
        folder: for the files.
        data: your labelled rows; None: the example.
        input_column, output_column: columns with the text and the answer, where their names do not say so.
        merge_labels: whether labels that differ only by case or white space are made one.
        encoding: of a text file, where its bytes do not say so.

    Raises:
        UserError: a file is there already, or the data cannot be read.
    """
    if data is None:
        return copy_example(Path(folder))
    look = look_at(Path(folder), Path(data), encoding)
    source, answer, clear = look.proposed(input_column, output_column)
    if not clear:
        raise unclear_columns(look, source, answer)
    return [begin(Path(folder), look, (source, answer), merge_labels, encoding).file]


def look_at(folder: Path, data: Path, encoding: str | None = None) -> FirstLook:
    """A first look at a file of rows for which a task file is to be written into a folder.

    Raises:
        UserError: there is a task file already, or the rows cannot be read.
    """
    must_be_new(folder / "task.yaml")
    try:
        known = None if encoding is None else text_encoding(encoding)
    except ValueError as error:
        raise UserError(f"--encoding {encoding}: {error}") from error
    return first_look(data, known)


def begin(folder: Path, look: FirstLook, columns: tuple[str, str], merge: bool, encoding: str | None) -> Begun:
    """Writes the task file.

    Args:
        folder: for it.
        look: at the rows.
        columns: with the text and with the answer.
        merge: whether labels that differ only by case or white space are made one.
        encoding: as the user has named it.

    Raises:
        UserError: the answers cannot be used.
    """
    source, answer = columns
    made_one = merged(look.spellings(answer)) if merge else {}
    answers = look.answers(answer, made_one)
    proposal = proposed_search(survey(folder), list_models(), answers.kind)
    beginning = Beginning(
        data=look.path,
        source=source,
        answer=answer,
        answers=answers,
        models=proposal.models,
        also=proposal.also,
        trials=proposal.trials,
        hours=proposal.hours,
        economics=proposal.economics,
        price=proposal.price,
        encoding=encoding,
        merged=made_one,
    )
    return Begun(write_task(folder, beginning), beginning, proposal)


def unclear_columns(look: FirstLook, source: str, answer: str) -> UserError:
    """The error that names all columns and the options by which the two are named."""
    lines = "\n".join(column_lines(look))
    return UserError(
        f"{look.path}: which columns hold the text and the answer? It has\n{lines}\n"
        f"Say so, for example with: {flags(source, answer)}",
        Exit.DATA,
    )
