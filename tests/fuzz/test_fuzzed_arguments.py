"""Command lines with random mistakes: values, options and their order, of every command."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exporting import words_bundle
from hypothesis import strategies as st
from mutations import SCENARIOS, as_yaml, numbers, texts, values, yaml_lines
from promise import run_limited, try_cases
from typer.main import get_command

from autoadapt.cli.main import app
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Task

LINES: tuple[tuple[str, ...], ...] = (
    ("check", "task.yaml", "--set", "budget.trials=3", "--set", "evaluation.rows=40", "--show"),
    ("check", "task.yaml"),
    # a wrong task file, so that nothing is begun whatever the other arguments are
    ("search", "wrong.yaml", "--set", "budget.trials=3", "--runs", "runs", "--warm-start", "run", "--json"),
    ("plan", "wrong.yaml", "--set", "budget.trials=3", "--runs", "runs", "--json"),
    ("plan", "--help"),
    ("report", "run", "--output", "report.html", "--all"),
    ("report", "run", "--json"),
    ("recommend", "run", "--quality", "0.1", "--latency-p95-ms", "100", "--cost-usd-per-1k", "3", "--memory-mb", "900"),
    (
        "recommend",
        "run",
        "--weights",
        "quality=2,cost=1,latency=1",
        "--training-usd",
        "1",
        "--artifact-mb",
        "9",
        "--json",
    ),
    ("recommend", "run", "--knee"),
    ("compare", "run", "scenarios.yaml", "--figure", "figure.html", "--x", "cost", "--y", "quality"),
    ("compare", "run", "--scenario", "volume=10k,price=2.69,latency_p95_ms=400", "--json"),
    ("compare", "run", "--scenario", "volume=1000/10k/100k,hosting=always_on,peak_factor=3", "--csv"),
    ("frontier", "run", "run", "--export", "trials.csv", "--against", "latency"),
    ("frontier", "run", "--json"),
    ("export", "run", "made", "--option", "1", "--json"),
    ("predict", "bundle", "rows.jsonl", "--output", "answers.csv", "--quiet"),
    ("evaluate", "bundle", "rows.jsonl", "--against", "bundle", "--json"),
    (
        "serve",
        "missing",
        "--host",
        "127.0.0.1",
        "--port",
        "8123",
        "--seconds",
        "1",
        "--waiting",
        "2",
        "--body-bytes",
        "99",
    ),
    ("latency", "http://127.0.0.1:9/v1", "--model", "m", "--prompts", "missing.txt", "--rate", "1", "--requests", "3"),
    ("prices", "h100", "--json"),
    ("prices", "--token", "gpt-5-mini", "--book", "prices.yaml"),
    ("init", "new", "--data", "rows.jsonl", "--input", "text", "--output", "label", "--encoding", "utf-8"),
    ("init", "new"),
    ("registry", "list", "fruits", "--json"),
    ("registry", "promote", "fruits", "1", "--alias", "production"),
    ("registry", "rollback", "fruits", "--alias", "production"),
    ("schema",),
    ("--version",),
)
FOUND: tuple[tuple[str, ...], ...] = (
    ("check", "task.yaml", "--set"),
    ("report", "run", "--all", "--output", "a[/b].html"),
    ("report", "run", "--all", "--output", "\x9b31m.html"),
)
"""Command lines that once ended otherwise."""
NEVER = ("--open", "--push", "--track")
"""Options that would open a browser or reach for a server."""


COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
FLAGS = {
    name
    for command in COMMANDS.values()
    for known in command.params
    if getattr(known, "is_flag", False)
    for name in known.opts
}
NUMERIC = (
    "--quality",
    "--latency-p95-ms",
    "--cost-usd-per-1k",
    "--training-usd",
    "--memory-mb",
    "--artifact-mb",
    "--rate",
)
NUMERIC = (*NUMERIC, "--requests", "--max-tokens", "--seconds", "--port", "--waiting", "--body-bytes", "--option")
FIRST_FREE = {"search": 2, "plan": 2, "serve": 2, "registry": 2}
"""Command -> place of the first argument that may change: a search or a server must not begin its work."""


def options_of(name: str) -> list[str]:
    """Options of a command."""
    known = COMMANDS[name].params if name in COMMANDS else ()
    options = {option for parameter in known for option in parameter.opts}
    return sorted(option for option in options if option.startswith("-") and option not in NEVER)


def keys_below(schema: dict[str, Any], part: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of a task."""
    for key, inner in part.get("properties", {}).items():
        yield prefix + key
        for choice in (inner, *inner.get("anyOf", ())):
            if "$ref" in choice:
                yield from keys_below(schema, schema["$defs"][choice["$ref"].rsplit("/", 1)[-1]], f"{prefix}{key}.")


SCHEMA = Task.model_json_schema()
KEYS = sorted(keys_below(SCHEMA, SCHEMA))


def settings_of(keys: list[str], sign: str = "=") -> st.SearchStrategy[str]:
    """A key with a value, such as ``--set`` and ``--scenario`` take."""
    said = values().map(as_yaml) | texts() | values().map(str)
    return st.builds(lambda key, value: f"{key}{sign}{value}", st.sampled_from(keys) | texts(), said)


def arguments() -> st.SearchStrategy[str]:
    """Something that an argument may wrongly be."""
    scenarios = st.lists(settings_of(sorted(Scenario.model_fields)), min_size=1, max_size=3).map(",".join)
    weights = st.lists(settings_of(["quality", "cost", "latency", "latency_ms"]), min_size=1, max_size=3).map(",".join)
    paths = st.sampled_from(
        ["run", "bundle", "rows.jsonl", "task.yaml", "prices.yaml", ".", "run/results.json", "new/x/y.csv"]
    )
    said = texts() | values().map(str) | settings_of(KEYS) | scenarios | weights | paths
    return said.map(kept_here)


def kept_here(text: str) -> str:
    """A path that may be written to lies below the working folder, whatever the text is."""
    inside = text.startswith(("/dev/null", "/proc/")) or not text.startswith(("/", "~", ".."))
    return text if inside else f"x{text}"


CHANGES = ("value",) * 8 + ("option", "option", "insert", "drop", "twice", "join")
"""Of a command line; mostly of a value, because a command that does not exist is refused before anything is read."""


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, ...]:
    """A command line with one to three changes."""
    line = list(draw(st.sampled_from(LINES)))
    # mostly the first argument stays: a folder that does not exist is refused before anything else is read
    first = FIRST_FREE.get(line[0], draw(st.sampled_from([1, 2, 2, 2])))
    for _ in range(draw(st.integers(1, 3))):
        places = range(min(first, len(line)), len(line))
        change = draw(st.sampled_from(CHANGES)) if places else "insert"
        place = draw(st.sampled_from(places)) if places else len(line)
        if change == "value":
            valued = [place for place in places if not line[place].startswith("--")] or [place]
            place = draw(st.sampled_from(valued))
            line[place] = draw(fitting(line[place - 1]))
        elif change == "option":
            option = draw(st.sampled_from(options_of(line[0]) or ["--help"]))
            line += [option] if option in FLAGS else [option, draw(fitting(option))]
        elif change == "insert":
            line.insert(place, draw(arguments()))
        elif change == "drop":
            del line[place]
        elif change == "twice":
            line += line[place : place + 2]
        else:
            line[place] = f"{line[place]}={draw(arguments())}"
    return tuple(line)


def fitting(option: str) -> st.SearchStrategy[str]:
    """What may stand behind an option: often something that begins as it should."""
    if option in NUMERIC:
        return numbers().map(str) | numbers().map(str) | arguments()
    if option == "--set":
        return settings_of(KEYS) | arguments()
    if option == "--scenario":
        return st.lists(settings_of(sorted(Scenario.model_fields)), min_size=1, max_size=3).map(",".join) | arguments()
    if option == "--weights":
        return st.lists(settings_of(["quality", "cost", "latency"]), min_size=1, max_size=3).map(",".join) | arguments()
    return arguments()


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with all that the command lines name, other than what must be missing or wrong."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(finished.parent / "runs" / "fruits", folder / "run")
    shutil.copytree(words_bundle(tmp_path_factory.mktemp("bundles")), folder / "bundle")
    for name in ("task.yaml", "data.jsonl", "space.yaml"):
        shutil.copy(finished.parent / name, folder)
    shutil.copy(folder / "data.jsonl", folder / "rows.jsonl")
    (folder / "wrong.yaml").write_text("name: wrong\nmetric: [\n")
    (folder / "scenarios.yaml").write_text(yaml_lines(SCENARIOS))
    (folder / "prices.yaml").write_text("version: 1\ntokens: []\ndevices: []\n")
    return folder


def hold(whole: Path, line: tuple[str, ...]) -> None:
    """Runs the command line in a copy of the folder, some folders deep."""
    with tempfile.TemporaryDirectory(prefix="case") as made:
        folder = Path(made) / "a" / "b"
        folder.mkdir(parents=True)
        for path in whole.iterdir():
            if path.name in line and path.is_dir():
                shutil.copytree(path, folder / path.name)
            elif path.is_file():
                shutil.copy(path, folder)
        run_limited(folder, *line)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_command_lines(whole: Path, count: int) -> None:
    try_cases(count, cases(), lambda line: hold(whole, line), FOUND)
