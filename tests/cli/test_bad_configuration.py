"""Bad configuration and command lines: each ends with its exit code and one message that says what, where and the fix.

The cases follow the line "Configuration" of the list of faults, then hostile values that once ended in an internal
error, took long, or passed. Nothing is begun and nothing is spent.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call

KEY = "hf_" + "a" * 30
"""Looks like a key, and is none."""
R = "    r: [4, 8]"
"""The line of the search space that cases replace; it is line 16 of the file."""
TEMPLATE = SPACE.splitlines()[1]


@dataclass(frozen=True)
class Case:
    """One mistake and what must be said of it."""

    name: str
    place: str
    """Where it is, as the message must say it."""
    fix: str
    """What to do, as the message must say it."""
    code: int = 2
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the task's keys."""
    more: str | bytes = b""
    """Appended to the task file, whose last line is 11."""
    content: bytes | None = None
    """In place of the task file."""
    space: str = SPACE
    sets: tuple[str, ...] = ()
    """Of ``--set``."""
    path: Callable[[Path], object] | None = None
    """Makes another path for the command in a folder."""


def ranged(spec: str) -> str:
    """The search space with another specification of lora's r."""
    return SPACE.replace(R, f"    r: {spec}")


def templated(text: str) -> str:
    """The search space with another template."""
    return SPACE.replace(TEMPLATE, f"  plain: {json.dumps(text)}")


def made(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """A path called task.yml that is made in a folder."""

    def path(folder: Path) -> Path:
        make(folder / "task.yml")
        return folder / "task.yml"

    return path


BOMB = "\n".join(["a0: &a0 [x,x]", *(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]" for i in range(1, 40))])
LISTED = (
    Case("missing file", "tsk.yaml: no such file", "did you mean", path=lambda folder: folder / "tsk.yaml"),
    Case("empty file", "task.yaml: is empty", "it should hold `key: value` lines", content=b""),
    Case("tab indent", "line 13", "indent with spaces, not tabs", more="search:\n\tleast_gain: 1\n"),
    Case("duplicate key", "line 13: 'seed'", "given twice, first in line 12; keep one", more="seed: 1\nseed: 2\n"),
    Case("unknown key", "line 8, budget.trails", "did you mean 'trials'?", changes={"budget": {"trails": 3}}),
    Case(
        "wrong type",
        "line 8, budget.trials",
        "should be a valid integer, not 'many'",
        changes={"budget": {"trials": "many"}},
    ),
    Case("nan", "line 12, seed", "should be a valid integer, not nan", more="seed: .nan\n"),
    Case("inf", "--set budget.hours", "should be a finite number", sets=("budget.hours=.inf",)),
    Case(
        "zero budget", "line 8, budget.trials", "greater than or equal to 1, not 0", changes={"budget": {"trials": 0}}
    ),
    Case("negative budget", "line 8, budget.usd", "greater than or equal to 0", changes={"budget": {"usd": -1}}),
    Case("no money", "line 8, budget", "usd must be greater than 0", changes={"budget": {"usd": 0}}),
    Case(
        "true for an int",
        "line 8, budget.trials",
        "should be a valid integer, not True",
        changes={"budget": {"trials": True}},
    ),
    Case(
        "min above max",
        "space.yaml, line 16, branches.lora.r",
        "low 8 is greater than high 4",
        space=ranged("{low: 8, high: 4}"),
    ),
    Case(
        "log range from 0",
        "space.yaml, line 16, branches.lora.r",
        "a log range must begin above 0",
        space=ranged("{low: 0, high: 4, log: true}"),
    ),
    Case("no choices", "space.yaml, line 16, branches.lora.r", "at least 1 item", space=ranged("[]")),
    Case("python tag", "line 12", "tags (!name) are not used here", more="seed: !!python/name:os.system\n"),
    Case("alias bomb", "line 12", "anchors (&name) and aliases (*name) are not used here; write it out", more=BOMB),
    Case("5,000 levels", "line 12", "nested more than 20 levels deep; write it flatter", more="x: " + "[" * 5000),
    Case(
        "50 MB", "task.yaml", "larger than 500,000 bytes, which no settings file should be", content=b"#" * 50_000_000
    ),
    Case("many nodes", "line 12", "more than 10,000 keys and values", more=f"x: [{'1, ' * 50_000}]\n"),
    Case("not UTF-8", "byte 6", "save it as UTF-8", content=b"name: \xff"),
    Case(
        "unknown metric",
        "line 3, metric",
        "did you mean 'accuracy'? Known: accuracy, bleu",
        changes={"metric": "acuracy"},
    ),
    Case(
        "contradicting constraints",
        "line 12, constraints.quality",
        "less than or equal to 1",
        more="constraints: {quality: 2}\n",
    ),
    Case(
        "contradicting prices",
        "line 9, economics",
        "found: usd_per_hour and price",
        changes={"economics": {"usd_per_hour": 1, "price": "x"}},
    ),
    Case(
        "an objective twice",
        "line 12, objectives",
        "names quality more than once",
        more="objectives: [quality, quality]\n",
    ),
    Case(
        "no feasible candidate",
        "line 7, search_space",
        "let `shots` be fewer, or add rows",
        changes={"methods": ["prompt"]},
        space=SPACE.replace("[0, 2, 4]", "[200]").replace("[2, 4]", "[200]").replace(", shots: 0", ""),
    ),
    Case(
        "a key in the file",
        "line 4",
        "looks like a secret; put it into an environment variable",
        changes={"models": [KEY]},
    ),
    Case(
        "variable that is not set",
        "line 4",
        "AUTOADAPT_NOT_SET is not set; set it",
        changes={"models": ["${AUTOADAPT_NOT_SET}"]},
    ),
    Case("name with a path", "line 1, name", "must be 1 to 64 letters, digits", changes={"name": "../../etc"}),
    Case("name of 300 characters", "line 1, name", "must be 1 to 64 letters, digits", changes={"name": "x" * 300}),
    Case("name of a device", "line 1, name", "no reserved device name", changes={"name": "CON"}),
    Case("folder", "task.yml", "not a regular file", path=made(Path.mkdir)),
    Case("named pipe", "task.yml", "not a regular file", path=made(os.mkfifo)),
    Case("device", "/dev/zero", "not a regular file", path=lambda folder: "/dev/zero"),
    Case("circle of links", "task.yml", "Too many levels of symbolic links", path=made(lambda p: p.symlink_to(p))),
    Case("version of the future", "line 12, version", "should be 1, not 9", more="version: 9\n"),
)
"""The lines of the list of faults."""
HOSTILE = (
    *(
        Case(f"unknown key {key!r}", f"line 12, {key}", "unknown key", more=f"{json.dumps(key)}: 3\n")
        for key in ("a[b]", "a(b)", "int", "str", "float", "bool", "Choices", "Range", "function-before[x]", "[x")
    ),
    *(
        Case(
            f"unknown key budget.{key}",
            f"line 8, budget.{key}",
            "Known here: trials, hours",
            changes={"budget": {"trials": 1, key: 3}},
        )
        for key in ("int", "a[b]", "Choices")
    ),
    Case("key that is a number", "line 12, 1", "a key must be text; put it in quotes", more="1: 3\n"),
    Case("empty key", "line 12, ''", "unknown key", more='"": 3\n'),
    Case(
        "unknown shared parameter",
        "shared.templat",
        "did you mean 'template'?",
        space=SPACE.replace("shared:\n", "shared:\n  templat: [plain]\n"),
    ),
    *(
        Case(f"step {spec}", "space.yaml, line 16, branches.lora.r", fix, space=ranged(spec))
        for spec, fix in (
            ("{low: 4, high: 8, step: 0}", "must be greater than 0"),
            ("{low: 4, high: 8, step: -1}", "must be greater than 0"),
            ("{low: 4, high: 8, step: 0.5}", "must be an integer"),
            ("{low: 4, high: 8, step: 100}", "greater than the range"),
            ("{low: 4.0, high: 8.0, step: 1.0e-9}", "makes more than 1,000,000 values"),
            ("{low: 4.0, high: 8.0, step: 1.0e-300}", "numbers here lie between"),
            ("{search: [4], when: {nope: 1}}", "when names 'nope', which is no earlier parameter"),
            ("{search: [4], when: {learning_rate: 1}}", "when names 'learning_rate', which is no earlier parameter"),
            (f"[1{'0' * 400}]", "numbers here lie between 1e-15 and 1e15"),
        )
    ),
    Case("bad date", "space.yaml, line 16", "put a text in quotes", space=ranged("[2020-99-99]")),
    *(
        Case(
            f"template {text[:40]}",
            "line 7, search_space: search space, template 'plain'",
            "mend the template",
            space=templated(text),
        )
        for text in (
            "{{ 1/0 }}{{ input }}",
            "{{ 1//0 }}",
            "{{ input[::0] }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% if examples %}{{ 1/0 }}{% endif %}{{ input }}",
            "{{ input | truncate(0) }}",
            '{{ input.encode("nope") }}',
            "{{ input.index('zz') }}",
            "{" * 3000,
            "{{ " + "(" * 3000 + ")" * 3000 + " }}",
            "{{",
            "{{ nope }}",
        )
    ),
    Case(
        "instruction that divides by zero",
        "instruction 'none'",
        "mend the template",
        space=SPACE.replace('none: ""', "none: '{{ 1/0 }}'"),
    ),
    *(
        Case(f"{key} {name}", f"--set {key}", fix, sets=(f"{key}={json.dumps(path)}",))
        for key in ("data.path", "search_space", "economics.price_book", "compute.recording")
        for name, path, fix in (
            ("empty", "", "is empty; name a file"),
            ("with NUL", "a\0b", "holds a NUL character"),
            ("of 5,000 characters", "x" * 5000, "is longer than 4,095 bytes"),
            ("with a long name", "a/" + "x" * 300, "longer than 255 bytes"),
        )
    ),
    *(
        Case(f"--set {text[:30]}", place, fix, sets=(text,))
        for text, place, fix in (
            ("name=2020-99-99", "--set name=2020-99-99", "put a text in quotes"),
            ("data.path=" + "[" * 20_000, "--set data.path=", "nested more than 20 levels deep"),
            ("seed=" + "9" * 5000, "--set seed=", "put a text in quotes"),
            ("seed=" + "9" * 400, "--set seed", "numbers here lie between"),
            ("budget.hours=1e308", "--set budget.hours", "numbers here lie between"),
            ("economics.queries_per_month=1e308", "--set economics.queries_per_month", "numbers here lie between"),
            (
                "economics.queries_per_month=" + "9" * 400 + "k",
                "--set economics.queries_per_month",
                "such as 10000, 10k",
            ),
            ("compute.slots=300000000", "--set compute.slots", "must be 1 to 1024, or auto"),
            ("budget..trials=3", "--set budget..trials=3", "write it as key.key=value"),
            ('name="\\ud800"', "--set name", "half of a character"),
            ('models=["server:m@http://h:99999"]', "line 4, models.0", "Port out of range"),
            ('models=["server:m@http://[::1"]', "line 4, models.0", "cannot be read"),
            ('models=["server:m@http://u:p@h/v1"]', "line 4, models.0", "give the key as remote"),
        )
    ),
)
"""Once an internal error, or passed."""


def shown(case: Case, make_task: MakeTask, verb: str = "check") -> Any:
    """What a command says of a case."""
    task: object = make_task(space=case.space, **case.changes)
    assert isinstance(task, Path)
    if case.content is not None:
        task.write_bytes(case.content)
    more = case.more if isinstance(case.more, bytes) else case.more.encode()
    task.write_bytes(task.read_bytes() + more)
    if case.path is not None:
        task = case.path(task.parent)
    return call(verb, task, *(word for text in case.sets for word in ("--set", text)))


@pytest.mark.parametrize("case", [*LISTED, *HOSTILE], ids=lambda case: case.name)
def test_mistake_ends_with_its_code_place_and_fix(case: Case, make_task: MakeTask) -> None:
    run = shown(case, make_task)
    assert run.returncode == case.code, run.stderr
    assert case.place in run.stderr
    assert case.fix in run.stderr
    assert run.stderr.startswith("autoadapt: ")
    assert run.stdout == ""
    assert KEY not in run.stderr
    assert len(run.stderr) < 2500
    assert "Traceback" not in run.stderr


# -- what looks wrong and is right


def test_numbers_labels_and_line_ends_that_are_right(make_task: MakeTask) -> None:
    task = make_task(space=SPACE.replace("1.0e-3", "1e-3").replace("5.0e-3", "5e-3"))
    assert call("check", task).returncode == 0, "1e-3 is a number"
    task.write_bytes(b"\xef\xbb\xbf" + task.read_bytes().replace(b"\n", b"\r\n"))
    assert call("check", task).returncode == 0, "a byte-order mark and CRLF"
    rows = [{"text": f"text {i}", "label": label} for i in range(80) for label in ("NO", "on", "1.0", "012")]
    (task.parent / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = call("check", task, "--set", "data.train_rows=100", "--show")
    assert shown.returncode == 0, shown.stderr
    labelled = task.read_text().replace('"label"}}', '"label"}, "labels": [NO, on, 1.0, 012]}')
    task.write_text(labelled)
    shown = call("check", task, "--show")
    assert [label in shown.stdout for label in ("- NO", "- on", "- '1.0'", "- '012'")] == [True] * 4, shown.stdout


# -- where a search would write, or has written


def test_runs_that_cannot_be_written_are_said_before_anything_runs(make_task: MakeTask, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    run = call("search", make_task(), "--runs", tmp_path / "runs")
    assert run.returncode == 4
    assert "runs/fruits: cannot be written (Not a directory)" in run.stderr


@pytest.mark.parametrize("verb", ["search", "plan"])
def test_mistake_in_the_space_ends_a_search_too(make_task: MakeTask, tmp_path: Path, verb: str) -> None:
    for space in (ranged("{low: 4, high: 8, step: 0}"), templated("{{ 1/0 }}{{ input }}")):
        run = call(verb, make_task(space=space), "--runs", tmp_path / "runs")
        assert (run.returncode, run.stdout) == (2, "")
    assert not (tmp_path / "runs").exists(), "nothing is begun"
