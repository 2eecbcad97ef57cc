"""Options under perturbations by a real model: each variant answers as an option that was made with that prompt does."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from job_runs import TEMPLATE, JobRun, causal_lm, scripted

from autoadapt.domain.jobs import Fit, JobBase, PromptText, RobustnessTest
from autoadapt.domain.outcome import Failure, Perturbed
from autoadapt.domain.robustness import Variant
from autoadapt.prompts.rendering import literal
from autoadapt.prompts.spellings import spelling_variants

INSTRUCTION = "One of: {{ labels | join(', ') }}."
OWN = PromptText(template=TEMPLATE, instruction=INSTRUCTION)


@pytest.fixture(scope="module")
def jobs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> JobRun:
    return JobRun(tmp_path_factory.mktemp("perturbed") / "run", causal_lm(tiny_model))


@pytest.fixture(scope="module")
def fitted(jobs: JobRun) -> Fit:
    """A prompt with an instruction and four examples."""
    job = jobs.fit("prompt", params={"shots": 4, "selector": "random", "instruction": "options"}, prompt=OWN)
    jobs.measure(job)
    return job


def perturbed(jobs: JobRun, fitted: Fit, variants: Sequence[Variant], **changes: Any) -> Perturbed:
    outcome = jobs.run(job_of(fitted, variants, **changes))
    assert isinstance(outcome.result, Perturbed), outcome.result
    return outcome.result


def job_of(fitted: Fit, variants: Sequence[Variant], **changes: Any) -> RobustnessTest:
    base = {name: getattr(fitted, name) for name in JobBase.model_fields}
    return RobustnessTest(**{**base, "rows": 30, "variants": list(variants), "seconds": 60.0, **changes})


def answers(jobs: JobRun, trial: int, variant: str | None = None) -> list[str]:
    """Answers to test rows, in the split's order."""
    name = "predictions-test.jsonl" if variant is None else "predictions-perturbed.jsonl"
    lines = map(json.loads, (jobs.root / f"trials/{trial:04d}" / name).read_text().splitlines())
    return [line["answer"] for line in lines if variant is None or line["variant"] == variant]


def test_what_changes_nothing_gives_the_answers_and_scores_of_the_option_as_it_is(jobs: JobRun, fitted: Fit) -> None:
    scored = jobs.measure(jobs.score(fitted))
    same = [
        Variant(kind="label_order", name="same labels", labels=fitted.labels),
        Variant(kind="shot_order", name="same order", order=[0, 1, 2, 3]),
        Variant(kind="instruction", name="same words", instruction=literal("One of: animal, fruit, tool.")),
        Variant(kind="separators", name="same template", template=TEMPLATE),
    ]
    found = perturbed(jobs, fitted, same)
    for variant in found.variants:
        assert variant.stats == [row.stats for row in scored.rows], variant.name
        assert answers(jobs, fitted.trial, variant.name) == answers(jobs, fitted.trial)


def test_a_reworded_prompt_answers_as_an_option_that_was_made_with_it(jobs: JobRun, fitted: Fit) -> None:
    text = PromptText(template=TEMPLATE.replace("Answer:", "Reply -"), instruction="Say animal, fruit or tool!")
    variant = Variant(kind="separators", name="reworded", template=text.template, instruction=text.instruction)
    perturbed(jobs, fitted, [variant])
    other = fitted.model_copy(update={"trial": 1, "state_folder": "trials/0001", "prompt": text})
    jobs.measure(other)
    jobs.measure(jobs.score(other))
    assert answers(jobs, fitted.trial, "reworded") == answers(jobs, 1)


def test_other_draws_and_orders_of_examples_are_other_prompts(tmp_path: Path) -> None:
    # this model loses a part of its quality that depends on every character of its prompt
    jobs = JobRun(tmp_path / "run", scripted("wording=0.5,quality=0.3"))
    fitted = jobs.fit("prompt", params={"shots": 4, "selector": "random"})
    own = sum(row.stats[0] for row in (jobs.measure(fitted), jobs.measure(jobs.score(fitted)))[1].rows)
    variants = [Variant(kind="shot_draw", name=f"draw {i}", seed=i) for i in (1, 2, 3)]
    variants += [Variant(kind="shot_order", name="reversed", order=[3, 2, 1, 0])]
    found = perturbed(jobs, fitted, variants)
    right = [sum(stats[0] for stats in variant.stats) for variant in found.variants]
    assert len(right) == 4
    assert len({*right, own}) >= 4
    again = perturbed(jobs, fitted, variants)
    assert again.variants == found.variants, "a job that is repeated repeats"


def test_rows_are_perturbed_for_trained_options_too(jobs: JobRun) -> None:
    job = jobs.fit("lora", trial=2)
    jobs.measure(job)
    found = perturbed(jobs, job, spelling_variants(2))
    assert [v.name for v in found.variants] == ["typos 1", "typos 2", "lower case, no punctuation", "capital letters"]
    assert all(len(v.stats) == 30 for v in found.variants)


def test_a_prompt_that_does_not_fit_is_left_out_and_the_others_count(jobs: JobRun, fitted: Fit) -> None:
    long = Variant(kind="instruction", name="long", instruction="word " * 2000)
    found = perturbed(jobs, fitted, [long, Variant(kind="case", name="capital letters")])
    assert [v.name for v in found.variants] == ["capital letters"]
    assert "does not fit" in found.left_out["long"]
    outcome = jobs.run(job_of(fitted, [long]))
    assert isinstance(outcome.result, Failure)
    assert outcome.result.failure_class == "config"


def test_variants_for_which_there_is_no_time_are_left_out(tmp_path: Path) -> None:
    slow = JobRun(tmp_path / "run", scripted("row_seconds=0.01"))
    job = slow.fit("prompt")
    slow.measure(job)
    found = perturbed(slow, job, spelling_variants(3), seconds=0.8)
    assert 1 <= len(found.variants) < 5
    assert set(found.left_out.values()) == {"there was no time for it"}
    assert len(found.left_out) + len(found.variants) == 5


def test_a_damaged_artifact_is_a_failure(jobs: JobRun, fitted: Fit) -> None:
    file = jobs.root / fitted.artifact_folder / "examples.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    try:
        outcome = jobs.run(job_of(fitted, [Variant(kind="case", name="capital letters")]))
    finally:
        file.write_bytes(whole)
    assert isinstance(outcome.result, Failure)
    assert outcome.result.failure_class == "data"
