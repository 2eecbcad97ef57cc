"""results.json: everything that a study has found at one moment, in one file that is whole or absent.

Every reader reads this file alone, so that options, advice, verdict and spend always belong together, also while a
search is writing. ``frontier.json``, ``frontier.csv``, ``recommendations.json`` and ``verdict.json`` are parts of it,
written for people and other programs.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from autoadapt.domain.option import Calibration, Option, RawOption, Recommendation, Spent
from autoadapt.domain.plan import Plan
from autoadapt.domain.proposal import FilledSlot
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.teacher import TeacherLabels
from autoadapt.domain.verdict import Importance, Verdict
from autoadapt.economics.queueing import scaled
from autoadapt.errors import Exit, UserError
from autoadapt.files import SpecialFileError, content_of, inert, write_atomic, write_json
from autoadapt.runs.run_folder import REBUILT

RESULTS_FILE = "results.json"


class MethodUse(StrictModel):
    """What a study spent on one method."""

    trials: int = 0
    jobs: int = 0
    device_seconds: float = 0.0


class Results(StrictModel):
    """A study at one moment."""

    version: Literal[1] = 1
    options: list[Option]
    """The frontier by falling quality, then what is shown although it is dominated (see `Option.shown_as`), then
    cascades."""
    measured: list[RawOption]
    """Every trial measured in full on this hardware, by number: what other scenarios are computed from."""
    cascades: list[RawOption] = Field(default=[])
    """Pairs of options of which the first answers where it is sure; see `study.cascading`."""
    calibration: list[Calibration] = Field(default=[])
    """Of every shown option that states confidences and was scored on test rows."""
    recommendation: Recommendation
    verdict: Verdict | None = None
    """None until the search has ended, and again while it goes on."""
    importances: list[Importance] | None = None
    """Of parameters, computed when the search ended; None: it goes on, or an earlier version has written the file."""
    plan: Plan | None = None
    """What `autoadapt plan` expected of it; None: it was not planned."""
    spent: Spent
    complete: int = 0
    stopped_early: int = 0
    failed: int = 0
    cached: int = 0
    """Trials by how they ended."""
    methods: dict[str, MethodUse] = Field(default={})
    """By name."""
    labels: TeacherLabels | None = None
    """What a teacher has labelled during the search; None: nothing."""
    slots: list[FilledSlot] = Field(default=[])
    """Instructions that were written during the search, by number of their slot."""
    given_up: list[str] = Field(default=[])
    """Methods that are searched no further on a model because all of its first trials failed alike, a sentence each."""

    @property
    def weighed(self) -> list[RawOption]:
        """All that can be recommended and deployed: trials measured in full, and cascades with their parts.

        Trained options whose weights were deleted when others dominated them, and options whose files are damaged, are
        left out.
        """
        by_trial = {raw.trial: raw for raw in self.measured}
        every = [*self.measured, *(_with_parts(raw, by_trial) for raw in self.cascades)]
        return [raw for raw in every if raw.weights_kept]


def _with_parts(raw: RawOption, by_trial: Mapping[int, RawOption]) -> RawOption:
    if raw.cascade is None:
        return raw
    return raw.model_copy(update={"parts": (by_trial[raw.cascade.first], by_trial[raw.cascade.second])})


def _without_shared_runs(raw: RawOption) -> RawOption:
    """An option without the runs and batches of a load test that another option of its serving class has."""
    if raw.load is None or raw.load.of_trial is None:
        return raw
    return raw.model_copy(update={"load": raw.load.model_copy(update={"runs": [], "batches": []})})


def _with_shared_runs(raw: RawOption, by_trial: Mapping[int, RawOption]) -> RawOption:
    """The inverse of `_without_shared_runs`."""
    if raw.load is None or raw.load.of_trial is None or raw.load.runs:
        return raw
    owner = by_trial.get(raw.load.of_trial)
    if owner is None or owner.load is None:
        return raw
    return raw.model_copy(update={"load": scaled(owner.load, raw.load.ratio, owner.trial)})


def write_results(root: Path, results: Results) -> None:
    """Writes results.json, then its parts.

    A load test that options of a serving class share is written once, with the option that was measured.
    """
    measured = [_without_shared_runs(raw) for raw in results.measured]
    write_json(root / RESULTS_FILE, results.model_copy(update={"measured": measured}))
    options = [json.loads(option.model_dump_json()) for option in results.options]
    write_json(root / "frontier.json", options)
    write_atomic(root / "frontier.csv", options_csv(options))
    write_json(root / "recommendations.json", [json.loads(results.recommendation.model_dump_json())])
    if results.verdict is not None:
        write_json(root / "verdict.json", results.verdict)
    else:
        (root / "verdict.json").unlink(missing_ok=True)


def read_results(root: Path) -> Results:
    """The results of a run folder.

    Raises:
        UserError: there are none (the message names the studies beside it), or they are damaged or of another version.
    """
    path = root / RESULTS_FILE
    try:
        results = Results.model_validate_json(content_of(path))
    except (FileNotFoundError, NotADirectoryError):
        if (root / "study.db").is_file() or (root / "trials").is_dir():
            lost = f"or {RESULTS_FILE} was lost: `autoadapt search` on its task writes it again"
            raise UserError(f"{root}: no trial was measured in full yet, {lost}", Exit.PARTIAL) from None
        known = sorted(p.parent.name for p in root.parent.glob(f"*/{RESULTS_FILE}"))[:10]
        hint = f"; studies here: {', '.join(known)}" if known else ""
        raise UserError(f"{root}: there is no study ({RESULTS_FILE} is missing){hint}") from None
    except SpecialFileError as error:
        raise UserError(f"{path}: {error.strerror}; {REBUILT}", Exit.STORAGE) from error
    except ValidationError as error:
        raise UserError(
            f"{path}: written by another version of AutoAdapt, or damaged; {REBUILT}", Exit.STORAGE
        ) from error
    by_trial = {raw.trial: raw for raw in results.measured}
    return results.model_copy(update={"measured": [_with_shared_runs(raw, by_trial) for raw in results.measured]})


def options_csv(options: Sequence[dict[str, Any]]) -> str:
    """One line per option; intervals in two columns, mappings as JSON; text that a spreadsheet would run is quoted."""
    rows = []
    for option in options:
        row: dict[str, Any] = {}
        for key, value in option.items():
            if key.endswith("_ci"):
                row[f"{key}_low"], row[f"{key}_high"] = value or (None, None)
            else:
                row[key] = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else inert(value)
        rows.append(row)
    text = io.StringIO()
    if rows:
        # the standard library's writer: pandas would add 60 MB to the search, which writes this after every trial
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
