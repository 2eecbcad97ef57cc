"""The shape of the source: sizes that keep it readable, and the map of its rooms."""

import ast
import re
import statistics
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "autoadapt"
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_modules_are_short() -> None:
    lines = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in MODULES}
    assert {name: n for name, n in lines.items() if n > 400} == {}
    assert statistics.median(lines.values()) < 130


def test_functions_fit_a_screen() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
        if node.end_lineno - node.lineno >= 50
    ]
    assert long == []


@pytest.mark.parametrize("room", sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py")))
def test_room_says_what_it_is_for(room: str) -> None:
    first = (PACKAGE / room / "__init__.py").read_text().splitlines()[0]
    assert first.startswith('"""')
    assert first.endswith('."""'), "head -1 autoadapt/*/__init__.py is the map of the house"


def test_contributing_describes_every_room_as_it_describes_itself() -> None:
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    for room in sorted(PACKAGE.glob("*/__init__.py")):
        first = room.read_text().splitlines()[0].strip('"')
        assert re.search(rf"^\| `{room.parent.name}/`(?: \*)? \| {re.escape(first)} \|$", guide, re.MULTILINE), first


def test_contributing_names_what_stands_beside_the_rooms() -> None:
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert [name for name in sorted(modules) if f"`{name}`" not in guide] == []


def test_no_module_keeps_state_in_a_global_statement() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Global), f"{path.name} has a global statement"
