"""What a prompt shows of a task: examples, passages of documents, and of many labels those that an input likely has.

A shortlist is chosen by a model of words (TF-IDF with logistic regression) that is fitted on training rows in the job
that makes the option, and kept in its artifact as plain arrays.
"""

import dataclasses
import importlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoadapt.domain.artifact import EXAMPLES_FILE, SHORTLIST_FOLDER, VECTORS_FILE, ArtifactDescription, FewShot
from autoadapt.domain.documents import NO_PASSAGES, Document, Passages
from autoadapt.domain.jobs import JobBase
from autoadapt.domain.method import Training
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.params import WordParams
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import ComparesVectors, Order, PromptChoices, Select, Vectors
from autoadapt.files import read_rows, write_rows
from autoadapt.passage_search import PASSAGES_FILE, PassageSearch, cut_all, import_bm25s, read_passages
from autoadapt.shelves import SELECTORS
from autoadapt.worker.measuring import Bench

if TYPE_CHECKING:
    from autoadapt.word_models import Words


@dataclass(frozen=True)
class Shortlist:
    """Chooses the labels that a prompt offers."""

    words: "Words"
    labels: Sequence[str]
    """All labels of the task, in the job's order."""
    count: int
    """How many are offered."""

    def of(self, query: str) -> list[str]:
        """The labels that a query's prompt offers, the most likely first."""
        log_probs = self.words.label_log_probs([query], self.labels)[0]
        return [self.labels[i] for i in (-log_probs).argsort(kind="stable")[: self.count]]


class Examples(PromptChoices):
    """The examples of one candidate, its passages and its shortlist (see `autoadapt.domain.selector.PromptChoices`).

    With a shortlist examples show the offered labels in turn, the most likely one last; the selector chooses among the
    rows of each label. So as many shots as labels are one example of each.

    Args:
        few_shot: how examples are chosen; None: there are none.
        rows: all rows to choose from.
        shortlist: chooses the labels that are offered; None: all are.
        arranged: whether the rows stand in the order in which a selector takes them that is the same for every query.
        search: finds passages of documents; None: there are none.
    """

    def __init__(
        self,
        few_shot: FewShot | None,
        rows: Sequence[Row],
        shortlist: Shortlist | None = None,
        arranged: bool = False,
        search: PassageSearch | None = None,
    ) -> None:
        self.few_shot, self.shortlist, self.search = few_shot, shortlist, search
        self.rows = rows if arranged or shortlist is None else _arranged(few_shot, rows)
        selector = SELECTORS.get(few_shot.selector) if few_shot is not None else None
        self.needs_vectors = selector is not None and selector.needs_vectors
        self._select: Select = lambda query: []
        self._by_label: dict[str, Select] = {}
        if few_shot is not None and shortlist is None:
            self._select = SELECTORS.get(few_shot.selector).prepare(self.rows, few_shot.shots, few_shot.seed)
        elif few_shot is not None:
            self._by_label = self._prepared_by_label(few_shot)
        self._last: tuple[str, list[str]] | None = None
        self._embed: Callable[[Sequence[str]], Vectors] = lambda texts: None
        self._expected: dict[str, Vectors] = {}

    def _prepared_by_label(self, few_shot: FewShot) -> dict[str, Select]:
        """Of every label a function that chooses among its rows."""
        selector = SELECTORS.get(few_shot.selector)
        of_label: dict[str, list[Row]] = {}
        for row in self.rows:
            of_label.setdefault(row.outputs[0], []).append(row)
        if selector.same_for_every_query:
            return {label: _constant(rows) for label, rows in of_label.items()}
        return {label: selector.prepare(rows, few_shot.shots, few_shot.seed) for label, rows in of_label.items()}

    def offered(self, query: str) -> list[str]:
        if self.shortlist is None:
            return []
        if self._last is None or self._last[0] != query:  # asked for by the examples and by the prompt
            self._last = (query, self.shortlist.of(query))
        return self._last[1]

    def passages(self, query: str) -> Passages:
        return NO_PASSAGES if self.search is None else self.search.of(query)

    def __call__(self, query: str) -> list[Row]:
        if self.few_shot is None:
            return []
        rows = self._select(query) if self.shortlist is None else self._in_turn(query, self.few_shot.shots)
        return in_order(rows, self.few_shot.order)

    def _in_turn(self, query: str, shots: int) -> list[Row]:
        known = [label for label in self.offered(query) if label in self._by_label]
        wanted = Counter(known[i % len(known)] for i in range(shots if known else 0))
        best_first = {label: self._by_label[label](query)[::-1][:count] for label, count in wanted.items()}
        longest = max(map(len, best_first.values()), default=0)
        turns = [best_first[label][i] for i in range(longest) for label in known if i < len(best_first.get(label, ()))]
        return turns[::-1]

    def use(self, vectors: Vectors, embed: Callable[[Sequence[str]], Vectors]) -> None:
        self._embed = embed
        if isinstance(self._select, ComparesVectors):
            self._select.use(vectors, self._vector_of)
        for label, select in self._by_label.items():
            if isinstance(select, ComparesVectors):
                select.use(vectors[[row.outputs[0] == label for row in self.rows]], self._vector_of)

    def expect(self, queries: Sequence[str]) -> None:
        if self.needs_vectors:
            self._expected = dict(zip(queries, self._embed(queries), strict=True))

    def _vector_of(self, query: str) -> Vectors:
        if query not in self._expected:
            self.expect([query])
        return self._expected[query]

    def write(self, folder: Path) -> None:
        """Writes what they are chosen from into the folder of an artifact."""
        if self.few_shot is not None:
            rows = self.rows if self.few_shot.all_rows else self(" ")
            write_rows(folder / EXAMPLES_FILE, list(rows))
        if self.search is not None:
            self.search.write(folder)
        if self.shortlist is not None:
            from autoadapt.word_models import save_words

            (folder / SHORTLIST_FOLDER).mkdir()
            save_words(self.shortlist.words)(folder / SHORTLIST_FOLDER)


def _arranged(few_shot: FewShot | None, rows: Sequence[Row]) -> Sequence[Row]:
    """All rows in the order in which a selector takes them that is the same for every query; else as they are."""
    if few_shot is None or not SELECTORS.get(few_shot.selector).same_for_every_query:
        return rows
    return SELECTORS.get(few_shot.selector).prepare(rows, len(rows), few_shot.seed)("")


def _constant(rows: list[Row]) -> Select:
    return lambda query: rows


def in_order(rows: list[Row], order: Order) -> list[Row]:
    """Examples as a prompt shows them, of those in the order of a selector: the best last."""
    if order == "best_first":
        return rows[::-1]
    if order == "by_label":  # groups by their best examples, of which the last stands nearest to the question
        place = {row.outputs[0]: i for i, row in enumerate(rows)}
        return sorted(rows, key=lambda row: place[row.outputs[0]])
    return rows


def few_shot_of(job: JobBase) -> FewShot | None:
    """How a job's examples are chosen; None: its prompts show none."""
    params = job.candidate.params
    shots = params.get("shots")
    if not isinstance(shots, int) or shots < 1:
        return None
    selector = str(params.get("selector", "balanced"))
    varies = not SELECTORS.get(selector).same_for_every_query or job.labels_offered > 0
    return FewShot.model_validate(
        {
            "selector": selector,
            "shots": shots,
            "seed": job.seed,
            "all_rows": varies,
            "order": params.get("order", "best_last"),
        }
    )


def choose_examples(
    job: JobBase, training_rows: Callable[[], list[Row]], documents: Callable[[], list[Document]]
) -> tuple[Examples | None, float]:
    """What a job's prompts show, and the seconds that it took to prepare it.

    Args:
        job: its candidate decides.
        training_rows: gives the rows of the split `train`, where they are needed.
        documents: gives those of the task, where they are needed.

    Raises:
        UserError: passages are asked for, and bm25s is not installed.
    """
    few_shot, count, retrieval = few_shot_of(job), job.labels_offered, job.retrieval
    if few_shot is None and not count and retrieval is None:
        return None, 0.0
    rows = [] if few_shot is None and not count else training_rows()
    texts = [] if retrieval is None else documents()
    _import_libraries(few_shot, rows, count)
    if retrieval is not None:
        import_bm25s()
    begun = time.perf_counter()
    search = None if retrieval is None else PassageSearch(retrieval, cut_all(texts, retrieval.chunk_words))
    examples = Examples(few_shot, rows, _fitted(job, rows, count) if count else None, search=search)
    return examples, time.perf_counter() - begun


def _import_libraries(few_shot: FewShot | None, rows: Sequence[Row], count: int) -> None:
    """Imports what a selector or a shortlist needs, which is no part of what an option costs."""
    if count:
        importlib.import_module("autoadapt.word_models")
    if few_shot is not None:
        SELECTORS.get(few_shot.selector).prepare(rows[:2], 1, few_shot.seed)


def _fitted(job: JobBase, rows: Sequence[Row], count: int) -> Shortlist:
    from autoadapt.word_models import fit_words

    texts, truth = [row.input for row in rows], [row.outputs[0] for row in rows]
    return Shortlist(fit_words("tfidf", WordParams(), texts, truth, job.labels), job.scored_labels, count)


def stored_examples(folder: Path, description: ArtifactDescription) -> Examples | None:
    """What the prompts of an artifact show.

    Args:
        folder: of the artifact.
        description: its ``option.json``.
    """
    few_shot, shortlist = description.few_shot, _stored_shortlist(folder, description)
    search = _stored_search(folder, description)
    if few_shot is None and shortlist is None and search is None:
        return None
    rows = read_rows(folder / EXAMPLES_FILE) if few_shot is not None else []
    if few_shot is None or few_shot.all_rows:
        return Examples(few_shot, rows, shortlist, True, search)
    return _Chosen(rows, search)


def _stored_search(folder: Path, description: ArtifactDescription) -> PassageSearch | None:
    return None if description.retrieval is None else PassageSearch(description.retrieval, read_passages(folder))


def _stored_shortlist(folder: Path, description: ArtifactDescription) -> Shortlist | None:
    if not description.shortlist:
        return None
    from autoadapt.word_models import load_words

    return Shortlist(load_words(folder / SHORTLIST_FOLDER), description.scored_labels, description.shortlist)


def redrawn_examples(
    folder: Path, description: ArtifactDescription, seed: int, training_rows: Sequence[Row]
) -> Examples:
    """What the prompts of an artifact would show if their examples had been drawn by another seed.

    Args:
        folder: of the artifact.
        description: its ``option.json``; it shows examples, and not by vectors.
        seed: of the draw.
        training_rows: from which they are drawn.
    """
    few_shot = description.few_shot
    if few_shot is None:
        raise ValueError("a prompt without examples cannot show others")
    shortlist = _stored_shortlist(folder, description)
    search = _stored_search(folder, description)
    return Examples(few_shot.model_copy(update={"seed": seed}), training_rows, shortlist, search=search)


class Reordered(PromptChoices):
    """Examples in another order.

    Args:
        examples: as they are.
        places: of those that are shown first, second and so on.
    """

    def __init__(self, examples: Examples, places: Sequence[int]) -> None:
        self.rows, self.needs_vectors = examples.rows, examples.needs_vectors
        self._examples, self._places = examples, places

    def __call__(self, query: str) -> list[Row]:
        rows = self._examples(query)
        return [rows[i] for i in self._places if i < len(rows)]

    def offered(self, query: str) -> list[str]:
        return self._examples.offered(query)

    def passages(self, query: str) -> Passages:
        return self._examples.passages(query)

    def use(self, vectors: Vectors, embed: Callable[[Sequence[str]], Vectors]) -> None:
        self._examples.use(vectors, embed)

    def expect(self, queries: Sequence[str]) -> None:
        self._examples.expect(queries)


class _Chosen(Examples):
    """Examples that were chosen when the artifact was made."""

    def __init__(self, rows: list[Row], search: PassageSearch | None) -> None:
        super().__init__(None, rows, search=search)

    def __call__(self, query: str) -> list[Row]:
        return list(self.rows)


def with_examples(training: Training, seconds: float, artifact: Path) -> Training:
    """What adapting took, with the time for preparing examples, passages and shortlist, and with their size.

    Args:
        training: without them.
        seconds: that preparing them took.
        artifact: folder that holds them.
    """
    names = (EXAMPLES_FILE, VECTORS_FILE, PASSAGES_FILE)
    files = [*(artifact / name for name in names), *(artifact / SHORTLIST_FOLDER).glob("*")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return dataclasses.replace(
        training,
        preparing_seconds=training.preparing_seconds + seconds,
        artifact_bytes=training.artifact_bytes + size,
    )


def with_recall(measurement: Measurement, bench: Bench, examples: Examples | None) -> Measurement:
    """A measurement with the recall of passages; as it is where prompts show none, or where answers are labels."""
    if examples is None or examples.search is None or bench.job.labels is not None:
        return measurement
    recall = examples.search.recall(bench.rows(), bench.job.no_answer or "")
    return measurement.model_copy(update={"retrieval_recall": recall})
