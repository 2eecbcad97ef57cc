"""autoadapt init: a task file to start from."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoadapt.errors import Exit, UserError, did_you_mean

if TYPE_CHECKING:
    from autoadapt.tasks.first_look import FirstLook


def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if there is none.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="Your labelled rows: csv, jsonl, parquet, xlsx.")] = None,
    source: Annotated[str | None, typer.Option("--input", help="Column with the text.")] = None,
    answer: Annotated[str | None, typer.Option("--output", help="Column with the answer.")] = None,
    merge: Annotated[
        bool | None,
        typer.Option("--merge-labels/--keep-labels", help="Make labels one that differ only by case or white space."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a text file, such as cp1250; else by its bytes.")] = None,
) -> None:
    """Write a task file to start from: for your data, or an example."""
    from autoadapt.api import init as api

    if data is None:
        for path in api.init(folder):
            print(f"wrote {path}")
    else:
        from autoadapt.display.terminal.beginnings import begun_lines, look_line

        look = api.look_at(folder, data, encoding)
        for line in (look_line(look), *look.notes):
            print(line)
        columns = _columns(look, source, answer)
        merge = _merge(look, columns[1], merge)
        begun = api.begin(folder, look, columns, merge, encoding)
        for line in begun_lines(begun):
            print(line)
        print(f"wrote {begun.file}")
    print(f"next: autoadapt search {folder / 'task.yaml'}")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _columns(look: "FirstLook", source: str | None, answer: str | None) -> tuple[str, str]:
    """The columns with the text and the answer: as given, by their names, or as the user says."""
    from autoadapt.api.init import unclear_columns
    from autoadapt.display.terminal.beginnings import column_lines, flags

    proposed, proposed_answer, clear = look.proposed(source, answer)
    if source is not None and answer is not None:
        return source, answer
    if not _on_terminal():
        if not clear:
            raise unclear_columns(look, proposed, proposed_answer)
        return proposed, proposed_answer
    for line in column_lines(look):
        print(line)
    how = f"give {flags(proposed, proposed_answer)}"
    source = source or _asked("Column with the text", proposed, look.columns, how)
    if source == proposed_answer:
        proposed_answer = look.proposed(source, answer)[1]
    others = [column for column in look.columns if column != source]
    return source, answer or _asked("Column with the answer", proposed_answer, others, how, look.columns)


def _asked(question: str, default: str, allowed: list[str], how: str, numbered: list[str] | None = None) -> str:
    """A column that the user names, by its name or its number; Enter takes the default.

    Args:
        question: what is asked.
        default: proposed.
        allowed: columns that may be named.
        how: what to do without a dialogue.
        numbered: all columns in the order in which they were shown; None: those that may be named.
    """
    numbered = allowed if numbered is None else numbered
    while True:
        said = _answered(f"{question} [{default}]: ", how).strip()
        if not said:
            return default
        if said not in allowed and said.isdecimal() and 1 <= int(said) <= len(numbered):
            said = numbered[int(said) - 1]
        if said in allowed:
            return said
        print(f"no such column: {did_you_mean(said, allowed)}")


def _merge(look: "FirstLook", answer: str, asked: bool | None) -> bool:
    """Whether labels that differ only by case or white space are made one; shown in any case."""
    from autoadapt.tasks.spellings import spellings_text

    groups = look.spellings(answer)
    if not groups:
        return False
    print("these labels differ only by case or white space:")
    for group in groups:
        print(f"  {spellings_text(group)}")
    if asked is not None:
        return asked
    if not _on_terminal():
        print("they stay different labels; --merge-labels makes them one")
        return False
    said = _answered("Make them one label each? [Y/n]: ", "give --merge-labels or --keep-labels")
    return not said.strip().lower().startswith("n")


def _answered(question: str, how: str) -> str:
    """A line of the user.

    Raises:
        UserError: the input has ended.
    """
    try:
        return input(question)
    except EOFError:
        print()
        raise UserError(f"no answer; {how}", Exit.CONFIG) from None
