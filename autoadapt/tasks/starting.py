"""A task file to start from: for one's own data, or the bundled example with its data."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoadapt.domain.task import NAME, RESERVED
from autoadapt.errors import UserError
from autoadapt.files import write_atomic
from autoadapt.named_models import named_folder
from autoadapt.tasks.first_look import Answers
from autoadapt.tasks.space import PACKAGE


def example_folder() -> Path:
    """Where the bundled example is: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / "examples" / "support"
    return inside if inside.is_dir() else PACKAGE.parent / "examples" / "support"


def copy_example(folder: Path) -> list[Path]:
    """Puts the bundled example, task and data, into a folder; without the model minilm where that is not here.

    Raises:
        UserError: one of its files is there already.
    """
    sources = sorted(p for p in example_folder().iterdir() if p.is_file())
    targets = [folder / p.name for p in sources]
    for target in targets:
        must_be_new(target)
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in zip(sources, targets, strict=True):
        shutil.copyfile(source, target)
        if target.name == "task.yaml" and named_folder("minilm") is None:
            target.write_text(target.read_text().replace("models: [embedded, minilm]", "models: [embedded]"))
    return targets


@dataclass(frozen=True)
class Beginning:
    """What a task file for one's own data says."""

    data: Path
    source: str
    answer: str
    """Columns with the text and with the answer."""
    answers: Answers
    models: Sequence[str]
    also: Sequence[str]
    """Further models that could be named."""
    trials: int
    hours: float
    economics: str
    """Key and value of the price of a device-hour."""
    price: str
    """Where it comes from."""
    encoding: str | None = None
    merged: Mapping[str, str] = field(default_factory=dict)
    """Labels that are read as another one."""


def write_task(folder: Path, beginning: Beginning) -> Path:
    """Writes ``task.yaml``.

    Raises:
        UserError: there is one already.
    """
    target = folder / "task.yaml"
    must_be_new(target)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(target, _text(folder, beginning))
    return target


def must_be_new(path: Path) -> None:
    """Raises a UserError where a file is there already, or where its folder would be a file."""
    if path.parent.exists() and not path.parent.is_dir():
        raise UserError(f"{path.parent} is no folder; name a folder for the files")
    if path.exists():
        raise UserError(f"{path} already exists and is left as it is; name another folder, or move the file away")


TEMPLATE = """\
# Written by `autoadapt init`. `autoadapt schema` prints the meaning of every key; `autoadapt check` checks this file.
name: {name}
data:
  path: {path}
  columns: {{input: {source}, output: {answer}}}
{further}metric: {metric}  # {says}
models: [{models}]{also}
methods: [{methods}]
search_space: quick  # joint searches more
budget: {{trials: {trials}, hours: {hours:g}}}  # or usd: 5; each is a total over resumed runs
economics: {{{economics}, queries_per_month: 100k, horizon_months: 12}}  # {price}
# constraints: {{latency_p95_ms: 400}}
seed: 0
"""


def _text(folder: Path, beginning: Beginning) -> str:
    data = beginning.data.resolve()
    try:
        path = str(data.relative_to(folder.resolve()))
    except ValueError:
        path = str(data)
    further = f"  encoding: {beginning.encoding}\n" if beginning.encoding else ""
    if beginning.merged:
        lines = [f"    {quoted(written)}: {quoted(label)}\n" for written, label in beginning.merged.items()]
        further += "  merge_labels:  # as it stands in the file: label that it is read as\n" + "".join(lines)
    also = "".join(f"\n# models that could be named too: {_comment(name)}" for name in beginning.also)
    return TEMPLATE.format(
        name=quoted(_name(beginning.data.stem)),
        path=quoted(path),
        source=quoted(beginning.source),
        answer=quoted(beginning.answer),
        further=further,
        metric=beginning.answers.metric,
        says=beginning.answers.says,
        models=", ".join(beginning.models),
        also=also,
        methods="prompt, lora, full" if beginning.answers.kind == "text" else "prompt, head, lora, full",
        trials=beginning.trials,
        hours=beginning.hours,
        economics=beginning.economics,
        price=beginning.price,
    )


def quoted(text: str) -> str:
    """A text as YAML's double-quoted scalar; what cannot be seen is written as its number."""
    escaped = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escaped.get(c, c) if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'


def _comment(text: str) -> str:
    """A text that stays on its line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _name(stem: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).strip("-._")[:58]
    return name if NAME.fullmatch(name) and name.split(".")[0].lower() not in RESERVED else f"task-{name}".strip("-")
