"""A task file to start from: for one's own data, or the bundled example with its data."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.files import write_atomic
from autoadapt.named_models import named_folder
from autoadapt.tasks.space import PACKAGE
from autoadapt.tasks.tables import FORMATS, list_in, records_of

INPUTS = (
    "input",
    "text",
    "prompt",
    "question",
    "message",
    "sentence",
    "review",
    "document",
    "query",
    "content",
    "body",
)
OUTPUTS = ("output", "label", "answer", "completion", "target", "category", "class", "intent", "response", "topic")
LOOKED_AT = 20_000
FEWEST_ROWS = 20


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
        _must_be_new(target)
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in zip(sources, targets, strict=True):
        shutil.copyfile(source, target)
        if target.name == "task.yaml" and named_folder("minilm") is None:
            target.write_text(target.read_text().replace("models: [embedded, minilm]", "models: [embedded]"))
    return targets


def write_task(folder: Path, data: Path, input_column: str | None, output_column: str | None) -> Path:
    """Writes ``task.yaml`` for a file of labelled rows; columns and metric are guessed where they are clear.

    Args:
        folder: where the task file goes.
        data: csv, jsonl or parquet.
        input_column: column with the text; None: guessed by its name.
        output_column: column with the answer; None: guessed by its name.

    Raises:
        UserError: there is a task file already, or the data cannot be read or understood.
    """
    target = folder / "task.yaml"
    _must_be_new(target)
    if data.suffix.lower() not in FORMATS:
        raise UserError(f"{data}: unknown kind of file; use {', '.join(FORMATS)}", Exit.DATA)
    records = []
    for _, record in records_of(data):
        records.append(record)
        if len(records) == LOOKED_AT:
            break
    if len(records) < FEWEST_ROWS:
        raise UserError(f"{data}: {len(records)} rows; give at least {FEWEST_ROWS}", Exit.DATA)
    columns = list(records[0])
    source = _column(data, columns, input_column, INPUTS, "input", None)
    answer = _column(data, columns, output_column, OUTPUTS, "output", source)
    metric, seen = _metric([r[answer] for r in records if r.get(answer) not in (None, "")])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = str(data.resolve().relative_to(folder.resolve()))
    except ValueError:
        path = str(data.resolve())
    text = TEMPLATE.format(
        name=json.dumps(_name(data.stem)),
        path=json.dumps(path, ensure_ascii=False),
        input=json.dumps(source, ensure_ascii=False),
        output=json.dumps(answer, ensure_ascii=False),
        metric=metric,
        seen=seen,
    )
    write_atomic(target, text)
    return target


TEMPLATE = """\
# Written by `autoadapt init`. `autoadapt schema` prints the meaning of every key; `autoadapt check` checks this file.
name: {name}
data: {{path: {path}, columns: {{input: {input}, output: {output}}}}}
metric: {metric}  # {seen}
models: [embedded]  # the small model of AutoAdapt, for a first run; then a local folder or a hub id, or several
methods: [prompt, lora, full]
search_space: quick  # joint searches more
budget: {{trials: 24, hours: 0.5}}  # or usd: 5; each is a total over resumed runs
economics: {{usd_per_hour: 0.10, queries_per_month: 100000, horizon_months: 12}}  # price and use
# constraints: {{latency_p95_ms: 400}}
seed: 0
"""


def _must_be_new(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path} already exists and is left as it is; name another folder, or move the file away")


def _column(
    data: Path, columns: list[str], asked: str | None, usual: tuple[str, ...], what: str, taken: str | None
) -> str:
    if asked is not None:
        if asked not in columns:
            raise UserError(f"{data}: no column '{asked}': {did_you_mean(asked, columns)}", Exit.DATA)
        return asked
    lower = {c.lower(): c for c in columns if c != taken}
    for name in usual:
        if name in lower:
            return lower[name]
    raise UserError(
        f"{data}: which column holds the {what}? It has {', '.join(columns)}. Say so with --{what} COLUMN.", Exit.DATA
    )


def _metric(values: list[Any]) -> tuple[str, str]:
    """A metric, and what was seen that led to it."""
    if not values:
        raise UserError("the output column is empty", Exit.DATA)
    if all(list_in(value) is not None for value in values):
        return "micro_f1", "rows have a set of labels each"
    answers = [str(value) for value in values]
    counts: Counter[str] = Counter(answers)
    if len(counts) <= max(2, len(answers) // 4) and max(map(len, counts)) <= 80:
        share = counts.most_common(1)[0][1] / len(answers)
        seen = f"{len(counts)} labels; the most frequent is right {share:.0%} of the time"
        return ("macro_f1" if share > 0.6 else "accuracy"), seen
    words = sum(len(a.split()) for a in answers) / len(answers)
    if words < 3:
        return "exact_match", "many different short answers"
    return "rouge_l", "free text; needs pip install 'autoadapt[text]'; alternatives: exact_match, bleu"


def _name(stem: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).strip("-._")[:60]
    return name or "task"
