"""Plan, search, load test, scenarios: one study on its way through all of them."""

import json
from pathlib import Path

import pytest
from conftest import MakeTask, call
from searches import search

from autoadapt import Study
from autoadapt.domain.load import Load
from autoadapt.domain.model import Capabilities
from autoadapt.domain.outcome import Outcome
from autoadapt.errors import UserError
from autoadapt.forecast.memory import check_memory, memory_needs, need_bytes
from autoadapt.forecast.probing import first_candidates
from autoadapt.model_files import count_weights
from autoadapt.shelves import METHODS
from autoadapt.tasks.resolve import resolve

EVALUATION = {
    "rows": 36,
    "test_rows": 30,
    "latency_requests": 60,
    "load_requests": 60,
    "load_seconds": 5,
    "robustness": False,
    "learning_curve": False,
}


def test_from_plan_to_scenarios(make_task: MakeTask) -> None:
    task = make_task(
        methods=["prompt", "lora"],
        budget={"trials": 4},
        evaluation=EVALUATION,
        constraints={"latency_p95_ms": 500},
        search={"sampler": "random", "rungs": False},
    )
    runs = task.parent / "runs"
    planned = call("plan", task, "--runs", runs, "--json")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert plan["trials"]["likely"] == 4
    assert 0 < plan["usd"]["low"] <= plan["usd"]["likely"] <= plan["usd"]["high"]
    assert plan["methods"]["lora"]["fits"]
    assert plan["methods"]["lora"]["peak_bytes"] > 0
    assert not (runs / "fruits" / "study.db").exists(), "nothing was searched"

    probe = (runs / "fruits" / "probe.json").read_bytes()
    told = call("plan", task, "--runs", runs).stdout
    assert "The cheapest possible run costs" in told
    assert (runs / "fruits" / "probe.json").read_bytes() == probe, "the probe is kept"

    poor = call("search", task, "--runs", runs, "--set", "budget={usd: 0.0000001}")
    assert poor.returncode == 2
    assert "the cheapest possible run costs about" in poor.stderr

    found = search(task)
    assert found.returncode == 0, found.stderr
    root = runs / "fruits"
    assert "Planned: trials 4" in " ".join(call("report", root, "--all").stdout.split())
    options = json.loads((root / "frontier.json").read_text())
    advice = json.loads((root / "recommendations.json").read_text())[0]
    files = {o["trial"]: root / f"trials/{o['trial']:04d}/load_test/outcome.json" for o in options}
    tested = [option for option in options if files[option["trial"]].is_file()]
    assert tested, "options that are served alike share a load test"
    for option in tested:
        load = Outcome.model_validate_json(files[option["trial"]].read_bytes()).result
        assert isinstance(load, Load)
        assert load.cold_start_s is not None
        assert load.cold_start_s > 0
        assert option["requests_per_s"] in [run.rate for run in load.runs]
        assert len(load.runs) >= 2, "the rate expected, and others up to the greatest"
        assert load.single_requests > 1

    study = Study.load(root)
    column = study.compare({"same": {}})[0]
    assert column.recommended == advice["trial"]
    again = {o.trial: o for o in column.options}
    for option in options:
        assert again[option["trial"]].cost_usd_per_1k == option["cost_usd_per_1k"], "priced from the same raw numbers"
        assert again[option["trial"]].latency_p95_ms == option["latency_p95_ms"]

    before = json.loads((root / "results.json").read_text())["measured"]
    resumed = call("search", task, "--runs", runs, "--json")
    assert resumed.returncode == 0
    assert not [e for e in map(json.loads, resumed.stdout.splitlines()) if e["event"] in ("assessing", "trial_started")]
    assert json.loads((root / "results.json").read_text())["measured"] == before


def test_free_text_is_measured_under_load_too(make_real_task: MakeTask) -> None:
    task = make_real_task(
        metric="exact_match",
        methods=["prompt"],
        budget={"trials": 1},
        evaluation={**EVALUATION, "max_new_tokens": 8, "load_seconds": 2},
    )
    found = search(task)
    assert found.returncode == 0, found.stderr
    raw = Study.load(task.parent / "runs" / "fruits").raws[0]
    assert raw.free_text
    assert raw.load is not None
    run = raw.load.runs[0]
    assert all(first <= whole for first, whole in zip(run.ttft_ms, run.e2el_ms, strict=True))
    assert max(run.tokens_out) > 1
    assert sum(run.ttft_ms) < sum(run.e2el_ms), "the first token is there before the last"


def test_weights_are_counted_from_their_files(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert count_weights(tiny_model) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("method", "devices", "low", "gigabytes"),
    [
        ("prompt", 1, True, 14 * 1.2),
        ("prompt", 1, False, 28 * 1.2),
        ("lora", 1, True, (14 + 16 * 0.00957453 * 7) * 1.2),
        ("full", 1, True, 112 * 1.2),
        ("full", 4, True, 31.5 * 1.2),
    ],
)
def test_memory_by_formula(method: str, devices: int, low: bool, gigabytes: float) -> None:
    """Of a model of seven billion weights."""
    weights = 7 * 10**9
    trained = METHODS.get(method).parameters_trained({}, Capabilities(parameters=weights))
    assert need_bytes(weights, trained, devices, low) == pytest.approx(gigabytes * 1e9)


@pytest.mark.parametrize(
    ("weights", "rank", "modules", "counted"),
    [  # counted by peft on MiniLM, the embedded model and smollm2
        (22_595_021, 16, "all-linear", 693_197),
        (22_595_021, 32, "attention", 472_013),
        (16_907_520, 16, "all-linear", 786_432),
        (134_515_008, 32, "all-linear", 9_768_960),
        (134_515_008, 8, "attention", 921_600),
    ],
)
def test_weights_of_an_adapter_grow_with_its_rank_and_are_not_underestimated(
    weights: int, rank: int, modules: str, counted: int
) -> None:
    params = {"r": rank, "target_modules": modules}
    trained = METHODS.get("lora").parameters_trained(params, Capabilities(parameters=weights))
    assert 0.97 * counted <= trained <= 3.2 * counted


def test_slots_of_a_cpu_share_its_memory(make_real_task: MakeTask) -> None:
    one, two = (
        memory_needs(resolved, first_candidates(resolved))[1]
        for slots in (1, 2)
        for resolved in [resolve(make_real_task(compute={"slots": slots}))]
    )
    assert one is not None
    assert two == one // 2


def test_model_that_cannot_fit_is_refused_before_launch(
    make_real_task: MakeTask, tiny_model: Path, tmp_path: Path
) -> None:
    giant = tmp_path / "giant"
    giant.mkdir()
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (giant / file.name).write_bytes(file.read_bytes())
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    with (giant / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * 10**12)  # a sparse file takes no room
    refused = search(make_real_task(models=["giant"]))
    assert refused.returncode == 4
    assert "prompt on giant needs 4800.0 GB, the device has" in refused.stderr
    for models, refuses in ((["giant"], True), (None, False)):
        changes = {} if models is None else {"models": models}
        resolved = resolve(make_real_task(**changes))
        if refuses:
            with pytest.raises(UserError, match="no method can run here"):
                check_memory(resolved, first_candidates(resolved))
        else:
            assert check_memory(resolved, first_candidates(resolved)) == []
