"""Train, validation, test: read once, checked, and frozen into the run folder.

Frozen files are in a fixed order in which every prefix is stratified by label, so that a part of the validation rows
is a fair sample of all. Rows for early stopping ("dev") are validation rows the search does not measure on, or, where
there are too few, training rows put aside. The test file is opened once, at the end.
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoadapt.domain.data import Data
from autoadapt.domain.documents import Document
from autoadapt.domain.label_sets import SEPARATOR, labels_in
from autoadapt.domain.metric import AnswerKind
from autoadapt.domain.rows import Row
from autoadapt.domain.task import Task
from autoadapt.domain.teacher import UNLABELLED
from autoadapt.errors import Exit, UserError
from autoadapt.files import write_rows
from autoadapt.passage_search import DOCUMENTS_FILE, write_documents
from autoadapt.registry import expanded
from autoadapt.tasks.documents import hash_of, read_folder
from autoadapt.tasks.label_forms import forms_notes, read_as_note, with_known_labels
from autoadapt.tasks.spellings import spellings_notes
from autoadapt.tasks.split_differences import split_differences
from autoadapt.tasks.tables import Reading, Table, label_with_separator, read_table

DEV_ROWS = 64
LEAST_DEV_ROWS = 30


@dataclass
class Splits:
    """The frozen rows, the labels, and notes on what was changed on the way."""

    train: list[Row]
    dev: list[Row]
    validation: list[Row]
    test: list[Row]
    labels: list[str] | None
    """None for free text."""
    notes: list[str]
    differences: list[str] = field(default_factory=list)
    """What is different in test rows, see `split_differences`."""
    unlabelled: list[Row] = field(default_factory=list)
    """Rows without an answer, in the order in which a teacher labels them."""
    documents: list[Document] | None = None
    """Of which prompts show passages; None: the task has none."""

    @property
    def growth(self) -> float:
        """Training and validation rows together over training rows; 1 where there are none to learn from."""
        return 1 + len(self.validation) / len(self.train) if self.train else 1.0

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each split's content and order."""
        found = {}
        for name in self._names():
            digest = hashlib.sha256()
            for row in getattr(self, name):
                digest.update(row.model_dump_json().encode())
            found[name] = digest.hexdigest()
        if self.documents is not None:
            found["documents"] = hash_of(self.documents)
        return found

    def write(self, folder: Path) -> None:
        """Writes ``train.jsonl``, ``dev.jsonl``, ``validation.jsonl`` and ``test.jsonl``, and where there are such,
        ``unlabelled.jsonl`` and ``documents.jsonl``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self._names():
            write_rows(folder / f"{name}.jsonl", getattr(self, name))
        if self.documents is not None:
            write_documents(folder / DOCUMENTS_FILE, self.documents)

    def _names(self) -> list[str]:
        return ["train", "dev", "validation", "test", *([UNLABELLED] if self.unlabelled else [])]


def make_splits(
    task: Task, base: Path, answers: AnswerKind, mistake: Callable[[str], str | None] = lambda answer: None
) -> Splits:
    """Reads and splits a task's data; the same data and seed give the same splits.

    Args:
        task: names files, columns and how many rows are used.
        base: folder of the task file.
        answers: whether outputs are labels, sets of labels, or free text.
        mistake: what is wrong with an accepted answer of free text; None: nothing.

    Raises:
        UserError: exit code 3.
    """
    data, notes = task.data, []
    _check_keys(data, answers)
    tables = _read(task, base, answers, mistake)
    notes += [note for table in tables.values() for note in table.notes]
    given = {name: table.rows for name, table in tables.items() if name != "train"}
    rows = _without_repeats(tables["train"].rows, tables["train"].name, notes)
    labels = _labels(data.labels, rows, answers)
    if labels is not None:
        notes += spellings_notes(Counter(y for row in rows for y in _labels_of(row, answers)))
        notes += forms_notes(list(tables.values()))
        rows, given = _in_known_labels(rows, given, labels, answers, notes)
    order = stratified(rows, labels is not None, f"{task.seed}/all")
    parts: dict[str, list[Row]] = {}
    for name in ("test", "validation"):
        if name in given:
            parts[name] = stratified(given[name], labels is not None, f"{task.seed}/{name}")
        else:
            count = max(1, round(len(rows) * data.holdout))
            parts[name], order = order[:count], order[count:]
    order = _without_overlap(order, parts, notes)
    train = order[: data.train_rows] if data.train_rows else order
    validation, test = parts["validation"], parts["test"][: task.evaluation.test_rows]
    dev = validation[task.evaluation.rows :][:DEV_ROWS]
    if len(dev) < LEAST_DEV_ROWS:
        count = min(DEV_ROWS, len(train) // 10)
        dev, train = train[len(train) - count :], train[: len(train) - count]
    validation = validation[: task.evaluation.rows]
    differences = split_differences(train, validation, test, answers == "label")
    notes += [f"test rows differ from validation rows: {difference}" for difference in differences]
    documents = None if task.documents is None else read_folder(task.documents, base)
    splits = Splits(train, dev, validation, test, labels, notes, differences, documents=documents)
    _check_sizes(splits)
    return splits


def _read(task: Task, base: Path, answers: AnswerKind, mistake: Callable[[str], str | None]) -> dict[str, Table]:
    """The rows of every split that is given; those of ``train`` are split further where it is alone."""
    data = task.data
    given = {"train": data.path or data.train, "validation": data.validation, "test": data.test}
    reading = Reading.of(data, task.seed, mistake)
    return {
        name: read_table(expanded(source), base, data.columns, name, answers, reading)
        for name, source in given.items()
        if source is not None
    }


def _check_keys(data: Data, answers: AnswerKind) -> None:
    """Refuses what has no meaning for the kind of answers."""
    if answers == "labels" and data.columns.references:
        raise UserError("data.columns.references: a set of labels has no other accepted answers; remove it", Exit.DATA)
    if answers == "text" and data.merge_labels:
        raise UserError("data.merge_labels: the metric takes answers as free text, not as labels; remove it", Exit.DATA)


def stratified(rows: Sequence[Row], by_label: bool, seed: str) -> list[Row]:
    """Rows in a random order in which every prefix has each label in about its share of the whole."""
    rng = random.Random(seed)
    mixed = rng.sample(list(rows), len(rows))
    if not by_label:
        return mixed
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in mixed:
        groups[row.outputs[0]].append(row)
    # the k-th of n rows of a label belongs at the share (k + u) / n of the way, u drawn once per label
    placed = []
    for group in groups.values():
        shift = rng.random()
        placed += [((k + shift) / len(group), row.id, row) for k, row in enumerate(group)]
    return [row for _, _, row in sorted(placed, key=lambda p: p[:2])]


def same_input(row: Row) -> str:
    """Its input apart from case and white space."""
    return " ".join(row.input.casefold().split())


def _without_repeats(rows: list[Row], name: str, notes: list[str]) -> list[Row]:
    """One row per input and output, so that none stands in two splits."""
    kept = list({(same_input(r), tuple(r.outputs)): r for r in reversed(rows)}.values())[::-1]
    if len(kept) < len(rows):
        notes.append(f"{name}: {len(rows) - len(kept)} repeated rows are left out")
    first: dict[str, str] = {}
    doubtful = sum(first.setdefault(same_input(r), r.outputs[0]) != r.outputs[0] for r in kept)
    if doubtful:
        notes.append(f"{name}: {doubtful} inputs come with different outputs; all are kept")
    return kept


def _without_overlap(train: list[Row], parts: dict[str, list[Row]], notes: list[str]) -> list[Row]:
    measured = {same_input(row) for part in parts.values() for row in part}
    remaining = [row for row in train if same_input(row) not in measured]
    if len(remaining) < len(train):
        notes.append(
            f"{len(train) - len(remaining)} training rows whose input is also in validation or test "
            "(apart from case and white space) are left out"
        )
    both = {same_input(r) for r in parts["validation"]} & {same_input(r) for r in parts["test"]}
    if both:
        notes.append(f"{len(both)} inputs are in validation and in test; the validation rows are left out")
        parts["validation"] = [r for r in parts["validation"] if same_input(r) not in both]
    return remaining


def _in_known_labels(
    rows: list[Row], given: Mapping[str, list[Row]], labels: list[str], answers: AnswerKind, notes: list[str]
) -> tuple[list[Row], dict[str, list[Row]]]:
    """Training rows and those of other splits that are given, every label one of `labels`.

    Raises:
        UserError: a row has another one.
    """
    parts = {}
    for name, part_rows in {"train": rows, **given}.items():
        parts[name], read = with_known_labels(part_rows, labels, answers == "labels")
        if read:
            notes.append(read_as_note(name, read))
        _check_labels(name, parts[name], labels, answers)
    return parts.pop("train"), parts


def _labels_of(row: Row, answers: AnswerKind) -> list[str]:
    """The labels of a row: one, or those of its set."""
    return sorted(labels_in(row.outputs[0])) if answers == "labels" else [row.outputs[0]]


def _labels(given: list[str] | None, rows: list[Row], answers: AnswerKind) -> list[str] | None:
    if answers == "text":
        return None
    labels = given or sorted({label for row in rows for label in _labels_of(row, answers)})
    if answers == "labels" and (unfit := next((label for label in labels if SEPARATOR in label), None)):
        raise UserError(f"data.labels: {label_with_separator(unfit)}", Exit.DATA)
    if len(labels) < 2:
        found = f"only one label ('{labels[0][:80]}')" if labels else "no label"
        raise UserError(f"{found} in the training rows: nothing to decide; add rows of other labels", Exit.DATA)
    if len(labels) > max(50, len(rows) // 2):
        raise UserError(
            f"{len(labels)} different labels in {len(rows)} rows: is data.columns.output the right column? "
            "For free text choose a metric such as rouge_l or exact_match",
            Exit.DATA,
        )
    return labels


def _check_labels(name: str, rows: list[Row], labels: list[str], answers: AnswerKind) -> None:
    known = set(labels)
    for row in rows:
        unknown = next((label for label in _labels_of(row, answers) if label not in known), None)
        if unknown is not None:
            shown = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
            raise UserError(
                f"{name}, row {row.id + 1}: label '{unknown[:80]}' is not among the labels ({shown}); correct it, or "
                "add it to data.labels",
                Exit.DATA,
            )


def _check_sizes(splits: Splits) -> None:
    for name, least in (("train", 4), ("validation", 10), ("test", 10)):
        rows = getattr(splits, name)
        if len(rows) < least:
            raise UserError(
                f"{name} has {len(rows)} usable rows, at least {least} are needed: give more data", Exit.DATA
            )
    if not splits.dev:
        splits.dev = splits.train[:LEAST_DEV_ROWS]
        splits.notes.append("too few rows to set some aside for early stopping: it uses training rows")
