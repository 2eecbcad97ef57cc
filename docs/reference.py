"""Fills the reference pages from the code while mkdocs builds them, so that no page repeats by hand what the code says.

A page of ``docs/reference/`` is written by hand but for lines ``<!-- generated: NAME -->``. Each of them is replaced by
what the function NAME of `GENERATORS` returns.
"""

import ast
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for every page: the page with its generated parts."""
    return MARKER.sub(lambda found: GENERATORS[found[1]](), markdown)


def cell(text: str) -> str:
    """A text as one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# keys of YAML files, from their JSON Schema


def shown_type(schema: dict[str, Any]) -> str:
    """The type that a JSON Schema allows, in words; named types as links to their table."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(shown_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {shown_type(schema['items'])}" if "items" in schema else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping of names to {shown_type(schema['additionalProperties'])}"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false", "object": "mapping"}
    return words.get(schema.get("type", ""), schema.get("type", "anything")) + limits(schema)


def limits(schema: dict[str, Any]) -> str:
    """The bounds of a number, such as `` (0 < x <= 1)``."""
    least, above = schema.get("minimum", schema.get("ge")), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    parts = [f"at least {least}" if least is not None else "", f"above {above}" if above is not None else ""]
    parts += [f"at most {most}" if most is not None else "", f"below {below}" if below is not None else ""]
    stated = ", ".join(part for part in parts if part)
    return f" ({stated})" if stated else ""


def key_rows(schema: dict[str, Any]) -> list[list[str]]:
    """One row for every key: name, type, default, meaning."""
    rows, required = [], schema.get("required", [])
    for key, field in schema.get("properties", {}).items():
        default = "required" if key in required else shown_default(field.get("default"))
        rows.append([f"`{key}`", shown_type(field), default, field.get("description", "")])
    return rows


def shown_default(value: Any) -> str:
    """A default as it would be written in YAML."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        stated = {key: item for key, item in value.items() if item not in (None, {}, [])}
        return "see its table" if stated else "-"
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def tables_of(schema: dict[str, Any], root: str) -> str:
    """A table for a model and one for every model that it refers to."""
    head, parts = ["key", "type", "default", "meaning"], []
    for name, model in [(root, schema), *schema.get("$defs", {}).items()]:
        if name != root or "properties" in model:
            parts.append(f"## {name} {{#{name.lower()}}}\n\n{model.get('description', '')}")
            parts.append(table(head, key_rows(model)) if model.get("properties") else "")
    return "\n\n".join(parts)


def task_keys() -> str:
    from autoadapt.api.schema import schema

    return tables_of(schema(), "Task")


def scenario_keys() -> str:
    from autoadapt.domain.scenario import Scenarios

    return tables_of(Scenarios.model_json_schema(), "Scenarios")


# the command line, from its commands


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command: its name, itself, and the context in which it prints its help."""
    import typer

    from autoadapt.cli.main import app

    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        context = command.context_class(command, info_name=f"autoadapt {name}")
        if hasattr(command, "commands"):
            for inner, verb in command.commands.items():
                yield f"{name} {inner}", verb, verb.context_class(verb, info_name=f"autoadapt {name} {inner}")
        else:
            yield name, command, context


def command_line() -> str:
    parts = []
    for name, command, context in commands():
        parts.append(f"## {name}\n\n{command.help}\n")
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"```text\nautoadapt {name} {usage}\n```\n")
        records = [
            [f"`{parameter.name}`", parameter.help or ""]
            for parameter in command.params
            if parameter.param_type_name == "argument"
        ]
        records += [
            [f"`{record[0]}`", record[1]]
            for parameter in command.params
            if parameter.param_type_name == "option" and (record := parameter.get_help_record(context))
        ]
        parts.append(table(["argument or option", "meaning"], records) + "\n" if records else "")
    return "\n".join(parts)


# plug-ins, from the registries


def module_line(module: ModuleType) -> str:
    """The first line of a module's documentation, without the name that stands before a colon."""
    line = (inspect.getdoc(module) or "").splitlines()[0]
    what = line.split(": ", 1)[1] if re.match(r"[()\w-]+: ", line) else line
    return what[0].upper() + what[1:]


def plugins() -> str:
    from autoadapt import shelves
    from autoadapt.registry import Registry

    parts = []
    for registry in (one for one in vars(shelves).values() if isinstance(one, Registry)):
        names = [name for name in registry.names() if registry.is_built_in(name)]
        rows = [[f"`{name}`", module_line(importlib.import_module(f"{registry.package}.{name}"))] for name in names]
        interface = f"{registry.base.__module__}.{registry.base.__name__}"
        parts.append(f"## {registry.kind.capitalize()}s\n")
        parts.append(f"Interface: `{interface}`; entry points: `{registry.package}`.\n")
        parts.append(table(["name", "what it is"], rows) + "\n")
    return "\n".join(parts).replace("Model familys", "Families of models")


def method_parameters() -> str:
    from autoadapt.shelves import METHODS

    parts = []
    for name in METHODS.names():
        method = METHODS.get(name)
        parts.append(f"### {name}\n\n{inspect.getdoc(type(method))}\n")
        needs = ", ".join(f"`{need}`" for need in method.needs) or "no capability beyond answering"
        parts.append(
            f"Needs of a model: {needs}. Kinds of answers: {', '.join(f'`{kind}`' for kind in method.answers)}.\n"
        )
        rows = key_rows(method.Params.model_json_schema())
        parts.append(
            table(["parameter", "type", "default", "meaning"], rows) + "\n" if rows else "It has no parameters.\n"
        )
        if method.branch:
            written = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in method.branch.items())
            parts.append(f"Searched where a space has no branch for it:\n\n```yaml\n{name}:\n{written}\n```\n")
    return "\n".join(parts)


def proposer_settings() -> str:
    from autoadapt.shelves import PROPOSERS

    parts = []
    for name in (one for one in PROPOSERS.names() if PROPOSERS.is_built_in(one)):
        settings = PROPOSERS.new(name, {"model": "smollm2"}).Settings
        rows = key_rows(settings.model_json_schema())
        parts.append(f"### Settings of {name}\n\n" + table(["setting", "type", "default", "meaning"], rows) + "\n")
    return "\n".join(parts)


def files_of(folder: str) -> str:
    """The files of a folder of the repository, each as it stands."""
    files = sorted((ROOT / folder).glob("*.yaml"))
    return "\n".join(f'```yaml title="{folder}/{file.name}"\n{file.read_text()}```\n' for file in files)


# documentation that stands in one place of the code


def run_folder() -> str:
    from autoadapt.runs import run_folder as module

    return f"```text\n{(inspect.getdoc(module) or '').split(chr(10), 2)[2]}\n```"


def exit_codes() -> str:
    from autoadapt import errors

    rows = []
    for name, meaning in field_strings(errors, "Exit").items():
        code = errors.Exit[name].value
        rows.append([f"`{code}`", f"`{name}`", meaning])
    return table(["code", "name", "meaning"], rows)


def field_strings(module: ModuleType, class_name: str) -> dict[str, str]:
    """The string under each field of a class, as the source has it."""
    tree = ast.parse(inspect.getsource(module))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name]
    strings = {}
    for field, under in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.Assign) and isinstance(under, ast.Expr) and isinstance(under.value, ast.Constant):
            strings[field.targets[0].id] = str(under.value.value)  # type: ignore[attr-defined]
    return strings


PYTHON_OPTIONS = (
    "{heading_level: 3, show_root_heading: false, show_root_toc_entry: false, inherited_members: true, "
    "show_attribute_values: false}"
)
"""The heading says how a user calls it, and not where it is defined."""


def dependencies() -> str:
    """The packages that AutoAdapt names itself, with the licence that each states, and what asks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[\[<>=~!; ]", text)[0]: "AutoAdapt" for text in project["dependencies"]}
    for extra, texts in project["optional-dependencies"].items():
        for name in (re.split(r"[\[<>=~!; ]", text)[0] for text in texts):
            asked.setdefault(name, f"extra `{extra}`")
    rows = [[name, licence(name), by] for name, by in sorted(asked.items()) if name != "autoadapt"]
    return table(["package", "licence", "asked for by"], rows)


def licence(package: str) -> str:
    """The licence that an installed package states, in few words."""
    try:
        stated = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return "not installed where this page was made"
    classified = [c.rsplit(" :: ", 1)[1] for c in stated.get_all("Classifier") or [] if c.startswith("License :: ")]
    text = stated.get("License-Expression") or ", ".join(classified) or stated.get("License") or "not stated"
    return text.strip().splitlines()[0][:60]


def python_names() -> str:
    import autoadapt

    parts = []
    for name in autoadapt.__all__:
        if not name.startswith("__"):
            thing = getattr(autoadapt, name)
            parts.append(f"## autoadapt.{name}\n")
            parts.append(f"::: {thing.__module__}.{thing.__qualname__}\n    options: {PYTHON_OPTIONS}\n")
    return "\n".join(parts)


GENERATORS: dict[str, Callable[[], str]] = {
    "task_keys": task_keys,
    "scenario_keys": scenario_keys,
    "command_line": command_line,
    "plugins": plugins,
    "method_parameters": method_parameters,
    "proposer_settings": proposer_settings,
    "search_space_files": lambda: files_of("search_spaces"),
    "run_folder": run_folder,
    "exit_codes": exit_codes,
    "python_names": python_names,
    "dependencies": dependencies,
}
