"""How much text prompts make a model read for each row, against prompts rendered and counted by hand."""

from statistics import fmean

import pytest
from conftest import MakeTask

from autoadapt.domain.candidate import Candidate
from autoadapt.study.prompt_lengths import PromptLengths
from autoadapt.tasks.resolve import ResolvedTask, resolve

PLAIN = {"template": "plain", "instruction": "none", "label_score": "sum"}


@pytest.fixture
def resolved(make_task: MakeTask) -> ResolvedTask:
    return resolve(make_task(methods=["prompt"]))


def prompt(resolved: ResolvedTask, **params: object) -> Candidate:
    return Candidate(method="prompt", model=resolved.task.models[0], params={**PLAIN, **params})


def test_examples_that_all_rows_share_cost_little_and_those_of_each_row_much(resolved: ResolvedTask) -> None:
    lengths = PromptLengths(resolved)
    none, same, own = (
        lengths.of(prompt(resolved, **params))
        for params in ({"shots": 0}, {"shots": 8, "selector": "random"}, {"shots": 8, "selector": "nearest"})
    )
    inputs = [len(row.input) for row in resolved.splits.validation[:24]]
    labels = sum(map(len, resolved.splits.labels or []))
    # of a row alone its input is read, what stands between it and the answer, and every label
    assert fmean(inputs) <= none.computed - labels <= fmean(inputs) + 30
    assert same.computed == pytest.approx(none.computed, abs=15), "what all prompts begin with is computed once"
    assert own.computed > none.computed + 8 * min(len(row.input) for row in resolved.splits.train)
    assert own.whole == pytest.approx(same.whole, rel=0.2)


def test_a_shortlist_offers_its_labels_alone(resolved: ResolvedTask) -> None:
    lengths = PromptLengths(resolved)
    every, two = (lengths.of(prompt(resolved, shots=0, shortlist=count, instruction="options")) for count in (0, 2))
    labels = resolved.splits.labels or []
    assert len(labels) > 2
    assert two.whole < every.whole
    assert two.computed != every.computed
