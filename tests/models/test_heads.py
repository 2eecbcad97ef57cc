"""Heads: features equal a plain computation, a fit equals scikit-learn's, and features are computed once in a run."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model, slow_after
from job_runs import DEVICES, JobRun, causal_lm, encoder, quality

from autoadapt.domain.params import HeadParams
from autoadapt.local_models import feature_cache, texts
from autoadapt.local_models.feature_cache import (
    CachedFeatures,
    cache_file,
    content_hash,
    features_of,
    joined,
)
from autoadapt.local_models.features import Features, compute_features
from autoadapt.local_models.logistic_regression import fit_head
from autoadapt.local_models.texts import Encoded
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.raw_text import raw_text_reader
from autoadapt.models.encoder.encoder_model import input_reader, load
from autoadapt.worker.artifacts import load_artifact
from autoadapt.worker.measuring import rows_of
from autoadapt.worker.workshop import Workshop

TEXTS = ["a ripe apple", "x", "the long saw and two wrenches in a box of nails"]


@pytest.fixture(params=["encoder", "causal_lm"])
def jobs(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_model: Path, tmp_path: Path) -> JobRun:
    models = {"encoder": encoder(tiny_encoder), "causal_lm": causal_lm(tiny_model)}
    return JobRun(tmp_path / "run", models[request.param])


# -- features


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize(("depth", "layer"), [(1.0, 3), (0.7, 2), (0.3, 1)])
@torch.no_grad()
def test_features_of_an_encoder_equal_a_plain_computation(
    tiny_encoder: Path, pooling: str, depth: float, layer: int
) -> None:
    lm = load(str(tiny_encoder), "cpu")
    found = Features(lm, pooling, depth).of([input_reader(lm, [])(text) for text in TEXTS])
    for text, vector in zip(TEXTS, found, strict=True):
        states = lm.model(**lm.tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[layer][0]
        expected = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)
    assert len(lm.model.encoder.layer) == 3, "the model is as it was"


@pytest.mark.parametrize("pooling", ["mean", "last"])
@torch.no_grad()
def test_features_of_a_causal_model_equal_a_plain_computation(tiny_model: Path, tmp_path: Path, pooling: str) -> None:
    lm = language_model.load(str(tiny_model), "cpu")
    read = raw_text_reader(lm)
    short = language_model.load(str(make_model(tmp_path / "short", layers=2)), "cpu")
    short.model.model.layers = short.model.model.layers[:1]
    for depth, plain in ((1.0, lm), (0.5, short)):
        found = Features(lm, pooling, depth).of([read(text) for text in TEXTS])
        for text, vector in zip(TEXTS, found, strict=True):
            states = plain.model.model(torch.tensor([read(text).ids]), use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(
                vector, states.mean(0) if pooling == "mean" else states[-1], atol=1e-5, rtol=1e-4
            )


def test_layers_that_features_do_not_need_are_not_computed(tiny_encoder: Path) -> None:
    lm = load(str(tiny_encoder), "cpu")
    computed = []
    for i, layer in enumerate(lm.model.encoder.layer):
        layer.register_forward_hook(lambda *_, i=i: computed.append(i))
    with torch.no_grad():
        Features(lm, "mean", 0.7).of([input_reader(lm, [])("a plum")])
    assert computed == [0, 1]


def test_a_model_without_a_plain_list_of_layers_gives_the_states_of_one(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load(str(tiny_encoder), "cpu")
    encoded = [input_reader(lm, [])(text) for text in TEXTS]
    with torch.no_grad():
        expected = Features(lm, "mean", 0.7).of(encoded)
        monkeypatch.setattr("autoadapt.local_models.features._layer_list", lambda backbone: None)
        torch.testing.assert_close(Features(lm, "mean", 0.7).of(encoded), expected, atol=1e-5, rtol=1e-4)


# -- the fit


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scaling", ["unit", "standard"])
def test_a_fit_equals_logistic_regression(classes: int, scaling: str) -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    labels = np.arange(60) % classes
    features = (random.normal(size=(60, 8)) + 2 * np.eye(classes, 8)[labels] + 3).astype(np.float32)
    if scaling == "unit":
        scaled = features / np.linalg.norm(features, axis=1, keepdims=True)
    else:
        scaled = (features - features.mean(0)) / features.std(0) / np.sqrt(8)
    expected = LogisticRegression(C=5.0, max_iter=5000, tol=1e-8).fit(scaled, labels).predict_proba(scaled)
    head = fit_head(features, labels, classes, HeadParams(scaling=scaling, C=5.0))
    with torch.no_grad():
        found = head(torch.from_numpy(features)).softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("seen", [[1], [0, 2]])
def test_a_label_without_training_rows_is_never_chosen(seen: list[int]) -> None:
    features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    head = fit_head(features, np.array(seen * 20)[:20], 4, HeadParams())
    with torch.no_grad():
        log_probs = head(torch.from_numpy(features)).log_softmax(-1)
    assert set(log_probs.argmax(-1).tolist()) <= set(seen)
    assert torch.isfinite(log_probs).all()
    assert log_probs[:, 3].max() < -1000


def test_weak_regularisation_and_features_that_do_not_vary_are_no_trouble() -> None:
    features = np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32)
    features[:, 0] = 7.0
    labels = np.random.default_rng(1).integers(0, 9, size=200)
    for scaling in ("unit", "standard"):
        first, again = (fit_head(features, labels, 9, HeadParams(scaling=scaling, C=1e6)) for _ in range(2))
        assert torch.equal(first.linear.weight, again.linear.weight)
        assert torch.isfinite(first.linear.weight).all()


# -- the option


@pytest.mark.parametrize("params", slow_after(1, [{"scaling": "standard", "depth": 0.5}, {}, {"pooling": "last"}]))
def test_a_head_learns_and_its_artifact_answers_alike(jobs: JobRun, params: dict[str, object]) -> None:
    job = jobs.fit("head", params={"C": 100.0, **params})
    measurement = jobs.measure(job)
    if params.get("pooling") != "last":  # the last token of an untrained encoder says little
        assert quality(measurement) > 0.5
    assert measurement.train_steps == 0
    assert measurement.parameters_trained == 33 * 3
    assert measurement.artifact_bytes == (jobs.artifact(job) / "head.safetensors").stat().st_size
    adapted = load_artifact(jobs.artifact(job), Workshop(), DEVICES, lambda: None)
    answers = adapted.answer([row.input for row in rows_of(jobs.root, "validation")])
    stored = [json.loads(line) for line in jobs.predictions(job).splitlines()]
    assert [a.text for a in answers] == [line["answer"] for line in stored]
    assert [a.log_probs for a in answers] == [pytest.approx(line["log_probs"], abs=2e-3) for line in stored]


def test_a_head_leaves_the_model_as_it_was(tiny_model: Path, tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    before = jobs.measure(jobs.fit("prompt", trial=0))
    jobs.measure(jobs.fit("head", trial=1))
    after = jobs.measure(jobs.fit("prompt", trial=2))
    assert [r.confidence for r in before.rows] == [r.confidence for r in after.rows]


# -- the cache


def cached(jobs: JobRun) -> list[Path]:
    return sorted((jobs.root / "features").glob("*.safetensors"))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts texts whose features are computed while fitting: answers do not go through the cache."""
    counts: list[int] = []
    compute = features_of

    def counting(file: Path, fresh, tick) -> CachedFeatures:  # type: ignore[no-untyped-def]
        def noted(known: frozenset[int]) -> Iterator[CachedFeatures]:
            counts.append(1)
            return fresh(known)

        return compute(file, noted, tick)

    monkeypatch.setattr("autoadapt.local_models.opened.features_of", counting)
    return counts


def test_trials_share_features_and_cost_the_same(jobs: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counted(monkeypatch)
    first, second = (
        jobs.measure(jobs.fit("head", trial=trial, params={"C": c})) for trial, c in ((0, 10.0), (1, 10.0))
    )
    assert len(counts) == len(cached(jobs)) == 1
    stored = features_of(cached(jobs)[0], lambda known: pytest.fail("it is there"), lambda: None)
    assert min(first.train_seconds, second.train_seconds) > stored.seconds.sum() > 0
    assert first.train_tokens == second.train_tokens == stored.tokens.sum()
    assert [r.confidence for r in first.rows] == [r.confidence for r in second.rows]
    jobs.measure(jobs.fit("head", trial=2, params={"depth": 0.4}))
    assert len(counts) == len(cached(jobs)) == 2


def test_a_fit_on_fewer_rows_uses_the_features_of_all(jobs: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counted(monkeypatch)
    fitted = jobs.fit("head", params={"C": 100.0})
    whole = jobs.measure(fitted)
    part = jobs.measure(jobs.refit(fitted, train_rows=20))
    assert len(counts) == 1
    assert 0 < part.train_tokens < whole.train_tokens / 2
    file = jobs.root / "data" / "train.jsonl"
    file.write_text("".join(f"{line}\n" for line in file.read_text().splitlines()[:20]))
    alone = jobs.measure(jobs.fit("head", trial=5, params={"C": 100.0}))
    assert alone.train_tokens == part.train_tokens
    assert len(counts) == 2


@pytest.mark.parametrize("damage", slow_after(1, ["flipped", "cut", "empty"]))
def test_damaged_features_are_computed_again(jobs: JobRun, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    counts = counted(monkeypatch)
    first = jobs.measure(jobs.fit("head", trial=0))
    (file,) = cached(jobs)
    content = bytearray(file.read_bytes())
    content[-3] ^= 0xFF
    file.write_bytes({"cut": file.read_bytes()[:-40], "flipped": bytes(content), "empty": b""}[damage])
    second = jobs.measure(jobs.fit("head", trial=1))
    assert len(counts) == 2
    assert [r.confidence for r in first.rows] == [r.confidence for r in second.rows]
    jobs.measure(jobs.fit("head", trial=2))
    assert len(counts) == 2


def test_two_workers_that_want_the_same_features_compute_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "WAIT_SECONDS", 0.01)
    file = cache_file(tmp_path, {"a": 1})
    entered, ticks, counts = threading.Event(), [], []
    features = part(0, 1)

    def compute(known: frozenset[int]) -> Iterator[CachedFeatures]:
        counts.append(1)
        entered.set()
        while not ticks:
            pass
        yield features

    first = threading.Thread(target=lambda: features_of(file, compute, lambda: None))
    first.start()
    assert entered.wait(10)
    found = features_of(file, compute, lambda: ticks.append(1))
    first.join()
    assert counts == [1]
    np.testing.assert_array_equal(found.vectors, features.vectors)
    assert not list(tmp_path.glob(".*.tmp"))


def part(*texts: int) -> CachedFeatures:
    """Features of some texts, all of which are the number of their text."""
    numbers = np.array(texts)
    vectors = np.repeat(numbers[:, None], 3, axis=1).astype(np.float32)
    return CachedFeatures(numbers, vectors, numbers / 10, numbers + 1)


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError])
def test_a_job_that_is_cut_short_leaves_its_features_to_the_next(tmp_path: Path, end: type[BaseException]) -> None:
    file = cache_file(tmp_path, {"a": 1})

    def cut_short(known: frozenset[int]) -> Iterator[CachedFeatures]:
        assert not known
        yield part(3, 0)
        yield part(1)
        raise end

    with pytest.raises(end):
        features_of(file, cut_short, lambda: None)
    asked = []

    def rest(known: frozenset[int]) -> Iterator[CachedFeatures]:
        asked.append(known)
        yield part(4, 2)

    found = features_of(file, rest, lambda: None)
    assert asked == [{0, 1, 3}]
    assert found.vectors[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.tokens.tolist() == [1, 2, 3, 4, 5]
    assert found.seconds.tolist() == [0, 0.1, 0.2, 0.3, 0.4]
    assert sorted(f.suffix for f in tmp_path.iterdir()) == [".lock", ".safetensors"], "the parts are gone"
    again = features_of(file, lambda known: pytest.fail("it is there"), lambda: None)
    np.testing.assert_array_equal(again.vectors, found.vectors)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from autoadapt.local_models import feature_cache

def killed(known):
    for texts in ([0, 2], [1]):
        numbers = np.array(texts)
        yield feature_cache.CachedFeatures(numbers, np.zeros((len(texts), 3), np.float32), numbers / 10, numbers + 1)
    os.kill(os.getpid(), signal.SIGKILL)

feature_cache.PART_SECONDS = 0.0
feature_cache.features_of(Path(sys.argv[1]), killed, lambda: None)
"""


def test_a_worker_that_is_killed_leaves_what_it_has_kept_so_far(tmp_path: Path) -> None:
    file = cache_file(tmp_path, {"a": 1})
    worker = subprocess.run([sys.executable, "-c", KILLED, file], timeout=60)
    assert worker.returncode == -signal.SIGKILL
    _, second = sorted(file.with_suffix(".parts").iterdir())
    second.write_bytes(second.read_bytes()[:-1])
    known_then = []

    def rest(known: frozenset[int]) -> Iterator[CachedFeatures]:
        known_then.append(known)
        yield part(*{0, 1, 2, 3} - known)

    assert features_of(file, rest, lambda: None).tokens.tolist() == [1, 2, 3, 4]
    assert known_then == [{0, 2}], "a damaged part is computed again"


def test_features_in_two_goes_equal_those_in_one(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(texts.ROWS_PER_BATCH, "cpu", 5)
    lm = load(str(tiny_encoder), "cpu")
    read = input_reader(lm, [])
    encoded = [read(" ".join(TEXTS[: 1 + i % 3] * (1 + i % 5))) for i in range(33)]
    whole = joined([*compute_features(Features(lm, "mean"), encoded, lambda: None)])
    begun = list(itertools.islice(compute_features(Features(lm, "mean"), encoded, lambda: None), 3))
    known = frozenset(int(i) for some in begun for i in some.texts)
    rest = list(compute_features(Features(lm, "mean"), encoded, lambda: None, known))
    assert len(known) == 15
    np.testing.assert_array_equal(joined([*begun, *rest]).vectors, whole.vectors)


def test_a_cache_file_is_named_by_the_content_of_model_and_settings(tiny_encoder: Path, tmp_path: Path) -> None:
    before = content_hash(tiny_encoder)
    assert content_hash(tiny_encoder) == before
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_encoder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert content_hash(copy) == before
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(weights))
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert content_hash(copy) != before
    assert cache_file(tmp_path, {"a": 1, "b": 2}) == cache_file(tmp_path, {"b": 2, "a": 1})
    assert cache_file(tmp_path, {"a": 1}) != cache_file(tmp_path, {"a": 2})


def test_a_text_without_tokens_has_features(tiny_model: Path) -> None:
    lm = language_model.load(str(tiny_model), "cpu")
    assert raw_text_reader(lm)("").ids
    assert isinstance(raw_text_reader(lm)("x" * 5000), Encoded)
    assert raw_text_reader(lm)("x" * 5000).truncated


def test_rows_of_a_teacher_have_features_of_their_own_behind_those_of_the_rows(
    jobs: JobRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = counted(monkeypatch)
    taught = jobs.root / "teacher" / "labels.jsonl"
    taught.parent.mkdir(parents=True)
    lines = (jobs.root / "data" / "train.jsonl").read_text().splitlines()
    taught.write_text("".join(f"{line}\n" for line in lines[5:25]))
    plain = jobs.measure(jobs.fit("head", params={"C": 100.0}))
    fitted = jobs.fit("head", trial=1, params={"C": 100.0, "teacher_rows": 20})
    more = jobs.measure(fitted)
    assert len(counts) == len(cached(jobs)) == 2
    part = jobs.measure(jobs.refit(fitted, train_rows=5))
    assert len(counts) == 2, "a learning curve uses what is there"
    assert part.train_tokens < more.train_tokens
    # the first 25 rows as labelled ones give the same classifier as five of them and twenty of the teacher
    (jobs.root / "data" / "train.jsonl").write_text("".join(f"{line}\n" for line in lines[:25]))
    same = jobs.measure(jobs.refit(jobs.fit("head", trial=2, params={"C": 100.0})))
    assert part.train_tokens == same.train_tokens
    assert [r.stats for r in part.rows] == [r.stats for r in same.rows]
    np.testing.assert_allclose(
        [r.confidence or 0.0 for r in part.rows], [r.confidence or 0.0 for r in same.rows], atol=1e-3
    )
    assert plain.train_tokens < more.train_tokens
