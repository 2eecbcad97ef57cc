"""Every way in which a model folder may be wrong: `autoadapt check` ends with the code, the place and what to do, and a
search spends nothing on it. The ids of the cases are the lines of the list of bad input. Where the other lines are tested:

gated, offline and half-downloaded models: test_hub.py
modules for LoRA that are absent: test_causal_lm.py
a model that cannot fit: test_money.py
a budget below the cheapest run: test_planning.py
a provider that answers 401, 402, 403, HTML or nothing before the first trial, and unknown prices: test_remote_search.py
refusals counted as wrong: test_remote.py
more shots than rows: test_lengths.py
files of an artifact that are links or lie outside it: test_artifacts.py
a server without a token, a foreign host, a port in use: test_serving.py
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call, labelled_rows
from safetensors.numpy import save_file
from transformers.models.auto import modeling_auto

from autoadapt.local_models.known_types import ANY, CAUSAL, types_in
from autoadapt.local_models.loading import load_tokenizer

Change = Callable[[Path], Any]
OK, USAGE, DATA = 0, 2, 3


def config(**changes: Any) -> Change:
    return in_json("config.json", **changes)


def in_json(name: str, **changes: Any) -> Change:
    def change(folder: Path) -> None:
        file = folder / name
        values = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps({**values, **changes}))

    return change


def text(name: str, content: str | bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def cut(name: str, left: int) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:left])


def gone(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def moved(name: str, to: str) -> Change:
    return lambda folder: (folder / name).rename(folder / to)


WEIGHTS = "model.safetensors"
REFUSED: dict[str, tuple[Change, str, str]] = {
    "truncated weights": (cut(WEIGHTS, -1000), "model.safetensors is damaged, or was cut off", "copy the model again"),
    "weights cut in the header": (cut(WEIGHTS, 200), "model.safetensors is damaged", "copy the model again"),
    "empty weights": (cut(WEIGHTS, 0), "model.safetensors is damaged", "copy the model again"),
    "no weights in the file": (lambda folder: save_file({}, folder / WEIGHTS), "hold no weights", "copy the model again"),
    "a shard is missing": (in_json(WEIGHTS + ".index.json", weight_map={"a": "model-00001-of-00002.safetensors"}),
                           "lacks model-00001-of-00002.safetensors", "copy the model again"),
    "damaged index": (text(WEIGHTS + ".index.json", "{"), "index.json is not valid JSON", "copy the model again"),
    "only pickled weights": (moved(WEIGHTS, "pytorch_model.bin"), "only pickled weights (pytorch_model.bin)",
                             "convert them to safetensors"),
    "no weights": (gone(WEIGHTS), "no weights (*.safetensors)", "copy the model again"),
    "no configuration": (gone("config.json"), "has no config.json", "transformers model folder"),
    "configuration cut off": (cut("config.json", 40), "config.json is not valid JSON", "copy the model again"),
    "configuration not UTF-8": (text("config.json", b'{"a": "\xff"}'), "config.json is not valid JSON", "copy the model"),
    "configuration nested": (text("config.json", "[" * 100_000), "config.json is not valid JSON", "copy the model again"),
    "configuration a list": (text("config.json", "[]"), "config.json holds a list and no object", "copy the model again"),
    "configuration a number": (text("config.json", "3"), "config.json holds a int and no object", "copy the model again"),
    "configuration null": (text("config.json", "null"), "config.json holds a NoneType and no obj", "copy the model again"),
    "unknown model_type": (config(model_type="lama"), "knows no causal language model of type 'lama'",
                           "did you mean 'llama'? Name another model, or install a version of transformers"),
    "no model_type": (config(model_type=None), "states no model_type", "copy config.json again"),
    "a model that writes no text": (config(model_type="t5"), "knows no causal language model of type 't5'",
                                    "Name another model"),
    "remote code needed": (config(auto_map={"AutoModel": "x.Model"}), "needs code of its own (auto_map in config.json)",
                           "choose a model that transformers supports itself"),
    "remote code needed by the tokenizer": (in_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.T", None]}),
                                            "needs code of its own (auto_map in tokenizer_config.json)",
                                            "choose a model that transformers supports itself"),
    "no tokenizer": (gone("tokenizer.json"), "has no tokenizer (tokenizer.json)", "copy the model again"),
    "tokenizer cut off": (cut("tokenizer.json", 500), "tokenizer.json is damaged", "copy the model again"),
    "tokenizer of nothing": (text("tokenizer.json", "{}"), "tokenizer.json is damaged", "copy the model again"),
    "settings of the tokenizer a list": (text("tokenizer_config.json", "[1]"), "tokenizer_config.json holds a list",
                                         "copy the model again"),
}  # fmt: skip


def task_on(make_task: MakeTask, model: Path, change: Change, **more: Any) -> Path:
    """A task on a changed copy of a model."""
    task = make_task(models=["model"], **more)
    shutil.copytree(model, task.parent / "model")
    change(task.parent / "model")
    return task


@pytest.mark.parametrize("line", REFUSED)
def test_a_model_that_cannot_be_used_is_refused_with_place_and_fix(
    make_task: MakeTask, tiny_model: Path, line: str
) -> None:
    change, cause, fix = REFUSED[line]
    run = call("check", task_on(make_task, tiny_model, change))
    assert run.returncode == USAGE, run.stdout + run.stderr
    assert "task.yaml, line 4, models.0: model" in run.stderr
    assert cause in run.stderr
    assert fix in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["truncated weights", "unknown model_type", "remote code needed by the tokenizer"])
def test_a_search_spends_nothing_on_such_a_model(make_task: MakeTask, tiny_model: Path, line: str) -> None:
    change, cause, _ = REFUSED[line]
    task = task_on(make_task, tiny_model, change)
    run = call("search", task, "--runs", task.parent / "runs")
    assert run.returncode == USAGE
    assert cause in run.stderr
    assert not (task.parent / "runs").exists()


def test_an_encoder_of_an_unknown_type_is_taken_for_no_language_model(make_task: MakeTask, tiny_encoder: Path) -> None:
    run = call("check", task_on(make_task, tiny_encoder, config(model_type="bart-less")))
    assert run.returncode == USAGE
    assert "knows no causal language model of type 'bart-less'" in run.stderr


@pytest.mark.parametrize(
    ("name", "place", "fix"),
    [
        ("./modle", "line 4, models.0: model './modle': no such folder", "Did you mean 'model'?"),
        ("embeded", "line 4, models.0: model 'embeded': no such folder", "Did you mean 'embedded'?"),
        ("", "--set models.0: is empty", "name a file or a folder"),
    ],
)
def test_the_nearest_name_of_a_model_is_proposed(
    make_task: MakeTask, tiny_model: Path, name: str, place: str, fix: str
) -> None:
    task = task_on(make_task, tiny_model, lambda folder: None)
    run = call("check", task, "--set", f"models=['{name}']")
    assert run.returncode == USAGE, run.stdout
    assert place in run.stderr
    assert fix in run.stderr


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ inptu }}", "template 'plain', instruction 'none': prompt template: UndefinedError: 'inptu' is undefined"),
        (
            "{% if false %}{{ input }}{% endif %}",
            "template 'plain', instruction 'none': prompt template: the result is empty",
        ),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(
    make_task: MakeTask, tiny_model: Path, template: str, says: str
) -> None:
    old = next(line for line in SPACE.splitlines() if line.startswith("  plain:"))
    run = call("check", make_task(space=SPACE.replace(old, f"  plain: {json.dumps(template)}")))
    assert run.returncode == USAGE, run.stdout
    assert says in run.stderr


def test_a_tokenizer_without_padding_and_chat_template_is_used(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    in_json("tokenizer_config.json", pad_token=None, chat_template=None)(folder)
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.pad_token == tokenizer.eos_token
    in_json("tokenizer_config.json", eos_token=None)(folder)
    assert load_tokenizer(str(folder)).pad_token_id == 0


def test_types_are_those_that_transformers_knows() -> None:
    assert types_in(CAUSAL) == set(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert types_in(ANY) == set(modeling_auto.MODEL_MAPPING_NAMES)
    assert types_in("NO_SUCH_TABLE") == frozenset()


# -- rows that are longer than the context


def long_rows(share: float) -> str:
    """Rows of which a share has about 300 tokens more than the others."""
    rows = labelled_rows(180)
    step = round(1 / share)
    return "".join(
        json.dumps({**row, "text": row["text"] + " xyzzy" * 60 * (i % step == 0)}) + "\n" for i, row in enumerate(rows)
    )


def checked_rows(make_task: MakeTask, model: Path, share: float, **more: Any) -> Any:
    task = task_on(make_task, model, config(max_position_embeddings=128), **more)
    (task.parent / "data.jsonl").write_text(long_rows(share))
    return call("check", task)


def test_rows_over_the_context_are_counted_and_refused(make_task: MakeTask, tiny_model: Path) -> None:
    run = checked_rows(make_task, tiny_model, 1 / 8)
    assert run.returncode == DATA, run.stdout
    assert "task.yaml, line 4, models.0: prompt on model with 0 shots and template 'arrow': " in run.stderr
    assert "of the prompts are longer than the context of 128 tokens (the longest has about" in run.stderr
    assert "shorten the rows, or name a model with a longer context" in run.stderr


def test_few_rows_over_the_context_are_no_error(make_task: MakeTask, tiny_model: Path) -> None:
    run = checked_rows(make_task, tiny_model, 1 / 60)
    assert run.returncode == OK, run.stderr


def test_methods_that_read_the_beginning_of_a_row_go_on_with_a_note(make_task: MakeTask, tiny_model: Path) -> None:
    run = checked_rows(make_task, tiny_model, 1 / 8, methods=["prompt", "head"])
    assert run.returncode == OK, run.stderr
    assert "  head: " in run.stdout
    assert "note: cannot be tried: prompt on model with 0 shots" in run.stdout
    assert "note: model reads at most 128 tokens: " in run.stdout
    assert "of 36 validation rows are longer (up to " in run.stdout
