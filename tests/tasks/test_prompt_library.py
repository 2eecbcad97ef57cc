"""The prompt library: files, folders, and entries in a search space."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import MakeTask, call

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.prompt_entry import PromptEntry, PromptResult, PromptSettings
from autoadapt.domain.space import Choices
from autoadapt.errors import UserError
from autoadapt.shelves import METHODS
from autoadapt.surrogates.features import Features
from autoadapt.tasks.library_space import with_library
from autoadapt.tasks.prompt_library import PromptLibrary, read_entry, read_folder
from autoadapt.tasks.prompt_writing import save_entry
from autoadapt.tasks.resolve import resolve
from autoadapt.tasks.space import JointSpace, load_space

ENTRY = """\
id: mine
task_type: classify
notes: of a test
variables:
  persona: a grocer
instruction: You are {{ persona }}. Labels are {{ labels | join(', ') }}.
template: |
  {{ instruction }}
  {% for e in examples %}{{ e.input }}: {{ e.output }}
  {% endfor %}{{ input }}:
"""
RESULT = PromptResult(
    study="s", option="1", method="prompt", model="m", metric="accuracy", quality=0.5, low=0.4, high=0.6,
    split="test", rows=10, data="0123456789ab",
)  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the user's with one entry."""
    folder = tmp_path / "my_prompts"
    folder.mkdir()
    (folder / "mine.yaml").write_text(ENTRY)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: mine", "id: Not Good", "line 1, id: must be 1 to 64 small letters"),
        ("task_type: classify", "task_type: clasify", "line 2, task_type: should be 'classify'"),
        ("persona: a grocer", "input: a grocer", "line 5, variables.input: this name is taken"),
        ("persona: a grocer", "persona: 3", "line 5, variables.persona: should be a valid string"),
        ("notes: of a test", "note: of a test", "line 3, note: unknown key; did you mean 'notes'?"),
        ("notes: of a test", "\tnotes: x", "line 3: not valid YAML"),
        ("template: |", "tmplate: |", "template: missing"),
    ],
)
def test_file_that_is_no_entry_is_refused_with_line_and_key(own: Path, old: str, new: str, said: str) -> None:
    (own / "mine.yaml").write_text(ENTRY.replace(old, new))
    with pytest.raises(UserError) as refused:
        read_folder(own)
    assert said in str(refused.value)
    assert str(own / "mine.yaml") in str(refused.value)


def test_entry_is_found_by_id_and_by_version_and_hides_the_installed_one(own: Path) -> None:
    installed = PromptLibrary().find("classify-plain").entry
    (own / "plain.yaml").write_text(ENTRY.replace("id: mine", "id: classify-plain"))
    library = PromptLibrary([own])
    assert library.find("classify-plain").path == own / "plain.yaml"
    assert library.find(f"classify-plain@{installed.version[:6]}").entry == installed
    with pytest.raises(UserError, match="known versions: "):
        library.find("classify-plain@ffffffffffff")
    with pytest.raises(UserError, match="did you mean 'classify-plain'"):
        library.find("clasify-plain")
    with pytest.raises(UserError, match="no prompt has an id like 'nothing-\\*'"):
        library.matching("nothing-*")


def test_two_versions_of_an_id_need_a_version(own: Path) -> None:
    (own / "second.yaml").write_text(ENTRY.replace("a grocer", "a cook"))
    first, second = (stored.entry for stored in read_folder(own))
    library = PromptLibrary([own])
    with pytest.raises(UserError, match=f"{first.name} .*{second.name}"):
        library.find("mine")
    assert library.find(second.name).entry == second
    space = with_library(load_space("quick", own), PromptSettings(folders=["."]), own, "label")
    assert list(space.entries) == [first.name, second.name]


@pytest.mark.parametrize("folder", ["absent", "task.yaml"])
def test_folder_that_is_none_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "task.yaml").write_text("x: 1")
    with pytest.raises(UserError, match=f"{folder}: (there is no such folder|it is a file)"):
        PromptLibrary([tmp_path / folder])


# in a search space


def composed(base: Path, answers: Any = "label", **settings: Any) -> Any:
    return with_library(load_space("joint", base), PromptSettings.model_validate(settings), base, answers)


def test_space_is_the_same_without_entries(tmp_path: Path) -> None:
    assert composed(tmp_path) is not None
    assert composed(tmp_path) == composed(tmp_path, use=[]) == load_space("joint", tmp_path)


def test_auto_takes_what_suits_the_task_from_the_users_folders(own: Path) -> None:
    assert list(composed(own, folders=["."]).entries) == ["mine"]
    assert list(composed(own, "labels", folders=["."]).entries) == ["mine"]
    assert not composed(own, "text", folders=["."]).entries
    assert not composed(own, folders=["."], task_type="route").entries


def test_named_entries_become_templates_with_their_own_instruction(own: Path) -> None:
    space = composed(own, folders=["."], use=["mine", "route-*", "classify-plain"], variables={"persona": "a cook"})
    template, instruction = space.shared["template"], space.shared["instruction"]
    assert template.choices[4:] == ["mine", "route-capability", "route-desk", "route-guidelines", "classify-plain"]
    assert instruction.when == {"template": template.choices[:4]}
    assert space.entries["mine"].variables == {"persona": "a cook"}
    assert space.entries["mine"].version != read_entry(own / "mine.yaml").entry.version
    text = space.prompt({"template": "mine"})
    assert text == (space.entries["mine"].bound_template, space.entries["mine"].bound_instruction)
    assert space.prompt({"template": "plain", "instruction": "none"})[1] == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use": ["summarise-points"]}, "'summarise-points' is for summarise, and this task needs one for tasks with labels"),
        ({"use": ["clasify-plain"]}, "no prompt called 'clasify-plain': did you mean 'classify-plain'"),
        ({"use": ["mine"], "variables": {"persno": "x"}}, "variables.persno: no prompt that is used .* 'persona'"),
    ],
)  # fmt: skip
def test_entries_that_cannot_be_used_are_refused(own: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        composed(own, folders=["."], **settings)


def test_entry_with_the_name_of_a_template_or_with_a_fault_is_refused(own: Path) -> None:
    (own / "mine.yaml").write_text(ENTRY.replace("id: mine", "id: arrow"))
    with pytest.raises(UserError, match="'arrow': the search space has a template of that name"):
        composed(own, folders=["."])
    (own / "mine.yaml").write_text(ENTRY.replace("{{ persona }}", "{{ persno }}"))
    with pytest.raises(UserError, match="'mine': instruction: 'persno' is not defined"):
        composed(own, folders=["."])


def test_candidates_with_an_entry_have_no_instruction(own: Path, make_task: MakeTask) -> None:
    task = make_task(prompts={"folders": ["my_prompts"]})
    resolved = resolve(task)
    space: JointSpace = resolved.space
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    seen: dict[str, set[bool]] = {}
    for _ in range(60):
        trial = study.ask()
        candidate = space.suggest(trial)
        METHODS.get(candidate.method).Params.model_validate(candidate.params)
        assert space.candidate(trial.params) == candidate
        template = str(candidate.params["template"])
        assert ("instruction" in candidate.params) == (template != "mine")
        seen.setdefault(candidate.method, set()).add(template == "mine")
    assert all(kinds == {True, False} for kinds in seen.values())
    entry = space.space.entries["mine"]
    job = resolved._whole_job(Candidate(method="prompt", model="scripted", params={"template": "mine", "shots": 0}))
    assert (job.prompt.entry, job.prompt.template) == (entry.name, entry.bound_template)
    assert resolved.identity()["instructions"]["mine"]


def test_sampler_draws_an_instruction_with_the_other_templates_alone(own: Path, make_task: MakeTask) -> None:
    space = resolve(make_task(prompts={"folders": ["my_prompts"]})).space
    features, random = Features(space.arms, ["scripted"]), np.random.default_rng(1)
    for arm in space.arms:
        drawn = features.draw_many(arm, 30, random)
        pool = features.pool(arm, [drawn, features.move_many(arm, [features.draw(arm, random)], 30, random)])
        candidates = [pool[i] for i in range(len(pool))]
        assert {candidate.params["template"] for candidate in candidates} == {"plain", "arrow", "mine"}
        for candidate in [*candidates, *(features.move(candidate, random) for candidate in candidates)]:
            assert ("instruction" in candidate.params) == (candidate.params["template"] != "mine")
            assert len(features.columns_of(candidate)) == len(features.columns.categorical)


def test_search_space_file_names_entries(make_task: MakeTask) -> None:
    from conftest import SPACE

    named = "prompts: [classify-*, summarise-points]\n" + SPACE
    resolved = resolve(make_task(space=named))
    template = resolved.space.space.shared["template"]
    assert isinstance(template, Choices)
    assert "classify-expert" in template.choices
    assert "summarise-points" not in template.choices, "a space is for any task, which takes what suits it"
    with pytest.raises(UserError, match=r"prompts: no prompt called 'classify-nothing'"):
        resolve(make_task(space="prompts: [classify-nothing]\n" + SPACE))


# saving


def test_saving_makes_a_file_and_then_adds_results_to_it(tmp_path: Path) -> None:
    entry = PromptEntry(id="won", task_type="classify", template="{{ input }}\n  x: |", results=[RESULT])
    stored, new = save_entry(entry, tmp_path / "made" / "here")
    assert (new, stored.path.name, read_entry(stored.path).entry) == (True, "won.yaml", entry)
    stored.path.write_text("# kept\n" + stored.path.read_text())
    later = RESULT.model_copy(update={"study": "t", "params": {"shots": 4, "selector": None}})
    again, new = save_entry(entry.model_copy(update={"id": "other", "results": [RESULT, later]}), stored.path.parent)
    assert (new, again.path, len(list(stored.path.parent.iterdir()))) == (False, stored.path, 1)
    assert read_entry(stored.path).entry == entry.model_copy(update={"results": [RESULT, later]})
    assert stored.path.read_text().startswith("# kept\n")
    assert read_entry(stored.path).entry.version == entry.version


def test_saving_another_content_of_the_same_id_makes_a_second_file(tmp_path: Path) -> None:
    for template in ("{{ input }}", "{{ input }}:"):
        entry = PromptEntry(id="won", task_type="classify", template=template)
        save_entry(entry, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"won-{entry.version}.yaml", "won.yaml"]


@pytest.mark.parametrize(
    "template",
    ["  {{ input }}\n\n x ", "\t{{ input }}", "{{ input }} \n \n", "é: {{ input }} # 'x' \"y\"", "---\n{{ input }}"],
)
def test_saved_entry_is_read_as_it_was(tmp_path: Path, template: str) -> None:
    entry = PromptEntry(id="odd", task_type="rewrite", template=template, variables={"a": "no", "b": "1e3", "c": ""})
    stored, _ = save_entry(entry, tmp_path)
    assert read_entry(stored.path).entry == entry


def test_folder_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot be written") as refused:
        save_entry(PromptEntry(id="won", task_type="classify", template="{{ input }}"), tmp_path / "file")
    assert refused.value.code == 4


# the command line


def test_list_and_show(own: Path) -> None:
    listed = json.loads(call("prompts", "list", "--task-type", "classify", "--folder", own, "--json").stdout)
    assert {one["task_type"] for one in listed} == {"classify"}
    assert {"mine", "classify-plain"} <= {one["id"] for one in listed}
    assert "classify-plain" in call("prompts", "list").stdout
    shown = call("prompts", "show", "mine", "--folder", own)
    assert (shown.returncode, "variable persona: a grocer" in shown.stdout) == (0, True)
    assert json.loads(call("prompts", "show", own / "mine.yaml", "--json").stdout)["version"] in shown.stdout
    wrong = call("prompts", "list", "--task-type", "clasify")
    assert (wrong.returncode, "did you mean 'classify'" in wrong.stderr) == (2, True)


def test_lint_ends_with_2_where_there_is_an_error(own: Path, make_task: MakeTask) -> None:
    assert call("prompts", "lint", own).returncode == 0
    (own / "bad.yaml").write_text(ENTRY.replace("id: mine", "id: bad").replace("{{ persona }}", "{{ persno }}"))
    (own / "none.yaml").write_text("id: [")
    done = call("prompts", "lint", own, "--json")
    found = {Path(one["file"]).name: one for one in json.loads(done.stdout)}
    assert done.returncode == 2
    assert [f["severity"] for f in found["bad.yaml"]["findings"]] == ["error", "warning"]
    assert "not valid YAML" in found["none.yaml"]["findings"][0]["message"]
    assert (found["bad.yaml"]["costs"], found["mine.yaml"]["findings"]) == ([], [])
    assert "prompts: 1, errors: 0" in call("prompts", "lint", "classify-terse").stdout


def test_lint_with_a_task_finds_its_rows_and_counts_with_its_models(
    own: Path, make_task: MakeTask, tiny_model: Path
) -> None:
    from autoadapt.model_files import tokenizer_of
    from autoadapt.prompts.rendering import Prompt

    server = "server:m@http://127.0.0.1:9/v1"
    remote = {server: {"price": {"input": 2, "output": 4}}}
    task = make_task(models=[str(tiny_model), server], remote=remote, methods=["prompt"])
    resolved = resolve(task)
    entry, validation = read_entry(own / "mine.yaml").entry, resolved.splits.validation
    prompt = Prompt(entry.bound_template, entry.bound_instruction, resolved.splits.labels or [])
    texts = [prompt.render(row.input) for row in validation[:100]]
    done = call("prompts", "lint", own / "mine.yaml", "--task", task, "--json")
    local, hosted = json.loads(done.stdout)[0]["costs"]
    tokenizer = tokenizer_of(tiny_model)
    assert tokenizer is not None
    counts = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
    assert (local["estimated"], local["usd_per_1k"]) == (False, None)
    assert local["query_tokens"] == pytest.approx(sum(counts) / len(counts))
    read = sum(-(-len(text.encode()) // 4) for text in texts) / len(texts)
    written = max(-(-len(label) // 4) for label in resolved.splits.labels or [])
    assert hosted["usd_per_1k"] == pytest.approx((read * 2 + written * 4) * 1000 / 1e6)
    (own / "mine.yaml").write_text(ENTRY.replace("a grocer", f"a grocer. {validation[0].input}"))
    leaking = call("prompts", "lint", "mine", "--folder", own, "--task", task)
    assert leaking.returncode == 2
    assert "variables.persona: holds the input of" in leaking.stdout


def test_diff_shows_lines_and_tokens(own: Path) -> None:
    shorter = own / "shorter.yaml"
    shorter.write_text(ENTRY.replace("Labels are", "").replace("id: mine", "id: shorter"))
    done = call("prompts", "diff", "mine", "shorter", "--folder", own)
    assert "-  You are {{ persona }}. Labels are {{ labels | join(', ') }}." in done.stdout
    assert "difference: -" in done.stdout
    found = json.loads(call("prompts", "diff", own / "mine.yaml", shorter, "--json").stdout)
    assert found["first_tokens"] > found["second_tokens"]
    assert "have the same content" in call("prompts", "diff", "classify-plain", "classify-plain").stdout
