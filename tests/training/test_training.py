"""Training: loss on answers only, parts equal the whole, micro-batches equal batches, checkpoints that can be
trusted."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from autoadapt.domain.params import TunedParams
from autoadapt.domain.rows import Row
from autoadapt.errors import TooSlowError
from autoadapt.local_models.artifacts import write_weights
from autoadapt.local_models.memory import is_out_of_memory
from autoadapt.models.causal_lm import language_model
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.models.causal_lm.examples import make_examples
from autoadapt.prompts.rendering import Prompt
from autoadapt.training import checkpoints
from autoadapt.training.batches import (
    IGNORED,
    answer_tokens,
    learning_rate,
    schedule,
    summed_loss,
    tensors,
)
from autoadapt.training.loop import LossNotFiniteError, Plan, Progress, train
from autoadapt.training.losses import AnswerLoss
from autoadapt.training.plain import PlainBackend
from autoadapt.training.settings import BackendSettings

ROWS = [Row(id=i, input=f"text {i} " + "word " * (i % 7), outputs=["fruit" if i % 2 else "animal"]) for i in range(40)]
PARAMS = TunedParams(template="x", learning_rate=5e-3, num_train_epochs=3, batch_size=8, warmup_ratio=0.1)


@pytest.fixture
def lm(tiny_model: Path) -> language_model.LanguageModel:
    return language_model.load(str(tiny_model), "cpu")


def examples_of(lm: language_model.LanguageModel) -> list:
    prompt = Prompt("{{ input }}{% for e in examples %}{% endfor %} =", "", [])
    return make_examples(Encoder(lm, prompt, None, 20, True), ROWS, 128)


def plan(lm: language_model.LanguageModel, folder: Path, **changes: object) -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "examples": examples_of(lm),
        "params": PARAMS,
        "seed": 5,
        "share": 1.0,
        "seconds": None,
        "least_share": 0.0,
        "folder": folder,
        "keep_checkpoint": False,
        "dev_score": iter(range(100)).__next__,
        "tick": lambda: None,
    }
    return Plan(**{**settings, **changes})  # type: ignore[arg-type]


def backend(lm: language_model.LanguageModel, micro_batches: int = 1) -> PlainBackend:
    lm.model.requires_grad_(True).train()
    return PlainBackend(
        lm.model, BackendSettings(loss=AnswerLoss(pad=0), weight_decay=0.01, micro_batches=micro_batches)
    )


def test_only_answer_tokens_count(lm: language_model.LanguageModel) -> None:
    examples = examples_of(lm)
    batch = tensors(examples[:4], 0, torch.device("cpu"))
    assert int((batch["labels"] != IGNORED).sum()) == answer_tokens(examples[:4])
    for e, labels in zip(examples[:4], batch["labels"], strict=True):
        counted = [int(t) for t in labels if t != IGNORED]
        assert counted == e.ids[e.answer_start :]
        assert counted[-1] == lm.tokenizer.eos_token_id
    reference = lm.model(**batch).loss.item() * answer_tokens(examples[:4])
    alone = sum(lm.model(**tensors([e], 0, torch.device("cpu"))).loss.item() * answer_tokens([e]) for e in examples[:4])
    for keeps_logits in (False, True):
        loss = summed_loss(lm.model, batch, keeps_logits).item()
        assert loss == pytest.approx(reference, rel=1e-5)
        assert loss == pytest.approx(alone, rel=1e-4)


def test_every_row_is_seen_once_an_epoch_in_batches_of_like_length(lm: language_model.LanguageModel) -> None:
    examples = examples_of(lm)
    batches = schedule(examples, 8, 3, seed=1)
    assert len(batches) == 15
    for epoch in range(3):
        assert sorted(i for b in batches[5 * epoch : 5 * epoch + 5] for i in b) == list(range(40))
    assert batches[:5] != batches[5:10]

    def padding(batches: list[list[int]]) -> int:
        return sum(max(len(examples[i].ids) for i in b) * len(b) for b in batches)

    assert padding(batches[:5]) < padding([list(range(s, s + 8)) for s in range(0, 40, 8)])


def test_a_part_of_the_rows_is_trained_on_for_as_many_steps_as_all_of_them(
    lm: language_model.LanguageModel, tmp_path: Path
) -> None:
    examples = examples_of(lm)
    steps = len(schedule(examples, 8, 3, seed=1))
    part = schedule(examples[:5], 8, 3, seed=1, steps=steps)
    assert len(part) == steps == 15
    assert all(sorted(batch) == list(range(5)) for batch in part), "a pass over five rows is one batch"
    assert len(schedule(examples[:20], 8, 3, seed=1, steps=steps)) == steps, "the last pass is cut short"
    assert schedule(examples, 8, 3, seed=1, steps=steps) == schedule(examples, 8, 3, seed=1)
    backend = PlainBackend(lm.model, BackendSettings(loss=AnswerLoss(0, keeps_logits=False), weight_decay=0.0))
    scores = iter([0.5, 0.6, 0.7])
    done = train(backend, plan(lm, tmp_path, examples=examples[:5], steps=steps, dev_score=scores.__next__))
    assert (done.step, done.steps_planned) == (15, 15)
    assert len(done.dev) == 1, "scored as often as in a training on all rows, of which an epoch is five steps"


def test_rate_rises_then_falls() -> None:
    rates = [learning_rate(s, 100, 1.0, 0.1) for s in range(100)]
    assert rates.index(max(rates)) == 10
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.02
    assert 0 < rates[0] < 0.1


def test_a_training_in_two_parts_equals_one(tiny_model: Path, tmp_path: Path) -> None:
    def weights(shares: list[float], folder: Path) -> tuple[dict[str, torch.Tensor], Progress]:
        for i, share in enumerate(shares):
            model = language_model.load(str(tiny_model), "cpu")
            last = i == len(shares) - 1
            progress = train(backend(model), plan(model, folder, share=share, keep_checkpoint=not last))
        return model.model.state_dict(), progress

    whole, progress_whole = weights([1.0], tmp_path / "one")
    parts, progress_parts = weights([1 / 3, 1.0], tmp_path / "two")
    assert progress_whole.loss == pytest.approx(progress_parts.loss, abs=1e-6)
    assert progress_parts.step == 15
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], atol=1e-6, rtol=1e-5)


def test_a_training_that_is_asked_to_end_loses_no_step(
    lm: language_model.LanguageModel, tiny_model: Path, tmp_path: Path
) -> None:
    whole = train(backend(language_model.load(str(tiny_model), "cpu")), plan(lm, tmp_path / "whole"))
    asked = iter([False, False, True])
    folder = tmp_path / "asked"
    stopped = backend(language_model.load(str(tiny_model), "cpu"))
    with pytest.raises(KeyboardInterrupt):
        train(stopped, plan(lm, folder, should_end=asked.__next__))
    assert [p.name for p in folder.iterdir()] == ["checkpoint-0000003"]
    again = train(backend(language_model.load(str(tiny_model), "cpu")), plan(lm, folder))
    assert again.loss == pytest.approx(whole.loss, abs=1e-6)


def test_micro_batches_give_the_same_step(tiny_model: Path, tmp_path: Path) -> None:
    losses = []
    for parts in (1, 2, 4):
        model = language_model.load(str(tiny_model), "cpu")
        losses.append(train(backend(model, parts), plan(model, tmp_path / str(parts))).loss)
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0] == pytest.approx(losses[2], abs=1e-5)
    assert losses[0][-1] < 0.8 * losses[0][0]


def test_training_stops_when_the_metric_stands_still(lm: language_model.LanguageModel, tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"num_train_epochs": 10})
    progress = train(
        backend(lm),
        plan(lm, tmp_path, params=params, dev_score=iter([0.5, 0.5, 0.4] + [1.0] * 9).__next__),
    )
    assert progress.stopped_early
    assert progress.step == 7 * 5


def test_training_without_a_score_never_stops_early(lm: language_model.LanguageModel, tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"num_train_epochs": 10})
    progress = train(backend(lm), plan(lm, tmp_path, params=params, dev_score=None))
    assert not progress.stopped_early
    assert progress.step == 10 * 5
    assert progress.dev == []


class Ticking(PlainBackend):
    """Every step takes a second of a clock that stands still otherwise."""

    now = 0.0

    def __init__(self, lm: language_model.LanguageModel) -> None:
        lm.model.requires_grad_(True).train()
        super().__init__(lm.model, BackendSettings(loss=AnswerLoss(pad=0), weight_decay=0.01, micro_batches=1))
        self.rates: list[float] = []

    def step(self, examples, rate: float) -> float:  # type: ignore[no-untyped-def]
        self.rates.append(rate)
        self.now += 1.0
        return super().step(examples, rate)


@pytest.fixture
def ticking(lm: language_model.LanguageModel, monkeypatch: pytest.MonkeyPatch) -> Ticking:
    clock = Ticking(lm)
    monkeypatch.setattr("autoadapt.training.loop.time.monotonic", lambda: clock.now)
    return clock


def test_training_whose_time_is_short_brings_the_rate_down_by_then(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path
) -> None:
    progress = train(ticking, plan(lm, tmp_path / "t", seconds=5.0, dev_score=None))
    assert (progress.step, progress.steps_planned) == (5, 15)
    # a step of five is three steps of fifteen: the place in the schedule is the share of the time that has passed
    assert ticking.rates == pytest.approx([learning_rate(3 * i, 15, 5e-3, 0.1) for i in range(5)])
    assert ticking.rates[-1] < 0.25 * 5e-3


def test_checkpoints_are_written_while_a_training_goes_on(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saving(folder: Path) -> None:
        ticking.now += seconds_to_save
        saved.append(len(ticking.rates))

    monkeypatch.setattr("autoadapt.training.loop.SAVE_EVERY_SECONDS", (2.0, 8.0))
    monkeypatch.setattr(ticking, "save", saving)
    for seconds_to_save, expected in ((0.0, [3, 6, 9, 12, 15]), (0.22, [3, 8, 13]), (9.0, [3, 12])):
        saved: list[int] = []
        ticking.rates.clear()
        train(ticking, plan(lm, tmp_path / str(seconds_to_save), dev_score=None))
        assert saved == expected
        shutil.rmtree(tmp_path / str(seconds_to_save))


def test_time_that_suffices_changes_no_step(lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path) -> None:
    progress = train(ticking, plan(lm, tmp_path / "t", seconds=15.0, dev_score=None))
    assert (progress.step, progress.steps_planned) == (15, 15)
    assert ticking.rates == [learning_rate(i, 15, 5e-3, 0.1) for i in range(15)]


def test_one_step_is_trained_however_short_the_time(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path
) -> None:
    assert train(ticking, plan(lm, tmp_path / "t", seconds=1e-9, dev_score=None)).step == 1


def test_a_step_that_would_end_too_late_is_not_begun(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path
) -> None:
    assert train(ticking, plan(lm, tmp_path / "t", seconds=3.9, dev_score=None)).step == 3
    assert ticking.now <= 3.9


def test_a_training_of_which_too_little_fits_ends_after_two_steps(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path
) -> None:
    begun = ticking.now
    with pytest.raises(TooSlowError, match=r"a step takes 1 s: 4 of 15 steps would fit into 4 s") as ended:
        train(ticking, plan(lm, tmp_path / "t", seconds=4.0, least_share=0.3, dev_score=None))
    assert ended.value.whole_seconds == 15.0
    assert ticking.now - begun == 2.0
    enough = plan(lm, tmp_path / "u", seconds=4.0, least_share=0.25, dev_score=None)
    assert train(ticking, enough).step == 4


def test_a_continued_training_counts_its_own_time_alone(
    lm: language_model.LanguageModel, ticking: Ticking, tmp_path: Path
) -> None:
    first = train(ticking, plan(lm, tmp_path / "t", share=1 / 3, keep_checkpoint=True, dev_score=None))
    assert first.step == 5
    whole = train(ticking, plan(lm, tmp_path / "t", seconds=5.0, dev_score=None))
    assert (whole.step, whole.steps_planned) == (10, 15)
    assert ticking.rates[5:] == pytest.approx([learning_rate(5 + 2 * i, 15, 5e-3, 0.1) for i in range(5)])


def test_a_loss_that_is_not_finite_ends_training_at_once(lm: language_model.LanguageModel, tmp_path: Path) -> None:
    broken = backend(lm)
    with torch.no_grad():
        broken.trained["model.embed_tokens.weight"].fill_(float("nan"))
    with pytest.raises(LossNotFiniteError, match="step 1 of 15"):
        train(broken, plan(lm, tmp_path))


def test_a_damaged_checkpoint_is_passed_over(lm: language_model.LanguageModel, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").write_text("some content")

    for step in (1, 2, 3):
        checkpoints.write(tmp_path / f"checkpoint-{step:07d}", fill)
    assert checkpoints.latest(tmp_path).name == "checkpoint-0000003"
    (tmp_path / "checkpoint-0000003" / "x").write_text("some c")
    assert checkpoints.latest(tmp_path).name == "checkpoint-0000002"
    (tmp_path / "checkpoint-0000002" / "x").write_text("some konTent"[:12])
    assert checkpoints.latest(tmp_path).name == "checkpoint-0000001"
    (tmp_path / "checkpoint-0000001" / checkpoints.MARK).write_text('{"x": {"by')
    assert checkpoints.latest(tmp_path) is None


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint-0000001"
    checkpoints.write(target, lambda f: (f / "x").write_text("old"))

    def full_disk(folder: Path) -> None:
        (folder / "x").write_text("new, in par")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoints.write(target, full_disk)
    assert checkpoints.is_complete(target)
    assert (target / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-0000001"]


def test_no_pickle_in_a_checkpoint(lm: language_model.LanguageModel, tmp_path: Path) -> None:
    train(backend(lm), plan(lm, tmp_path, share=0.3, keep_checkpoint=True))
    (folder,) = tmp_path.iterdir()
    assert sorted(p.name for p in folder.iterdir()) == [
        checkpoints.MARK,
        "optimizer.safetensors",
        "progress.json",
        "weights.safetensors",
    ]
    assert json.loads((folder / "progress.json").read_text())["step"] == 4


def test_running_out_of_memory_is_known_when_seen() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_weights_that_the_last_step_has_broken_are_not_saved(
    bad: str, lm: language_model.LanguageModel, tmp_path: Path
) -> None:
    """The loss of a step is computed before its update, so that only the weights show what the last one did."""
    weight = next(iter(lm.model.requires_grad_(True).parameters()))
    write_weights(lm.model, lm.tokenizer)(tmp_path / "whole")
    with torch.no_grad():
        weight.view(-1)[3] = float(bad)
    with pytest.raises(FloatingPointError, match="not finite"):
        write_weights(lm.model, lm.tokenizer)(tmp_path / "broken")
    gathered = {"weight": weight.detach()}
    with pytest.raises(FloatingPointError, match="not finite"):
        write_weights(lm.model, lm.tokenizer, gathered)(tmp_path / "gathered")
