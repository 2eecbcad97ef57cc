"""What the pages and the README tell a reader to write is right: commands, tasks, scenarios and Python."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import DOCS, ROOT, Block, blocks

import autoadapt
from autoadapt import Study
from autoadapt.cli.main import app
from autoadapt.domain.task import Compute, Task
from autoadapt.registry import REFERENCE
from autoadapt.tasks.yaml_document import Document

COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z0-9_]+=\S+ )?autoadapt ([a-z].*?)(?: {2,}#.*)?$", re.MULTILINE)


def commands() -> list[str]:
    """Every command line of a block, without the program's name."""
    recorded = [Block(file.name, "text", "", file.read_text()) for file in (DOCS / "outputs").glob("*.txt")]
    return sorted(
        {line for block in [*blocks(), *recorded] for line in COMMAND.findall(block.text) if "..." not in line}
    )


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_docs_exist_with_these_options(line: str) -> None:
    words = [word for word in shlex.split(line.split(" > ")[0])]
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    given = {word for word in words if word.startswith("--")} - {"--help"}
    assert given <= known, f"{given - known} of `autoadapt {line}`"
    assert not hasattr(command, "commands"), f"there is no command `autoadapt {line}`"


def titled(title: str) -> list[Block]:
    """The blocks of all pages with a title."""
    return [block for block in blocks() if block.title == title]


@pytest.mark.parametrize("block", titled("task.yaml"), ids=lambda block: block.page)
def test_tasks_of_the_docs_are_tasks(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REFERENCE.findall(block.text):
        monkeypatch.setenv(name, "a value")
    (tmp_path / "task.yaml").write_text(block.text)
    Task.model_validate(Document(tmp_path / "task.yaml").values)


def test_keys_of_the_docs_are_keys_of_a_task(tmp_path: Path) -> None:
    for block in titled("in task.yaml"):
        (tmp_path / "task.yaml").write_text(block.text)
        content = Document(tmp_path / "task.yaml").values
        assert set(content) <= set(Task.model_fields), block.page
        Compute.model_validate(content.get("compute", {}))


def test_simulation_of_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = titled("simulation.py")
    exec(compile(block.text, block.page, "exec"), {})  # noqa: S102 - our own words
    assert "0.8" in capsys.readouterr().out


def test_names_of_the_python_page_exist() -> None:
    (block,) = [one for one in blocks(DOCS / "reference" / "python.md") if one.language == "python"]
    owners = {"autoadapt": autoadapt, "study": Study, "bundle": autoadapt.Bundle}
    used = [
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners
    ]
    assert len(used) > 10
    assert [name for owner, name in used if not hasattr(owners[owner], name)] == []


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("http") or (ROOT / target).exists(), target
