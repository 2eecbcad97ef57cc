"""The prompt library: list, find, lint, compare and save entries; what ``autoadapt prompts`` calls."""

from collections.abc import Sequence
from pathlib import Path

from autoadapt.api.sources import TaskSource, resolve_source
from autoadapt.bundle.sources import number_of
from autoadapt.domain.option import CASCADE_NUMBERS
from autoadapt.domain.prompt_entry import TaskType
from autoadapt.errors import UserError
from autoadapt.runs.study import Study
from autoadapt.runs.winning_prompt import winning_prompt
from autoadapt.tasks.prompt_checks import LintedPrompt, lint_entry, lint_file
from autoadapt.tasks.prompt_difference import PromptDifference, prompt_difference
from autoadapt.tasks.prompt_library import SUFFIXES, PromptLibrary, StoredEntry, entry_files, read_entry
from autoadapt.tasks.prompt_writing import save_entry

Folders = Sequence[str | Path]


def list_prompts(folders: Folders = (), task_type: TaskType | None = None) -> list[StoredEntry]:
    """Entries of the library and of some folders; like ``autoadapt prompts list``.

    Args:
        folders: of your own.
        task_type: only entries for it; None: all.

    Raises:
        UserError: a folder is missing, or a file is no entry.
    """
    stored = PromptLibrary(map(Path, folders)).entries
    return [one for one in stored if task_type in (None, one.entry.task_type)]


def find_prompt(reference: str | Path, folders: Folders = ()) -> StoredEntry:
    """One entry, by its id, by ``ID@VERSION``, or by its file; like ``autoadapt prompts show``.

    Args:
        reference: which one.
        folders: of your own, in which an id is looked up too.

    Raises:
        UserError: there is none, or there are several versions of it.
    """
    if _is_file(reference):
        return read_entry(Path(reference))
    return PromptLibrary(map(Path, folders)).find(str(reference))


def lint_prompts(target: str | Path, folders: Folders = (), task: TaskSource | None = None) -> list[LintedPrompt]:
    """What is wrong with an entry or with those of a folder, and what they cost; like ``autoadapt prompts lint``.

    Args:
        target: a file, a folder, or an id.
        folders: of your own, in which an id is looked up too.
        task: whose labels and rows must not stand in a prompt, and whose models count its tokens; None: none.

    Raises:
        UserError: there is no such entry, or the task is wrong. That a file is no entry is a finding.
    """
    resolved = None if task is None else resolve_source(task)
    if Path(target).is_dir():
        return [lint_file(file, resolved) for file in entry_files(Path(target))]
    if _is_file(target):
        return [lint_file(Path(target), resolved)]
    return [lint_entry(find_prompt(target, folders), resolved)]


def compare_prompts(first: str | Path, second: str | Path, folders: Folders = ()) -> PromptDifference:
    """What differs between two entries or versions; like ``autoadapt prompts diff``.

    Args:
        first: an id, ``ID@VERSION``, or a file.
        second: the same.
        folders: of your own.

    Raises:
        UserError: there is no such entry.
    """
    return prompt_difference(find_prompt(first, folders).entry, find_prompt(second, folders).entry)


def save_prompt(
    run: str | Path, folder: str | Path, option: str | None = None, task_type: TaskType | None = None
) -> tuple[StoredEntry, bool]:
    """Writes the best prompt of a run into a folder of prompts, with its score; like ``autoadapt prompts save``.

    Where the folder has the same prompt already, the score is added to its file.

    Args:
        run: a run folder.
        folder: of your own; made where it is not there.
        option: the number of another trial; None: the best prompt without training, by validation rows.
        task_type: of a prompt that is no entry yet; None: what the task says, or classify where answers are labels.

    Returns:
        What the file holds now, and whether the file is new.

    Raises:
        UserError: no prompt was measured, or the folder cannot be written.
    """
    number = None if option is None else number_of(option)
    if number is not None and number >= CASCADE_NUMBERS:
        raise UserError(f"--option {option}: a cascade has two prompts; give the number of one of its trials")
    return save_entry(winning_prompt(Study.load(run), number, task_type), Path(folder))


def _is_file(reference: str | Path) -> bool:
    return Path(reference).suffix in SUFFIXES or Path(reference).is_file()
