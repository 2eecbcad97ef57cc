"""What people and other programs read in a bundle: model card, prompt.yaml, requirements.txt and serve.sh."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from autoadapt.bundle.description import ADAPTER_FOLDER, MODEL_FOLDER, BundleDescription, OnnxFigures, Part
from autoadapt.domain.artifact import EXAMPLES_FILE, ArtifactDescription
from autoadapt.files import read_rows
from autoadapt.verdict.robustness import robustness_sentence

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for --max-lora-rank."""
NEEDS = {
    "words": ("numpy", "scipy", "scikit-learn"),
    "features": ("torch", "transformers", "safetensors"),
    "onnx": ("numpy", "onnxruntime", "safetensors", "transformers"),
    "prompted": ("torch", "transformers", "safetensors", "jinja2"),
    "plugin": ("autoadapt",),
    "remote": ("autoadapt",),
}
SPDX = {"Apache-2.0": "apache-2.0", "MIT": "mit"}
"""Licences as the hub writes them."""
LABEL_SCORES = {
    "sum": "The label with the greatest log-likelihood, summed over its tokens.",
    "mean": "The label with the greatest log-likelihood, averaged over its tokens.",
    "calibrated": "The label with the greatest log-likelihood, summed over its tokens, less that behind the input N/A.",
}


def write_documents(folder: Path, description: BundleDescription, artifacts: Sequence[ArtifactDescription]) -> None:
    """Writes them into a bundle that is otherwise complete.

    Args:
        folder: of the bundle.
        description: of the bundle.
        artifacts: of its parts.
    """
    for part, artifact in zip(description.parts, artifacts, strict=True):
        examples = folder / part.folder / MODEL_FOLDER / EXAMPLES_FILE
        (folder / part.folder / "prompt.yaml").write_text(prompt_yaml(part, artifact, examples), encoding="utf-8")
        if part.kind == "prompted":
            (folder / part.folder / "serve.sh").write_text(serve_script(description, part), encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(description), encoding="utf-8")
    (folder / "README.md").write_text(model_card(description), encoding="utf-8")


def prompt_yaml(part: Part, artifact: ArtifactDescription, examples: Path) -> str:
    """How a part is asked: prompt with its few-shot rows, label words, how they are scored, decoding, precision.

    Args:
        part: of the bundle.
        artifact: its description.
        examples: file of its few-shot rows.
    """
    content: dict[str, Any] = {"base_model": part.base_model, "precision": artifact.precision}
    if artifact.labels is not None:
        content |= {"labels": artifact.labels, "labels_are_scored": _how_scored(part, artifact)}
    if artifact.input_columns:
        content["input_columns"] = artifact.input_columns
    if part.kind in ("prompted", "plugin", "remote"):
        content |= {
            **({"prompt_entry": artifact.prompt.entry} if artifact.prompt.entry else {}),
            "template": LiteralScalarString(artifact.prompt.template),
            "instruction": LiteralScalarString(artifact.prompt.instruction),
            "prompt_sha256": part.prompt_sha256,
            "decoding": artifact.decoding.model_dump(mode="json"),
            "max_new_tokens": artifact.max_new_tokens,
        }
    if artifact.few_shot is not None:
        rows = [{"input": row.input, "outputs": row.outputs} for row in read_rows(examples)]
        content["few_shot"] = {**artifact.few_shot.model_dump(mode="json"), "rows": rows}
    if artifact.shortlist:
        content["shortlist"] = artifact.shortlist  # its model of words lies beside, as JSON and safetensors
    if artifact.retrieval is not None:
        content["retrieval"] = artifact.retrieval.model_dump(mode="json")  # its passages lie beside, in passages.jsonl
    lead = (
        f"# How this option is asked. predict.py and AutoAdapt read the same from {MODEL_FOLDER}/option.json and\n"
        f"# {MODEL_FOLDER}/{EXAMPLES_FILE}; a change here has no effect on them.\n"
    )
    return lead + _yaml(content)


def _how_scored(part: Part, artifact: ArtifactDescription) -> str:
    if part.kind == "words":
        return "By a linear classifier of TF-IDF vectors, or by how frequent they are in training rows."
    if artifact.multi_label and part.kind in ("features", "onnx"):
        return "Every label whose probability is at least 0.5, by a linear classifier on the model's states."
    if part.kind in ("features", "onnx"):
        return "The most probable label by a linear classifier on the model's pooled states."
    if artifact.multi_label:
        return "The model writes the labels, joined by ' | '."
    decoding = artifact.decoding
    before = " The model writes its reasoning first, and `Answer:` behind it." if decoding.reasons else ""
    before += f" Of {decoding.samples} drawn answers the one that they agree on." if decoding.samples > 1 else ""
    if part.kind == "remote":
        return f"Read off the server's answer: {decoding.label_way}.{before}"
    end = " Labels end with the end token where one label begins another." if decoding.tuned else ""
    return LABEL_SCORES[decoding.label_score] + end + before


def requirements(description: BundleDescription) -> str:
    """Packages that predict.py needs, in the versions by which the bundle was checked."""
    names = list(dict.fromkeys(name for part in description.parts for name in NEEDS[part.kind]))
    params = description.figures.params
    if params.get("shortlist") or params.get("selector") in ("nearest", "diverse"):
        names += NEEDS["words"]
    if params.get("passages"):
        names.append("bm25s")
    lines = []
    for name in dict.fromkeys(names):
        known = description.versions.get(name)
        public = known.split("+")[0] if known else None  # +cpu is a build, which an index need not have
        lines.append(f"{name}=={public}" if public else name)
    return "\n".join(lines) + "\n"


def serve_script(description: BundleDescription, part: Part) -> str:
    """A script that serves a causal model by vLLM: merged, or the adapter on its base model."""
    name = re.sub(r"[^\w.-]+", "-", description.task) or "option"
    merged = [
        "#!/bin/sh",
        "# Serves this option by vLLM's OpenAI-compatible server; prompt.yaml says how it is asked.",
        "# sh serve.sh                       the merged model",
    ]
    adapter = []
    if part.adapter_rank is not None:
        rank = next((r for r in VLLM_RANKS if r >= (part.adapter_rank or 1)), part.adapter_rank)
        merged.append("# BASE_MODEL=... sh serve.sh adapter  the adapter on its base model, which other adapters share")
        adapter = [
            'if [ "$1" = adapter ]; then',
            "  shift",
            f'  : "${{BASE_MODEL:?set it to a folder or hub id of the base model, {part.base_model}}}"',
            f'  exec vllm serve "$BASE_MODEL" --enable-lora --lora-modules "{name}=$here/{ADAPTER_FOLDER}" \\',
            f'    --max-lora-rank {rank} --dtype {_dtype(part)} "$@"',
            "fi",
        ]
    last = f'exec vllm serve "$here/{MODEL_FOLDER}" --served-model-name "{name}" --dtype {_dtype(part)} "$@"'
    return "\n".join([*merged, "set -e", 'here=$(cd "$(dirname "$0")" && pwd)', *adapter, last]) + "\n"


def _dtype(part: Part) -> str:
    return "bfloat16" if part.precision == "bf16" else "float32"


def model_card(description: BundleDescription) -> str:
    """README.md: front matter as the hub reads it, and what a person needs to know."""
    quality = description.quality
    licences = {part.licence for part in description.parts if part.licence}
    head: dict[str, Any] = {}
    if len(licences) == 1:
        licence = next(iter(licences))
        head["license"] = SPDX.get(licence, licence.lower())
    bases = [part.base_model for part in description.parts if part.kind != "words"]
    if hub := [name for name in bases if "/" in name and ":" not in name]:
        head["base_model"] = hub
    head["tags"] = ["autoadapt", *dict.fromkeys(part.method for part in description.parts)]
    head["pipeline_tag"] = "text-generation" if description.answers == "text" else "text-classification"
    result = {
        "task": {"type": head["pipeline_tag"]},
        "dataset": {"type": description.task, "name": description.task, "split": quality.split},
        "metrics": [{"type": description.metric.name, "value": round(quality.value, 4)}],
    }
    head["model-index"] = [{"name": description.task, "results": [result]}]
    return f"---\n{_yaml(head)}---\n\n" + "\n".join(_card_lines(description)) + "\n"


def _card_lines(description: BundleDescription) -> list[str]:
    lines = [f"# {description.task}", "", _sentence(description), "", *_figure_lines(description)]
    for part in description.parts:
        licence = part.licence or "not known; read the licence of the base model before you pass this on"
        if part.kind != "words":
            lines += [f"- Base model: {part.base_model}, licence {licence}; computed in {part.precision}."]
    checked = description.checked
    if checked is not None:
        lines += [
            f"- Checked at export, in a process of its own: {checked.equal} of {checked.rows} answers to "
            f"{checked.split} rows equal those of the run."
        ]
    if description.onnx is not None:
        lines += [f"- {onnx_text(description.onnx)}"]
    if any(part.kind in ("plugin", "remote") for part in description.parts):
        lines += ["", "Ask it by `autoadapt predict` or `autoadapt.Bundle`: the option needs AutoAdapt."]
        return lines
    asked = ["pip install -r requirements.txt", "python predict.py rows.jsonl > answers.jsonl"]
    lines += ["", "```", *asked, "```", ""]
    columns = " and ".join(f"`{column}`" for column in description.columns.input)
    lines += [f"A row is a JSON text, or an object with the column {columns}. `option.json` has all"]
    lines += ["figures with their intervals, hardware, versions and hashes; `prompt.yaml` says how the model is asked."]
    if any(part.kind == "prompted" for part in description.parts):
        lines += ["", "To run it by llama.cpp, whose answers must be scored anew:", "", "```"]
        for part in description.parts:
            if part.kind == "prompted":
                lines += gguf_commands((Path(part.folder) / MODEL_FOLDER).as_posix(), part.method)
        lines += ["```"]
    return lines


def _figure_lines(description: BundleDescription) -> list[str]:
    figures = description.figures
    lines = [f"- Quality: {description.quality_text}."]
    lines += [f"- Cost: ${figures.cost_usd_per_1k:.2g} for 1,000 queries, as the run has priced them."]
    if figures.latency_p95_ms is not None:
        lines += [f"- Latency: p95 {figures.latency_p95_ms:.1f} ms on {description.hardware.get('kind', 'a device')}."]
    if figures.robustness is not None:
        lines += [f"- Robustness: {robustness_sentence(figures.robustness)}"]
    return lines


def onnx_text(figures: OnnxFigures) -> str:
    """A sentence on a bundle in ONNX beside the same one in PyTorch."""
    faster = figures.torch_ms / figures.onnx_ms
    many = figures.onnx_rows_per_s / figures.torch_rows_per_s
    numbers = "integers of eight bits" if figures.int8 else "fp32"
    text = (
        f"ONNX, {numbers}: {figures.onnx_ms:.3g} ms for a single request ({figures.torch_ms:.3g} by PyTorch, "
        f"{faster:.2f} times as fast), {figures.onnx_rows_per_s:.3g} rows/s in batches of 32 "
        f"({figures.torch_rows_per_s:.3g}, {many:.2f} times), on {figures.threads} CPU threads; "
        f"{figures.bytes / 1e6:.1f} MB ({figures.bytes_before / 1e6:.1f})."
    )
    if figures.difference is not None and figures.low is not None and figures.high is not None:
        lost = [100 * number for number in (figures.difference, figures.low, figures.high)]
        text += f" Quality differs by {lost[0]:+.1f} points [{lost[1]:+.1f}, {lost[2]:+.1f}] from that in PyTorch."
    elif figures.largest_difference is not None:
        text += f" Log-probabilities differ by at most {figures.largest_difference:.1g}."
    return text


def gguf_commands(model: str, name: str) -> list[str]:
    """Commands of llama.cpp that make one file of a model that writes or scores text, with weights of four bits.

    Args:
        model: its folder.
        name: of the files.
    """
    return [
        f"python llama.cpp/convert_hf_to_gguf.py {model} --outfile {name}-bf16.gguf --outtype bf16",
        f"llama-quantize {name}-bf16.gguf {name}-q4_k_m.gguf Q4_K_M",
    ]


def _sentence(description: BundleDescription) -> str:
    methods = ", then, where that one is not sure, ".join(
        f"{part.method} on {part.base_model}" for part in description.parts
    )
    final = " It was trained once more on validation rows too." if any(p.final_fit for p in description.parts) else ""
    answers = "text" if description.labels is None else f"{len(description.labels)} labels"
    return f"Option {description.option} of an AutoAdapt search: {methods}. It answers with {answers}.{final}"


def _yaml(content: dict[str, Any]) -> str:
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.allow_unicode = True
    yaml.dump(content, text)
    return text.getvalue()
