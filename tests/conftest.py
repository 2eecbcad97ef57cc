"""What tests share: a tiny real model, a task made of it, the public data where it lies beside the project."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

PLUGINS = Path(__file__).parent / "plugins"
# the entry points there are found in this process and in every child of it; no test reaches for the hub
sys.path.insert(0, str(PLUGINS))
os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["COLUMNS"] = "200"

TEXTS = {
    "fruit": ["a ripe apple", "two green pears", "the sweet plum", "a bowl of cherries", "one sour lemon", "dry figs"],
    "tool": ["a rusty hammer", "the long saw", "a box of nails", "one steel wrench", "the old pliers", "a new drill"],
    "animal": ["a grey wolf", "the lazy cat", "two young deer", "a nest of owls", "one wild horse", "foxes at night"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the full counts too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    import shutil

    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="full count: run with --slow"))
        if "gpu" in item.keywords and shutil.which("nvidia-smi") is None:
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data and small models; tests that need it are skipped where it is absent."""
    root = Path(__file__).parent.parent
    folder = Path(os.environ.get("AUTOADAPT_SHARED", root.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"public data and models are not at {folder} (set AUTOADAPT_SHARED)")
    return folder


def make_model(folder: Path, chat: bool = False, layers: int = 2) -> Path:
    """A Llama of about 30,000 random weights with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    words = [t for texts in TEXTS.values() for t in texts] + [
        "Classify the text as one of: fruit, tool, animal.\n\nAnswer:"
    ]
    bpe.train_from_iterator(
        words,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<pad>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=512
    )
    if chat:
        tokenizer.chat_template = (
            "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
            "{% if add_generation_prompt %}<s>assistant: {% endif %}"
        )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a chat template."""
    return make_model(tmp_path_factory.mktemp("models") / "chat", chat=True)


def word_tokenizer(texts: list[str]) -> Any:
    """A tokenizer of the words of texts and of single characters; it puts [CLS] and [SEP] around a text or a pair."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = [chr(c) for c in range(33, 127)]
    words = sorted({word for text in texts for word in text.split() if len(word) > 1})
    vocabulary = [*special, *alphabet, *(f"##{c}" for c in alphabet), *words]
    pieces = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=pieces, model_max_length=128, **names)


def make_encoder(folder: Path, kind: str = "bert", **changes: object) -> Path:
    """An encoder of random weights with a tokenizer of its own; `kind` is a type of transformers."""
    import torch
    from transformers import AutoConfig, AutoModel

    tokenizer = word_tokenizer([t for texts in TEXTS.values() for t in texts])
    torch.manual_seed(0)
    settings: dict[str, object] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    model = AutoModel.from_config(AutoConfig.for_model(kind, **{**settings, **changes}))
    if hasattr(model, "pooler"):
        model.pooler = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny BERT."""
    return make_encoder(tmp_path_factory.mktemp("models") / "tiny-bert")


def labelled_rows(count: int) -> list[dict[str, str]]:
    """Distinct labelled texts, learnable by a tiny model."""
    rows, labels = [], list(TEXTS)
    for i in range(count):
        label = labels[i % 3]
        texts = TEXTS[label]
        rows.append({"text": f"{texts[(i // 3) % len(texts)]} no. {i}", "label": label})
    return rows


SPACE = """\
templates:
  plain: "{{ instruction }}\\n{% for e in examples %}{{ e.input }}\\nAnswer: {{ e.output }}\\n\\n{% endfor %}{{ input }}\\nAnswer:"
  arrow: "{% for e in examples %}{{ e.input }} => {{ e.output }}\\n\\n{% endfor %}{{ input }} =>"
instructions:
  none: ""
  options: "{% if labels %}One of: {{ labels | join(', ') }}.{% endif %}"
shared:
  template: [plain, arrow]
  instruction: [none, options]
branches:
  prompt:
    shots: [0, 2, 4]
    selector: {search: [random, balanced, nearest], when: {shots: [2, 4]}}
    label_score: {search: [sum, mean, calibrated], when: {answers: label}}
  lora:
    r: [4, 8]
    learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
    num_train_epochs: {low: 2, high: 3}
    batch_size: [8, 16]
  full:
    learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
    num_train_epochs: {low: 2, high: 10}
    batch_size: [4, 8]
first:
  - {method: prompt, template: plain, instruction: options, shots: 0}
  - {method: lora, r: 8, learning_rate: 5.0e-3}
  - {method: full, learning_rate: 5.0e-3, num_train_epochs: 10}
"""

EVALUATION = {
    "rows": 36,
    "test_rows": 30,
    "latency_requests": 60,
    "load_requests": 0,
    "onnx": False,
    "robustness": False,
    "learning_curve": False,
    "final_fit": False,
}

MakeTask = Callable[..., Path]


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Writes data, search space and task file of a scripted model; keyword arguments replace lines of the task.

    The scripted model (tests/plugins) answers from a table: searches run as they are, in workers of their own, without
    torch.
    """
    return task_writer(tmp_path, "scripted")


@pytest.fixture
def make_real_task(tmp_path: Path, tiny_model: Path) -> MakeTask:
    """The same with the tiny real model."""
    return task_writer(tmp_path, str(tiny_model))


def task_writer(folder: Path, model: str) -> MakeTask:
    """Writes data, search space and task file into a folder."""

    def make(rows: int = 180, space: str = SPACE, **changes: object) -> Path:
        (folder / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in labelled_rows(rows)))
        (folder / "space.yaml").write_text(space)
        task: dict[str, object] = {
            "name": "fruits",
            "data": {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
            "metric": "accuracy",
            "models": [model],
            "methods": ["prompt", "lora", "full"],
            "floor": False,
            "search_space": "space.yaml",
            "budget": {"trials": 6},
            "economics": {"usd_per_hour": 1},
            "evaluation": {**EVALUATION},
            "compute": {"on_cpu": True},
            **changes,
        }
        file = folder / "task.yaml"
        file.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in task.items() if v is not None))
        return file

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task of a finished search in this process on a scripted model: runs/fruits beside it is the run folder.

    The search has had scores on test rows, a load test and a final fit. Tests leave the folder as it is.
    """
    from autoadapt import Study
    from autoadapt.api.search import run_search
    from autoadapt.errors import Exit

    evaluation = {"rows": 36, "test_rows": 30, "latency_requests": 10, "load_requests": 10, "load_seconds": 0.2}
    folder = tmp_path_factory.mktemp("finished")
    task = task_writer(folder, "scripted")(
        budget={"trials": 4},
        compute={"on_cpu": True, "executor": "inline"},
        evaluation={**evaluation, "learning_curve": False, "final_fit": True},
    )
    code, root = run_search(task, runs=folder / "runs")
    assert code == Exit.OK
    Study.load(root).report()
    return task


def slow_after(count: int, cases: Iterable[Any]) -> list[Any]:
    """Cases for `parametrize`: those after the first ones run with --slow alone.

    Args:
        count: how many run always.
        cases: values of one parameter, or tuples with those of several.
    """
    listed = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=[pytest.mark.slow] if i >= count else []) for i, case in enumerate(listed)]


def autoadapt(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "autoadapt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        **options,  # type: ignore[call-overload]
    )


def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Runs the command line in this process, which is faster; workers are processes of their own all the same."""
    from autoadapt.cli.main import main

    out, error, before = io.StringIO(), io.StringIO(), sys.argv
    code: Any = 0
    sys.argv = line = ["autoadapt", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(line, int(code or 0), out.getvalue(), error.getvalue())


def environment(**more: str) -> dict[str, str]:
    """The environment of a child."""
    return {**os.environ, **more}


HOSTILE = (
    "<script>document.title = 'hacked'</script>",
    "</script><img src=x onerror=\"document.title = 'hacked'\">",
    "=cmd('rm')",
    "{{ 7*7 }}",
    "\x1b[31mred\x07",
    "zero\u200bwidth \u202eturned",
    "<!-- <script> & \u2028 line",
)
"""Put into rows, labels and names: text everywhere, whatever shows it."""


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The run folder of a finished search on rows that mean harm, with a failed trial, a learning curve, further seeds, load."""
    folder = tmp_path_factory.mktemp("hostile")
    labels = {"fruit": "<b>fruit</b>", "tool": "tool & co", "animal": "animal"}
    rows = [
        # three of four rows are harmless, so that trained options learn the labels and are better than prompts
        {"text": r["text"] if i % 4 else f"{r['text']} {' '.join(HOSTILE)}", "label": labels[r["label"]]}
        for i, r in enumerate(labelled_rows(180))
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    space = SPACE.replace("arrow", '"<img src=x onerror=alert(1)>"')
    space = space.replace("branches:\n", "branches:\n  faulty:\n    fault: [nan]\n")
    (folder / "space.yaml").write_text(space.replace("first:\n", "first:\n  - {method: faulty, fault: nan}\n"))
    task = {
        "name": "hostile",
        "data": {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
        "metric": "accuracy",
        "models": [str(tiny_model)],
        "search_space": "space.yaml",
        "methods": ["prompt", "lora", "full", "faulty"],
        "floor": False,
        "budget": {"trials": 7},
        # few queries: training makes tuned options dearer than prompts, so that the frontier has both whatever the timing
        "economics": {"usd_per_hour": 1, "queries_per_month": 20},
        "constraints": {"latency_p95_ms": 2000},
        "evaluation": {
            "rows": 36,
            "test_rows": 36,
            "latency_requests": 60,
            "load_requests": 20,
            "load_seconds": 1,
            "seeds": 2,
            "robustness_variants": 2,
            "robustness_rows": 20,
        },
        "compute": {"on_cpu": True},
    }
    (folder / "task.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in task.items()))
    done = autoadapt("search", folder / "task.yaml", "--runs", folder / "runs", "--track", "mlflow")
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder / "runs" / "hostile"


BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium here: .ci/run installs it")
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=[*flags, "--disable-component-update"])
        yield opened
        opened.close()
