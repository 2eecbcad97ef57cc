"""Passages of documents: BM25 by its definition, how prompts show them, that they are costed and travel with an option."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from exporting import ROWS, job_run, source_of_jobs
from hypothesis import given
from hypothesis import strategies as st
from job_runs import DEVICES, JobRun, causal_lm
from remote_server import PRICE, chat_server
from town_documents import NO_ANSWER, questions, write_documents

from autoadapt import passage_search
from autoadapt.bundle.checking import expected_answers
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.making import make_bundle
from autoadapt.domain.documents import Document, DocumentsSettings, Passages, Retrieval
from autoadapt.domain.jobs import Fit, Label
from autoadapt.domain.model import ModelReference
from autoadapt.domain.remote import RemoteModel
from autoadapt.domain.rows import Row
from autoadapt.domain.teacher import Labelling
from autoadapt.files import read_rows, write_rows
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.language_model import load
from autoadapt.models.causal_lm.lengths import too_long
from autoadapt.passage_search import PassageSearch, cut
from autoadapt.prompts.answer_extraction import ReasoningPrompt
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks.documents import read_folder, sampled_rows
from autoadapt.worker.artifacts import load_artifact, read_description
from autoadapt.worker.examples import Examples, stored_examples

THREE = Retrieval(passages=3, chunk_words=20, position="before")
FOUND = {"passages": 2, "chunk_words": 12, "passage_position": "before", "shots": 0}


def bm25(query: str, texts: Sequence[str]) -> list[float]:
    """Scores by the definition, a word and a text at a time."""
    counts = [Counter(text.lower().split()) for text in texts]
    mean = sum(c.total() for c in counts) / len(counts)
    scores = []
    for one in counts:
        score = 0.0
        for word in query.lower().split():
            having = sum(word in other for other in counts)
            idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            tf = one[word]
            score += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * one.total() / mean)) if tf else 0.0
        scores.append(score)
    return scores


WORDS = st.lists(st.sampled_from(["oak", "elm", "ash", "fir", "yew", "bay"]), min_size=1, max_size=9).map(" ".join)


@given(
    st.lists(WORDS, min_size=1, max_size=7), st.lists(st.sampled_from(["oak", "fir", "sea"]), max_size=4).map(" ".join)
)
def test_scores_are_those_of_the_definition(texts: list[str], query: str) -> None:
    search = PassageSearch(THREE, texts)
    assert list(search.scores(query)) == pytest.approx(bm25(query, texts), abs=1e-6)


def test_best_come_first_equal_ones_in_their_order_and_strangers_are_not_shown() -> None:
    texts = ["an oak", "a fir and an oak", "the sea", "an oak", "an oak too"]
    assert PassageSearch(THREE, texts).of("Oak?").texts == ("an oak", "an oak", "an oak too")
    assert PassageSearch(THREE, texts).of("SEA, fir").texts == ("the sea", "a fir and an oak")
    assert PassageSearch(THREE, texts).of("nothing of it").texts == ()
    assert PassageSearch(THREE, texts).of("?").texts == ()


@given(st.text(alphabet="ab \n.", max_size=200), st.integers(1, 12))
def test_pieces_hold_every_word_once_in_its_order(text: str, most: int) -> None:
    pieces = cut(text, most)
    assert [word for piece in pieces for word in piece.split()] == text.split()
    sizes = [len(piece.split()) for piece in pieces]
    assert all(0 < size <= most for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_recall_counts_answers_word_for_word_in_rows_that_documents_answer() -> None:
    search = PassageSearch(THREE.model_copy(update={"passages": 1}), ["The oak is old.", "The seaside is far."])
    asked = [("old oak", ["Old"]), ("seaside", ["sea"]), ("seaside", ["near", "is far"]), ("oak", [NO_ANSWER])]
    rows = [Row(id=i, input=text, outputs=outputs) for i, (text, outputs) in enumerate(asked)]
    assert search.recall(rows, NO_ANSWER) == pytest.approx(2 / 3)
    assert search.recall(rows[3:], NO_ANSWER) is None


PLAIN = "{{ instruction }}\n{% for e in examples %}{{ e.input }} = {{ e.output }}\n{% endfor %}Q: {{ input }}\nA:"
OWN = "{% for p in passages %}<{{ p }}>{% endfor %}{% for e in examples %}{{ e.output }}{% endfor %}Q: {{ input }}"


def test_prompt_shows_passages_before_or_after_the_input_or_where_its_template_says() -> None:
    texts, example = ("{{ instruction }}", "two"), [Row(id=0, input="x", outputs=["y"])]
    block = "Documents:\n\n[1] {{ instruction }}\n\n[2] two"
    plain = Prompt(PLAIN, "Do it.", [])
    assert plain.render("why?", example, (), Passages(texts)) == f"Do it.\nx = y\nQ: {block}\n\nwhy?\nA:"
    assert plain.render("why?", passages=Passages(texts, "after")) == f"Do it.\nQ: why?\n\n{block}\nA:"
    assert plain.render("why?", passages=Passages()) == plain.render("why?") == "Do it.\nQ: why?\nA:"
    for position in ("before", "after"):
        assert (
            Prompt(OWN, "", []).render("why?", (), (), Passages(texts, position)) == "<{{ instruction }}><two>Q: why?"
        )
    assert Prompt(OWN, "", []).render("why?") == "Q: why?"
    assert block in ReasoningPrompt(PLAIN, "", [], chat=True).render("why?", passages=Passages(texts))


def test_prompt_that_is_too_long_loses_examples_then_passages_then_input(tiny_model: Path) -> None:
    lm = load(tiny_model, "cpu", torch.float32)
    rows = [Row(id=i, input=f"example {i}", outputs=["y"]) for i in range(3)]

    class Given(Examples):
        def __call__(self, query: str) -> list[Row]:
            return rows

        def passages(self, query: str) -> Passages:
            return Passages(("first </s> passage", "second passage"))

    def shown(room: int) -> str:
        encoder = Encoder(lm, Prompt(PLAIN, "", []), Given(None, []), lm.context_length - room, False)
        return str(lm.tokenizer.decode(encoder.encode("the input " * 3).ids))

    whole = shown(400)
    length = len(lm.tokenizer(whole)["input_ids"])
    assert whole.count("</s>") == 0, "special tokens in documents are no special tokens"
    assert "example 0" in whole
    assert "second passage" in whole
    seen = [shown(room) for room in range(length, 20, -8)]
    states = [
        ("example 2" in text, "second passage" in text, "passage\n" in text, text.count("input")) for text in seen
    ]
    assert states == sorted(states, reverse=True), "each is dropped after the one before it"
    assert (False, True, True, 3) in states
    assert (False, False, True, 3) in states
    assert (False, False, False, 3) in states


def with_documents(jobs: JobRun, folder: Path, test: int = 12) -> list[Document]:
    """Puts questions and documents into a run folder."""
    documents = read_folder(DocumentsSettings(folder=str(write_documents(folder))), Path())
    asked = [Row(id=i, input=row["input"], outputs=[row["output"]]) for i, row in enumerate(questions(60 + test))]
    for split, rows in {"train": asked[:36], "validation": asked[36:60], "test": asked[60:]}.items():
        write_rows(jobs.root / "data" / f"{split}.jsonl", rows)
    passage_search.write_documents(jobs.root / "data" / "documents.jsonl", documents)
    return documents


def fit(jobs: JobRun, params: dict[str, Any], **changes: Any) -> Fit:
    job = jobs.fit("prompt", params=params, no_answer=NO_ANSWER, **changes)
    return job.model_copy(update={"fidelity": job.fidelity.model_copy(update={"rows": 12})})


@pytest.fixture
def jobs(tiny_model: Path, tmp_path: Path) -> JobRun:
    made = JobRun(tmp_path / "run", causal_lm(tiny_model), text=True)
    with_documents(made, tmp_path / "docs")
    return made


def test_job_counts_tokens_seconds_and_recall_of_passages(jobs: JobRun) -> None:
    closed = jobs.measure(fit(jobs, {**FOUND, "passages": 0}))
    found = jobs.measure(fit(jobs, FOUND, trial=1))
    assert closed.retrieval_recall is None
    assert found.retrieval_recall == 1.0
    assert sum(row.tokens_in for row in found.rows) > sum(row.tokens_in for row in closed.rows) + 12 * 20
    assert sum(closed.training.device_seconds.values()) == 0.0
    assert sum(found.training.device_seconds.values()) > 0, "the index is made once"
    folder = jobs.artifact(fit(jobs, FOUND, trial=1))
    description = read_description(folder)
    assert description.retrieval == Retrieval(passages=2, chunk_words=12, position="before")
    assert (folder / "passages.jsonl").stat().st_size < found.artifact_bytes
    stored = stored_examples(folder, description)
    assert stored is not None
    assert "The mayor of Arden: Mrs Ardeson." in " ".join(stored.passages("mayor of Arden").texts)


def test_teacher_reads_passages_too(jobs: JobRun) -> None:
    write_rows(jobs.root / "data" / "unlabelled.jsonl", read_rows(jobs.root / "data" / "validation.jsonl"))
    read = []
    for trial, count in enumerate((0, 2)):
        base = jobs.base("prompt", trial, {**FOUND, "passages": count})
        own = {"no_answer": NO_ANSWER, "state_folder": f"trials/{trial:04d}/label"}
        labelled = jobs.run(Label(**{**base, **own}, rows=12, wanted=12, least_confidence=1e-9)).result
        assert isinstance(labelled, Labelling), labelled
        assert labelled.answered == 12
        read.append(labelled.usage.tokens_in)
    assert read[1] > read[0] + 12 * 20


def test_reloaded_option_answers_as_the_job_did(jobs: JobRun) -> None:
    job = fit(jobs, {**FOUND, "shots": 2, "selector": "nearest", "passage_position": "after"})
    jobs.measure(job)
    answers = [json.loads(line)["answer"] for line in jobs.predictions(job).splitlines()]
    adapted = load_artifact(jobs.artifact(job), jobs.workshop, DEVICES, lambda: None)
    rows = [row["input"] for row in questions(72)[36:48]]
    assert [answer.text for answer in adapted.answer(rows)] == answers
    adapted.close()


def test_candidate_whose_passages_cannot_fit_is_refused_as_a_worker_would(jobs: JobRun, tiny_model: Path) -> None:
    documents = passage_search.read_documents(jobs.root / "data" / "documents.jsonl")
    rows = sampled_rows(documents)
    asked = [Row(id=i, input=row["input"], outputs=[]) for i, row in enumerate(questions(72)[36:48])]
    fits, too_many = fit(jobs, FOUND), fit(jobs, {**FOUND, "passages": 9, "chunk_words": 60}, trial=1)
    assert too_long(tiny_model, 512, fits, [], asked, rows) is None
    reason = too_long(tiny_model, 512, too_many, [], asked, rows)
    assert reason is not None
    assert "9 passages" in reason
    jobs.measure(fits)
    assert "does not fit the model's context" in jobs.failure(too_many).reason


def remote(url: str) -> ModelReference:
    stated = RemoteModel.model_validate({"model": "m", "price": PRICE, "timeout_s": 5.0})
    settings = stated.model_dump(mode="json", exclude_defaults=True)
    return ModelReference(name=f"server:m@{url}", family="remote", location=url, settings=settings)


def test_server_is_sent_passages_and_bills_them(tmp_path: Path) -> None:
    with chat_server() as (url, chat):
        jobs = JobRun(tmp_path / "run", remote(url), text=True)
        with_documents(jobs, tmp_path / "docs")
        closed = jobs.measure(fit(jobs, {"passages": 0, "shots": 0}))
        before = len(chat.ledger.bodies)
        found = jobs.measure(fit(jobs, FOUND, trial=1))
        sent = [str(body) for body in chat.ledger.bodies[before:] if "mayor" in str(body) or "bread" in str(body)]
    assert sent
    assert all("Documents:" in body for body in sent)
    assert found.answering.usd > closed.answering.usd > 0
    assert sum(found.answering.device_seconds.values()) > 0, "finding passages takes time here"
    assert found.retrieval_recall == 1.0


@pytest.fixture
def exportable(tmp_path: Path, tiny_model: Path) -> JobRun:
    made = job_run(tmp_path / "run", causal_lm(tiny_model), text=True)
    with_documents(made, tmp_path / "docs", test=ROWS)
    return made


@pytest.mark.slow  # a search with a tiny model exports too
def test_bundle_answers_as_the_run_did_with_and_without_autoadapt(exportable: JobRun, tmp_path: Path) -> None:
    jobs = exportable
    job = fit(jobs, {**FOUND, "shots": 2, "selector": "nearest"})
    jobs.measure(job)
    jobs.measure(jobs.score(job, rows=ROWS))
    source = source_of_jobs(jobs, [job])
    description = make_bundle(source, tmp_path / "bundle")
    assert description.checked is not None
    assert description.checked.equal == ROWS
    inputs = [row.input for row in source.rows[:6]]
    assert [p.answer for p in Bundle.load(tmp_path / "bundle").predict(inputs)] == expected_answers(
        source.parts, None, []
    )[:6]
    assert "bm25s==" in (tmp_path / "bundle" / "requirements.txt").read_text()
    assert "passages: 2" in (tmp_path / "bundle" / "prompt.yaml").read_text()
