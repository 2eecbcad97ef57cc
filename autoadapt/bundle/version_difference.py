"""What differs between two versions of the registry: figures, parameters and the text of the prompt."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from autoadapt.bundle.description import BundleDescription, PartKind
from autoadapt.bundle.versions import Version
from autoadapt.domain.strict import StrictModel

PROMPT_FILE = "prompt.yaml"
COMPUTED_BY: dict[PartKind, str] = {
    "prompted": "PyTorch",
    "features": "PyTorch",
    "onnx": "ONNX Runtime",
    "words": "scikit-learn",
    "plugin": "AutoAdapt",
    "remote": "a server",
}


class Changed(StrictModel):
    """One thing that two versions have; None: one of them lacks it."""

    name: str
    before: Any
    after: Any


class VersionDifference(StrictModel):
    """What differs between two versions."""

    first: int
    second: int
    figures: list[Changed]
    """Quality with its interval, prices, latency and size, whether they differ or not."""
    changed: list[Changed]
    """What is trained and how, data and packages, as far as they differ."""
    prompt: list[str] = Field(default=[])
    """Lines of a unified diff of the parts' prompt.yaml; empty: they are equal."""


def version_difference(first: Version, second: Version) -> VersionDifference:
    """Compares two versions of a name.

    Raises:
        UserError: one of them is damaged.
    """
    before, after = _figures(first.description), _figures(second.description)
    return VersionDifference(
        first=first.number,
        second=second.number,
        figures=[Changed(name=name, before=before[name], after=after[name]) for name in before],
        changed=_changed(_settings(first.description), _settings(second.description)),
        prompt=_prompt_lines(first, second),
    )


def _figures(description: BundleDescription) -> dict[str, Any]:
    quality, option = description.quality, description.figures
    return {
        description.metric.name: quality.interval_text,
        "scored on": f"{quality.rows:,} {quality.split} rows",
        "USD per 1,000 queries": round(option.cost_usd_per_1k, 6),
        "p95 latency, ms": None if option.latency_p95_ms is None else round(option.latency_p95_ms, 1),
        "requests/s of a replica": None if option.requests_per_s is None else round(option.requests_per_s, 2),
        "MB": round(sum(file.bytes for file in description.files.values()) / 1e6, 1),
    }


def _settings(description: BundleDescription) -> dict[str, Any]:
    settings: dict[str, Any] = {"option": description.option, "answers with": description.labels or "text"}
    for place, part in zip(("", "second: "), description.parts, strict=False):
        settings[f"{place}method"] = part.method
        settings[f"{place}base model"] = part.base_model
        settings[f"{place}precision"] = part.precision
        settings[f"{place}computed by"] = COMPUTED_BY[part.kind]
        settings[f"{place}final fit"] = part.final_fit
    if description.cascade is not None:
        settings["cascade"] = description.cascade.model_dump()
    settings |= {f"params.{name}": value for name, value in description.figures.params.items()}
    settings |= {f"data.{split}": digest[:12] for split, digest in description.data.items()}
    settings |= {f"versions.{package}": version for package, version in description.versions.items()}
    return settings


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Changed]:
    names = dict.fromkeys([*before, *after])
    return [
        Changed(name=name, before=before.get(name), after=after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _prompt_lines(first: Version, second: Version) -> list[str]:
    lines: list[str] = []
    folders = dict.fromkeys(part.folder for version in (first, second) for part in version.description.parts)
    for folder in folders:
        file = Path(folder) / PROMPT_FILE
        before, after = _lines(first.bundle / file), _lines(second.bundle / file)
        names = [f"version {version.number}, {file.as_posix()}" for version in (first, second)]
        lines += difflib.unified_diff(before, after, names[0], names[1], lineterm="", n=1)
    return lines


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
