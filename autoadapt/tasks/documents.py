"""Documents of a task: its folder is read and hashed, and the search space gets the parameters of passages."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoadapt.domain.documents import Document, DocumentsSettings
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.rows import Row
from autoadapt.domain.space import Choices, Range, Scalar, SearchSpace
from autoadapt.errors import Exit, UserError
from autoadapt.files import require_regular
from autoadapt.passage_search import import_bm25s, words_of
from autoadapt.prompts.rendering import literal, shows_passages
from autoadapt.registry import expanded
from autoadapt.tasks.told_instructions import with_told

SUFFIXES = (".txt", ".md")
MOST_FILES = 20_000
MOST_FILE_BYTES, MOST_BYTES = 20_000_000, 200_000_000
"""Of one file, and of all files together."""
SAMPLED = 50
"""Documents from which lengths of passages are taken."""
PASSAGES = "passages"
COUNTS: list[Scalar] = [4, 0, 2, 8]
"""How many passages a prompt may show; a prompt that names no count has the first."""
INSTRUCTION = "documents"
"""Name of the instruction that is added where answers are texts."""
PLACE = "{{ no_answer }}"
"""In an instruction: where the text is put that stands for no answer."""
TOLD = (
    "Answer the question in as few words as possible. Where documents are given, take the answer from them. "
    f"If you cannot answer, write: {PLACE}"
)


def read_folder(settings: DocumentsSettings, base: Path) -> list[Document]:
    """The documents of a task, in the order of their names.

    Args:
        settings: of the task.
        base: folder of the task file.

    Raises:
        UserError: bm25s is not installed; or exit code 3: the folder or a file in it cannot be used.
    """
    import_bm25s()
    folder = (base / expanded(settings.folder)).expanduser()
    if not folder.is_dir():
        kind = "a file" if folder.is_file() else "missing"
        raise _refused(folder, f"it is {kind}; name a folder of {' and '.join(SUFFIXES)} files")
    documents, total = [], 0
    for count, file in enumerate(_files(folder), 1):
        if count > MOST_FILES:
            raise _refused(folder, f"it has more than {MOST_FILES:,} documents; join or leave out some")
        text = _read(file)
        total += len(text.encode())
        if total > MOST_BYTES:
            raise _refused(folder, f"its documents have more than {MOST_BYTES:,} bytes in all; leave out some")
        if text.strip():
            documents.append(Document(name=file.relative_to(folder).as_posix(), text=text))
    if not any(words_of(document.text) for document in documents):
        raise _refused(folder, f"no document in it has a word; put {' or '.join(SUFFIXES)} files there")
    return documents


def _files(folder: Path) -> Iterator[Path]:
    """Text files of a folder and its subfolders; hidden ones are skipped, and links that lead outside are refused."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise _refused(path, f"it is a link to outside of {folder}; copy what it leads to into the folder")
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            yield path


def _read(file: Path) -> str:
    try:
        require_regular(file)
        size = file.stat().st_size
        if size > MOST_FILE_BYTES:
            raise _refused(file, f"it has {size:,} bytes, more than {MOST_FILE_BYTES:,}; split it")
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(file, f"it is not UTF-8 (byte {error.start:,}); convert it") from error
    except OSError as error:
        raise _refused(file, f"{error.strerror or error}; it has to be a file that can be read") from error


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"documents: {path}: {why}", Exit.DATA)


def hash_of(documents: Sequence[Document]) -> str:
    """SHA-256 of names and contents."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.model_dump_json().encode() + b"\n")
    return digest.hexdigest()


def sampled_rows(documents: Sequence[Document]) -> list[Row]:
    """Some documents as a family of models is given them to count tokens: their texts as inputs."""
    step = max(1, len(documents) // SAMPLED)
    return [Row(id=i, input=one.text, outputs=[one.name]) for i, one in enumerate(documents[::step][:SAMPLED])]


def with_documents(space: SearchSpace, settings: DocumentsSettings | None, answers: AnswerKind) -> SearchSpace:
    """A search space with the parameters of passages, and of texts an instruction that says when there is no answer.

    Parameters that the space has in `shared` stay as they are. What is tried first shows passages; the first prompt is
    tried without any, too.

    Args:
        space: with all of its templates.
        settings: of the task; None: it has no documents.
        answers: what the metric asks for.

    Raises:
        UserError: the space has parameters of passages and the task no documents, or they stand in a branch.
    """
    mine = (PASSAGES, "chunk_words", "passage_position")
    for branch, specs in space.branches.items():
        if name := next((name for name in mine if name in specs), None):
            raise UserError(f"search space, branches.{branch}.{name}: it belongs in `shared`")
    if settings is None:
        if name := next((name for name in mine if name in space.shared), None):
            raise UserError(
                f"search space, shared.{name}: the task has no documents; give documents: {{folder: FOLDER}}"
            )
        return space
    count = space.shared.get(PASSAGES, Choices(choices=[*COUNTS]))
    shown: list[Scalar] = [one for one in count.choices if one] if isinstance(count, Choices) else []
    if not isinstance(count, Choices) or not shown:
        raise UserError(f"search space, shared.{PASSAGES}: give a list of counts, of which some are above 0")
    beside = [name for name, template in space.templates.items() if not shows_passages(template)]
    position: dict[str, list[Scalar]] = {PASSAGES: shown}
    if len(beside) < len(space.templates):
        position["template"] = list(beside)
    added: dict[str, Choices | Range] = {
        PASSAGES: count,
        "chunk_words": Choices(choices=[120, 60, 240], when={PASSAGES: shown}),
    }
    if beside:
        added["passage_position"] = Choices(choices=["before", "after"], when=position)
    space = space.model_copy(update={"shared": {**space.shared, **added, **_own(space, mine)}})
    if answers == "text":
        text = literal(settings.no_answer)
        space = with_told(space, PLACE, text, {INSTRUCTION: TOLD.replace(PLACE, text)})
    return space.model_copy(update={"first": _first(space, 0 in count.choices)})


def _own(space: SearchSpace, names: Sequence[str]) -> dict[str, Choices | Range]:
    return {name: space.shared[name] for name in names if name in space.shared}


def _first(space: SearchSpace, closed_book: bool) -> list[dict[str, Scalar]]:
    """What is tried first, the first prompt also without passages."""
    first = list(space.first)
    place = next((i for i, one in enumerate(first) if one.get("method") == "prompt"), None)
    if place is not None and closed_book:
        first.insert(place + 1, {**first[place], PASSAGES: 0})
    return first
