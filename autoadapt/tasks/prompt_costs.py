"""What an entry of the prompt library costs: tokens of a query, and dollars at models behind servers."""

import statistics
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from autoadapt.domain.model import ModelReference
from autoadapt.domain.prompt_entry import LABEL_TYPES, PromptEntry
from autoadapt.domain.remote import TIER_FACTORS, RemoteModel
from autoadapt.domain.strict import StrictModel
from autoadapt.model_files import tokenizer_of
from autoadapt.prompts.linting import PROBE_LABELS, lint
from autoadapt.prompts.rendering import Prompt
from autoadapt.providers.tariff import BYTES_PER_TOKEN
from autoadapt.tasks.resolve import ResolvedTask

COUNTED_ROWS = 100
"""Rows from which mean lengths are taken."""
Count = Callable[[Sequence[str]], list[int]]


class PromptCost(StrictModel):
    """Tokens of an entry without examples, as a model counts them."""

    model: str
    """Of the task; empty: of none."""
    estimated: bool
    """Whether tokens are estimated from bytes, because no tokenizer is at hand."""
    fixed_tokens: int
    """Of a prompt with an empty input: what the entry itself costs."""
    query_tokens: float | None = None
    """Of a prompt with its input, on average over validation rows; None: no task was given."""
    answer_tokens: float | None = None
    """Of an answer: the longest label, or a text on average."""
    usd_per_1k: float | None = None
    """Of 1,000 queries with their answers, none of them cached, at the prices of the model's provider; None: it bills
    no tokens."""


def prompt_costs(entry: PromptEntry, resolved: ResolvedTask | None) -> list[PromptCost]:
    """What an entry costs on every model of a task that reads prompts; without a task, one estimate.

    Args:
        entry: of the library, which can be rendered.
        resolved: the task; None: there is none.
    """
    if resolved is None:
        labels = PROBE_LABELS if entry.task_type in LABEL_TYPES else ()
        empty = Prompt(entry.bound_template, entry.bound_instruction, labels).render("")
        return [PromptCost(model="", estimated=True, fixed_tokens=estimated_tokens([empty])[0])]
    reading = [name for name, known in resolved.capabilities.items() if known.reads_prompts]
    return [_cost(entry, resolved, resolved.models[name]) for name in reading]


def fixed_tokens(entry: PromptEntry) -> int | None:
    """Tokens of a prompt with an empty input and without examples, estimated; None: it cannot be rendered."""
    if any(finding.severity == "error" for finding in lint(entry)):
        return None
    return prompt_costs(entry, None)[0].fixed_tokens


def estimated_tokens(texts: Sequence[str]) -> list[int]:
    """Tokens of texts, from their bytes."""
    return [-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts]


def _cost(entry: PromptEntry, resolved: ResolvedTask, model: ModelReference) -> PromptCost:
    remote, splits = resolved.capabilities[model.name].remote, resolved.splits
    tokenizer = None if remote or not model.location else tokenizer_of(Path(model.place))

    def count(texts: Sequence[str]) -> list[int]:
        if tokenizer is None:
            return estimated_tokens(texts)
        return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    labels, multi_label = splits.labels or [], resolved.metric.answers == "labels"
    prompt = Prompt(entry.bound_template, entry.bound_instruction, labels, multi_label)
    query = statistics.mean(count([prompt.render(row.input) for row in splits.validation[:COUNTED_ROWS]]))
    answers = count(labels) if labels else count([row.outputs[0] for row in splits.train[:COUNTED_ROWS]])
    answer = float(max(answers)) if labels else statistics.mean(answers)
    return PromptCost(
        model=model.name,
        estimated=tokenizer is None,
        fixed_tokens=count([prompt.render("")])[0],
        query_tokens=query,
        answer_tokens=answer,
        usd_per_1k=_usd_per_1k(model, query, answer) if remote else None,
    )


def _usd_per_1k(model: ModelReference, query: float, answer: float) -> float | None:
    settings = RemoteModel.model_validate(model.settings)
    if settings.price is None:
        return None
    read, written = (Decimal(repr(float(tokens))) for tokens in (query, answer))
    millionths = read * settings.price.input + written * settings.price.output
    return float(TIER_FACTORS[settings.tier] * millionths / 1000)
