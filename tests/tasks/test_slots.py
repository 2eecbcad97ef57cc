"""Slots of the search space: names without order, closed until they are filled, absent without a proposer."""

from pathlib import Path

import numpy as np
import pytest
from scripted_task import write_scripted_task

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.proposal import FilledSlot, Proposal
from autoadapt.domain.usage import Usage
from autoadapt.errors import UserError
from autoadapt.surrogates.features import Features
from autoadapt.tasks.resolve import ResolvedTask, resolve
from autoadapt.tasks.slots import with_slots

PROPOSER = {"capo": {"model": "scripted", "slots": 3}}


def task(folder: Path, **changes: object) -> ResolvedTask:
    return resolve(write_scripted_task(folder, **changes))


def filled(number: int, candidate: Candidate) -> FilledSlot:
    text = f"Instruction {number}."
    return FilledSlot(
        slot=number,
        instruction=text,
        candidate=candidate,
        trial=0,
        proposer="capo",
        model="scripted",
        usage=Usage(tokens_in=number),
        proposal=Proposal(instruction=text),
    )


def test_without_a_proposer_a_space_has_no_slots_and_an_old_lock_fits(tmp_path: Path) -> None:
    resolved = task(tmp_path)
    assert not any("slot" in arm.specs for arm in resolved.space.arms.values())
    assert resolved.identity()["proposer"] is None
    assert resolved.space.candidate(resolved.space.first()[0]).params["instruction"] == "options"


def test_every_prompt_begins_with_its_slot_and_has_an_instruction_with_the_first_alone(tmp_path: Path) -> None:
    resolved = task(tmp_path, proposer=PROPOSER)
    drawn = list(resolved.space.drawn(60, seed=0))
    assert {candidate.params["slot"] for candidate in drawn} == {0, 1, 2, 3}
    for candidate in drawn:
        assert next(iter(candidate.params)) == "slot"
        assert ("instruction" in candidate.params) == (candidate.params["slot"] == 0)
    assert {resolved.space.candidate(params).params["slot"] for params in resolved.space.first()} == {0}


def test_a_slot_is_an_obstacle_until_it_is_filled_and_then_its_text_is_the_instruction(tmp_path: Path) -> None:
    resolved = task(tmp_path, proposer=PROPOSER)
    used = next(c for c in resolved.space.drawn(60, seed=0) if c.params["slot"] == 2 and c.method == "prompt")
    assert resolved.obstacle(used) == "slot 2 has no instruction yet"
    resolved.slots.filled[2] = filled(2, used)
    assert resolved.obstacle(used) is None
    from autoadapt.domain.jobs import Fidelity

    job = resolved.fit_job(5, used, 0, Fidelity(rows=10, steps=1.0, latency_requests=0))
    assert (job.prompt.instruction, job.instruction_usage) == ("Instruction 2.", Usage(tokens_in=2))


def test_a_model_of_the_space_draws_filled_slots_alone_and_takes_them_for_names(tmp_path: Path) -> None:
    resolved = task(tmp_path, proposer=PROPOSER)
    arms = resolved.slots.open_arms(resolved.space.arms)
    assert arms is resolved.slots.open_arms(resolved.space.arms), (
        "models of the space are kept as long as it is the same"
    )
    for open_slots in ((), (1,), (1, 2)):
        for number in open_slots:
            resolved.slots.filled[number] = filled(number, resolved.space.default("prompt", "scripted"))
        features = Features(resolved.slots.open_arms(resolved.space.arms), ("scripted",))
        random = np.random.default_rng(0)
        seen = {features.draw("prompt", random).params["slot"] for _ in range(60)}
        assert seen == {0, *open_slots}
    points = [features.point(features.draw("prompt", random)) for _ in range(60)]
    assert {point[1] for point in points} == {0.0, 1.0, 2.0}, "indices of choices, and no positions between 0 and 1"
    assert features.columns.categorical[1]


def test_a_space_with_a_slot_of_its_own_is_refused(tmp_path: Path) -> None:
    space = task(tmp_path, proposer=PROPOSER).space.space
    with pytest.raises(UserError, match="it comes with `proposer`"):
        with_slots(space, 2)


@pytest.mark.parametrize(
    ("proposer", "message"),
    [
        ("capo", "name the model that writes"),
        ({"cap": {"model": "scripted"}}, "unknown proposer 'cap': did you mean 'capo'"),
        ({"capo": {"model": "scripted", "slot": 2}}, "unknown setting 'slot': did you mean 'slots'"),
        ({"capo": {"model": "scripted:generates=false"}}, "writes no free text"),
        ({"capo": {"model": "nowhere/nothing"}}, "nowhere/nothing"),
    ],
)
def test_a_wrong_proposer_is_one_message_with_its_place(proposer: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="proposer") as error:
        task(tmp_path, proposer=proposer)
    assert message.lower() in str(error.value).lower()


@pytest.mark.parametrize(("parameters", "told"), [(135_000_000, True), (7_000_000_000, False), (0, False)])
def test_a_model_that_is_too_small_to_reflect_is_told_so(parameters: int, told: bool, tmp_path: Path) -> None:
    model = f"scripted:parameters={parameters}"
    notes = task(tmp_path, proposer={"capo": {"model": model}}).warnings
    assert any("too small to reflect" in note for note in notes) is told


def test_settings_of_a_server_for_a_proposing_model_on_this_machine_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"settings of 'scripted:quality=0\.1', which is no model behind a server"):
        task(
            tmp_path,
            proposer={"capo": {"model": "scripted:quality=0.1"}},
            remote={"scripted:quality=0.1": {"concurrency": 2}},
        )
