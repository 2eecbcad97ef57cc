"""The verbs and their exit codes."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import SPACE, MakeTask, autoadapt, call
from remote_server import chat_server

ROOT = Path(__file__).parents[2]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['autoadapt', '--help']\n"
        "from autoadapt.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'optuna', 'datasets', 'pandas', 'scipy', 'numpy', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_nothing_is_imported_from_the_current_folder(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task()
    for name in ("random", "typing", "torch", "yaml", "psutil"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the current folder was imported')\n")
    run = autoadapt("check", task, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% set x = input %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}", "it needs more than 256 MB of memory"),
        ("{{ '{:>2000000000}'.format(1) }}{{ input }}", "is unsafe"),
    ],
)
def test_template_that_exhausts_is_refused_with_its_place(make_task: MakeTask, template: str, reason: str) -> None:
    space = SPACE.replace("templates:\n", f'templates:\n  greedy: "{template}"\n')
    run = call("check", make_task(space=space))
    assert run.returncode == 2
    assert "line 7, search_space: search space, template 'greedy', instruction 'none': prompt template: " in run.stderr
    assert reason in run.stderr


def test_check_does_not_load_torch(make_task: MakeTask) -> None:
    code = (
        f"import sys; sys.argv = ['autoadapt', 'check', {str(make_task())!r}]\n"
        "from autoadapt.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'peft', 'deepspeed'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stdout + run.stderr


def test_check_says_what_it_found(make_task: MakeTask) -> None:
    run = call("check", make_task())
    assert run.returncode == 0
    assert "ok: fruits: 98 training, 10 early-stopping, 36 validation, 30 test rows; 3 labels" in run.stdout


def test_check_show_prints_every_default_and_can_be_read_again(make_task: MakeTask, tmp_path: Path) -> None:
    shown = call("check", make_task(), "--show").stdout
    for key in ("holdout: 0.2", "sampler: cost_aware", "horizon_months: 12", "engine: auto", "usd_per_hour: 1"):
        assert key in shown
    (tmp_path / "shown.yaml").write_text(shown)
    assert call("check", tmp_path / "shown.yaml", "--show").stdout == shown


def test_schema_documents_every_key() -> None:
    schema = json.loads(call("schema").stdout)
    for name, definition in [("Task", schema), *schema["$defs"].items()]:
        for key, field in definition.get("properties", {}).items():
            assert "description" in field, f"{name}.{key}"
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        (
            {"metric": "acuracy"},
            2,
            "line 3, metric: unknown metric 'acuracy': did you mean 'accuracy'? Known: accuracy, bleu",
        ),
        ({"methods": ["prompt", "lra"]}, 2, "methods: unknown method 'lra': did you mean 'lora'"),
        ({"search": {"sampler": "tpee"}}, 2, "unknown sampler 'tpee': did you mean 'tpe'"),
        ({"compute": {"executor": "locl"}}, 2, "unknown executor 'locl': did you mean 'local'"),
        ({"search_space": "jiont"}, 2, "did you mean 'joint'"),
        ({"models": ["../nothing"]}, 2, "no such folder"),
        ({"data": {"path": "none.csv"}}, 3, "none.csv"),
        ({"data": {"path": "data.jsonl", "columns": {"input": "txt", "output": "label"}}}, 3, "did you mean 'text'"),
        ({"constraints": {"latency": 3}}, 2, "constraints.latency: unknown key; did you mean 'latency_p95_ms'"),
    ],
)
def test_mistake_ends_in_one_message(make_task: MakeTask, changes: dict[str, object], code: int, expected: str) -> None:
    task = make_task(**changes)
    run = call("search", task, "--runs", task.parent / "runs")
    assert run.returncode == code, run.stderr
    assert expected in run.stderr
    assert "Traceback" not in run.stderr
    assert not (task.parent / "runs").exists(), "nothing is begun"


def test_report_of_nothing(tmp_path: Path) -> None:
    run = call("report", tmp_path / "runs" / "x")
    assert run.returncode == 2
    assert "there is no study" in run.stderr


def test_runs_that_cannot_be_written(make_task: MakeTask, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    assert call("plan", make_task(), "--runs", tmp_path / "runs").returncode == 4
    run = call("search", make_task(), "--runs", tmp_path / "runs")
    assert run.returncode == 4
    assert "cannot be written" in run.stderr


def test_hostile_rows_are_inert_on_the_terminal_and_in_csv(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt"], budget={"trials": 1})
    lines = (task.parent / "data.jsonl").read_text()
    for i, word in enumerate(
        ("\u001b[31mred\u001b[0m", "<script>alert(1)</script>", "=cmd()", "{{ 7*7 }}", "\u200bzero")
    ):
        lines = lines.replace(f'no. {i}"', f'no. {i} {json.dumps(word)[1:-1]}"')
    (task.parent / "data.jsonl").write_text(lines)
    run = call("search", task, "--runs", task.parent / "runs")
    assert run.returncode == 0, run.stderr
    assert "\x1b[31m" not in run.stdout + run.stderr


def test_installed_from_a_wheel_the_named_spaces_are_found(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    code = (
        "from pathlib import Path; import autoadapt; from autoadapt.tasks.space import load_space\n"
        "print(autoadapt.__file__); print(sorted(load_space('joint', Path('.')).branches))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert run.returncode == 0, run.stderr
    file, branches = run.stdout.splitlines()
    assert file.startswith(str(tmp_path / "site"))
    assert branches == "['full', 'lora', 'prompt']"
    names = [re.sub(r"^autoadapt/", "", n) for n in zipfile.ZipFile(wheel).namelist()]
    for name in (
        "search_spaces/quick.yaml",
        "embedded/model.safetensors",
        "examples/support/task.yaml",
        "examples/support/scenarios.yaml",
        "price_book.yaml",
    ):
        assert name in names
    assert not [n for n in names if n.startswith(("tests", "benchmarks"))]


def test_the_bundled_example_is_in_order() -> None:
    run = call("check", ROOT / "examples" / "support" / "task.yaml")
    assert run.returncode == 0, run.stderr
    assert "8 labels" in run.stdout


def test_warm_start_from_nothing_is_refused_before_anything_runs(make_task: MakeTask, tmp_path: Path) -> None:
    run = call("search", make_task(), "--runs", tmp_path / "runs", "--warm-start", tmp_path / "nothing")
    assert run.returncode == 2
    assert "nothing: there is no study (results.json is missing)" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "runs").exists()


def test_python_m_autoadapt_is_the_command_line() -> None:
    import autoadapt as package

    run = autoadapt("--version")
    assert run.returncode == 0
    assert run.stdout.strip() == package.__version__


def test_dir_shows_the_api() -> None:
    import autoadapt as package

    assert set(dir(package)) == set(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize("remote", [False, True])
def test_search_loads_no_torch_in_the_driver(make_task: MakeTask, remote: bool) -> None:
    with chat_server() as (url, _):
        models = [f"server:m@{url}"] if remote else ["scripted"]
        search_without_torch(make_task(budget={"trials": 2}, methods=["prompt"], models=models))


def search_without_torch(task: Path) -> None:
    code = (
        f"import sys; sys.argv = ['autoadapt', 'search', {str(task)!r}, '--runs', {str(task.parent / 'runs')!r}]\n"
        "from autoadapt.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as ended: print('code', ended.code)\n"
        "print(sorted({'torch', 'transformers', 'peft', 'deepspeed', 'datasets'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-2:] == ["code 0", "[]"], run.stdout + run.stderr


def test_crash_file_is_named_and_holds_no_data(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoadapt.api import check

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("a row of the user's data")

    monkeypatch.setattr(check, "resolve_source", broken)
    run = call("check", make_task())
    assert run.returncode == 1
    path = Path(re.search(r"is in (\S+\.txt)", run.stderr).group(1))  # type: ignore[union-attr]
    text = path.read_text()
    path.unlink()
    assert "RuntimeError" in text
    assert "resolve_source" in text
    assert "a row of the user's data" not in text.replace('raise RuntimeError("a row of the user\'s data")', "")
