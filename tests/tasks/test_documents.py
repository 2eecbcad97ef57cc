"""Tasks with documents: the folder is read once and checked, and the search space gets parameters of passages."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask
from job_runs import TEMPLATE
from town_documents import NO_ANSWER, TOWNS, questions, write_documents

from autoadapt.domain.documents import DocumentsSettings
from autoadapt.errors import Exit, UserError
from autoadapt.prompts.rendering import Prompt
from autoadapt.tasks import documents
from autoadapt.tasks.resolve import ResolvedTask, resolve
from autoadapt.tasks.splits import Splits

OWN = "{% for p in passages %}{{ p }}\n{% endfor %}{% for e in examples %}{{ e.output }}{% endfor %}{{ input }}"


@pytest.fixture
def task(make_task: MakeTask) -> Path:
    """A task file of questions on documents."""
    columns = {"input": "input", "output": "output"}
    path = make_task(
        metric="exact_match", data={"path": "data.jsonl", "columns": columns}, documents={"folder": "docs"}
    )
    write_documents(path.parent / "docs")
    (path.parent / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions()))
    return path


def space_of(task: Path, old: str, new: str) -> None:
    (task.parent / "space.yaml").write_text(SPACE.replace(old, new))


def drawn(resolved: ResolvedTask) -> list[dict[str, Any]]:
    """Parameters of prompts that are drawn."""
    return [dict(c.params) for c in resolved.space.drawn(200, seed=0) if c.method == "prompt"]


def test_documents_are_the_visible_text_files_of_all_subfolders(task: Path) -> None:
    found = resolve(task).splits.documents or []
    assert len(found) == len(TOWNS)
    assert [one.name for one in found] == sorted(one.name for one in found)
    assert {one.name for one in found} >= {"arden.txt", "north/belmor.md"}
    assert found[0].text.startswith("# Arden\n\nThe mayor of Arden: Mrs Ardeson.")


def test_only_prompts_have_passages_and_only_where_they_mean_something(task: Path) -> None:
    resolved = resolve(task)
    every = list(resolved.space.drawn(100, seed=1))
    assert not any({"passages", "chunk_words", "passage_position"} & {*c.params} for c in every if c.method != "prompt")
    prompts = drawn(resolved)
    assert {one["passages"] for one in prompts} == {0, 2, 4, 8}
    for one in prompts:
        assert ("chunk_words" in one) == ("passage_position" in one) == (one["passages"] > 0)


def test_first_prompt_shows_passages_and_the_second_none(task: Path) -> None:
    resolved = resolve(task)
    first = [c for c in map(resolved.space.candidate, resolved.space.first()) if c.method == "prompt"]
    assert [c.params["passages"] for c in first] == [4, 0]
    job = resolved._whole_job(first[0])
    assert (job.no_answer, job.retrieval and job.retrieval.passages) == (NO_ANSWER, 4)
    shown = Prompt(job.prompt.template, job.prompt.instruction, []).instruction
    assert shown.endswith("If you cannot answer, write: no answer")


def test_text_for_no_answer_is_data_and_stands_where_an_instruction_says(task: Path) -> None:
    odd = "{{ 7*7 }} {% raw %}"
    told = resolve(task, [f"documents.no_answer={json.dumps(odd)}"]).space.space
    assert Prompt("{{ input }}", told.instructions["documents"], []).instruction.endswith(f"write: {odd}")
    space_of(task, 'none: ""', 'none: ""\n  own: "Say {{ no_answer }} if unsure."')
    own = resolve(task).space.space
    assert Prompt("{{ input }}", own.instructions["own"], []).instruction == "Say no answer if unsure."
    assert "documents" not in own.instructions


def test_template_that_places_passages_has_no_position(task: Path) -> None:
    space_of(task, "templates:\n", f"templates:\n  own: {json.dumps(OWN)}\n")
    space_of_task = (task.parent / "space.yaml").read_text().replace("[plain, arrow]", "[plain, own]")
    (task.parent / "space.yaml").write_text(space_of_task)
    for one in drawn(resolve(task)):
        assert ("passage_position" in one) == (one["passages"] > 0 and one["template"] == "plain")


def test_template_that_reads_passages_and_hides_them_is_refused(task: Path) -> None:
    hiding = OWN.replace("{{ p }}", "-")
    space_of(task, "templates:\n", f"templates:\n  own: {json.dumps(hiding)}\n")
    with pytest.raises(UserError, match=r"template 'own'.*reads passages and does not show them"):
        resolve(task)


def test_own_choices_of_a_space_stay(task: Path) -> None:
    space_of(task, "shared:\n", "shared:\n  passages: [3, 6]\n")
    resolved = resolve(task)
    assert {one["passages"] for one in drawn(resolved)} == {3, 6}
    assert all("chunk_words" in one for one in drawn(resolved))


@pytest.mark.parametrize(
    ("old", "new", "documents", "message"),
    [
        ("shared:\n", "shared:\n  passages: [0, 2]\n", None, "shared.passages: the task has no documents"),
        ("    shots:", "    passages: [2]\n    shots:", {"folder": "docs"}, "branches.prompt.passages: it belongs in"),
        ("shared:\n", "shared:\n  passages: [0]\n", {"folder": "docs"}, "of which some are above 0"),
    ],
)
def test_passages_in_the_wrong_place_are_refused(
    task: Path, old: str, new: str, documents: dict[str, str] | None, message: str
) -> None:
    space_of(task, old, new)
    with pytest.raises(UserError, match=message):
        resolve(task, [f"documents={json.dumps(documents)}"])


def test_labels_get_passages_and_no_instruction_for_texts(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(documents={"folder": str(write_documents(tmp_path / "docs"))})
    resolved = resolve(task)
    assert "documents" not in resolved.space.space.instructions
    assert {one["passages"] for one in drawn(resolved)} == {0, 2, 4, 8}


def test_without_documents_nothing_changes(make_task: MakeTask) -> None:
    resolved = resolve(make_task())
    assert {*resolved.identity()["data"]} == {"train", "dev", "validation", "test"}
    assert not any("passages" in arm.specs for arm in resolved.space.arms.values())


def test_identity_follows_names_and_contents(task: Path) -> None:
    before = resolve(task).identity()["data"]
    file = task.parent / "docs" / "arden.txt"
    text = file.read_text()
    file.write_text(text + "More.")
    changed = resolve(task).identity()["data"]
    assert {key for key in before if before[key] != changed[key]} == {"documents"}
    file.write_text(text)
    assert resolve(task).identity()["data"] == before
    file.rename(file.with_name("other.txt"))
    assert resolve(task).identity()["data"]["documents"] != before["documents"]


def _link(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")


def _linked_folder(folder: Path) -> None:
    (folder.parent / "outside").mkdir()
    (folder / "more").symlink_to(folder.parent / "outside")


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "latin": (lambda f: (f / "bad.txt").write_bytes(b"caf\xe9"), r"docs/bad.txt: it is not UTF-8 \(byte 3\)"),
    "link": (_link, "docs/link.txt: it is a link to outside of"),
    "linked folder": (_linked_folder, "docs/more: it is a link to outside of"),
    "pipe": (lambda f: os.mkfifo(f / "pipe.txt"), "docs/pipe.txt: "),
    "dangling": (lambda f: (f / "gone.txt").symlink_to(f / "nothing.txt"), "docs/gone.txt: No such file"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_in_a_folder_is_one_message_with_the_path(kind: str, task: Path) -> None:
    mistake, message = MISTAKES[kind]
    mistake(task.parent / "docs")
    with pytest.raises(UserError, match=message) as caught:
        resolve(task)
    assert caught.value.code == Exit.DATA
    assert "\n" not in str(caught.value)


def test_folder_without_documents_is_refused(task: Path) -> None:
    (task.parent / "empty").mkdir()
    (task.parent / "empty" / "blank.txt").write_text(" ... \n")
    for folder, message in (("empty", "no document in it has a word"), ("none", "missing"), ("data.jsonl", "a file")):
        with pytest.raises(UserError, match=message) as caught:
            resolve(task, [f"documents.folder={folder}"])
        assert caught.value.code == Exit.DATA


@pytest.mark.parametrize(
    ("limit", "message"),
    [("MOST_FILES", "more than 3 documents"), ("MOST_FILE_BYTES", "more than 3; split it"), ("MOST_BYTES", "in all")],
)
def test_too_much_is_refused(limit: str, message: str, task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, limit, 3)
    with pytest.raises(UserError, match=message):
        documents.read_folder(DocumentsSettings(folder="docs"), task.parent)


def test_missing_package_is_named_before_anything_is_read(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UserError, match=r"autoadapt\[retrieval\]") as caught:
        resolve(task)
    assert caught.value.code == Exit.ENVIRONMENT


def test_splits_write_what_a_job_reads(task: Path, tmp_path: Path) -> None:
    splits: Splits = resolve(task).splits
    splits.write(tmp_path / "data")
    assert documents.hash_of(splits.documents or []) == splits.hashes()["documents"]
    assert len((tmp_path / "data" / "documents.jsonl").read_text().splitlines()) == len(TOWNS)
    assert "passages" not in TEMPLATE
