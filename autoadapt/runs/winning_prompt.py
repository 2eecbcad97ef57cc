"""The best prompt of a run as an entry of the prompt library, with what was measured of it."""

import hashlib
import json
import re
from typing import Literal

from pydantic import ValidationError

from autoadapt.domain.jobs import PromptText
from autoadapt.domain.option import RawOption
from autoadapt.domain.prompt_entry import VERSION_DIGITS, PromptEntry, PromptResult, TaskType
from autoadapt.errors import Exit, UserError
from autoadapt.prompts.rendering import names_read
from autoadapt.runs.run_folder import REBUILT
from autoadapt.runs.study import Study
from autoadapt.runs.trials import fits_of
from autoadapt.shelves import METHODS, METRICS

LONGEST_NAME = 50
"""Characters of a study's name in the id of an entry."""


def winning_prompt(study: Study, number: int | None = None, task_type: TaskType | None = None) -> PromptEntry:
    """An entry of the prompt that an option has been asked with, with one result: that of the option.

    Args:
        study: in which it was measured.
        number: of the option's trial; None: the best one by validation rows of those that train nothing.
        task_type: of an entry that is new; None: what the task says, or classify where answers are labels.

    Raises:
        UserError: there is no such option, or no prompt was measured.
    """
    raw = _best(study) if number is None else study.raw(number)
    if raw is None or "template" not in raw.params:
        known = ", ".join(str(one.trial) for one in study.raws if "template" in one.params) or "none"
        what = "no prompt was measured in full" if number is None else f"trial {number} has no prompt"
        raise UserError(f"{study.root}: {what}; trials with one: {known}", Exit.DATA)
    fits = fits_of(study.root, raw.trial)
    if not fits:
        raise UserError(f"{study.root}: the jobs of trial {raw.trial} are missing; {REBUILT}", Exit.STORAGE)
    entry = _entry(study, str(raw.params["template"]), fits[-1][0].prompt, task_type)
    return entry.model_copy(update={"results": [_result(study, raw)]})


def _best(study: Study) -> RawOption | None:
    prompts = [raw for raw in study.raws if "template" in raw.params and METHODS.get(raw.method).prompts_alone]
    return max(prompts, key=lambda raw: raw.quality_expected, default=None)


def _entry(study: Study, name: str, prompt: PromptText, task_type: TaskType | None) -> PromptEntry:
    """The entry of the library that was used; a new one where the prompt is none, or has another instruction."""
    used = _used(study, name)
    if used is not None and used.bound_template == prompt.template:
        if used.bound_instruction == prompt.instruction:
            return used
        return _with_own_id(study, used.model_copy(update={"instruction": prompt.instruction, "notes": _notes(study)}))
    shown = "instruction" in names_read(prompt.template)
    entry = PromptEntry(
        id="new",
        task_type=task_type or _task_type(study),
        template=prompt.template,
        instruction=prompt.instruction if shown else "",
        notes=_notes(study),
    )
    return _with_own_id(study, entry)


def _used(study: Study, name: str) -> PromptEntry | None:
    stored = (study.lock.get("prompts") or {}).get(name)
    if stored is None:
        return None
    try:
        return PromptEntry.model_validate({key: value for key, value in stored.items() if key != "version"})
    except ValidationError:
        return None


def _with_own_id(study: Study, entry: PromptEntry) -> PromptEntry:
    """An entry whose id is made of the study's name and its content, so that other contents have other ids."""
    name = re.sub(r"[^a-z0-9_.-]", "-", study.task.name.lower())[:LONGEST_NAME]
    return entry.model_copy(update={"id": f"{name}-{entry.version}"})


def _notes(study: Study) -> str:
    return f"From a search of the task {study.task.name}."


def _task_type(study: Study) -> TaskType:
    if study.task.prompts.task_type is not None:
        return study.task.prompts.task_type
    if METRICS.get(study.task.metric.name).answers == "text":
        raise UserError(
            f"{study.root}: the task does not say what kind of task it is; give --task-type, such as summarise"
        )
    return "classify"


def _result(study: Study, raw: RawOption) -> PromptResult:
    quality, (low, high) = raw.best_known_quality
    split: Literal["test", "validation"] = "validation" if raw.test_quality is None else "test"
    hashes = json.dumps(study.lock["identity"]["data"], sort_keys=True)
    return PromptResult(
        study=study.task.name,
        option=str(raw.trial),
        method=raw.method,
        model=raw.model,
        params={name: value for name, value in raw.params.items() if name not in ("template", "instruction")},
        metric=study.task.metric.name,
        quality=quality,
        low=low,
        high=high,
        split=split,
        rows=raw.rows if raw.test_quality is None else raw.test_rows,
        data=hashlib.sha256(hashes.encode()).hexdigest()[:VERSION_DIGITS],
    )
