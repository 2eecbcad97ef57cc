"""A made-up study with everything that is displayed: figures, verdict, load, plan; no search and no model."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autoadapt.domain.comparison import Column
from autoadapt.domain.load import Load, LoadRun
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Calibration, Option, RawOption, Recommendation, Spent
from autoadapt.domain.plan import Plan, Range
from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Task
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.domain.usage import Usage
from autoadapt.domain.verdict import Compared, Curve, CurvePoint, Importance, Optimism, Paired, Trained, Verdict
from autoadapt.pareto.reference import reference_of
from autoadapt.runs.answers import AnsweredExample
from autoadapt.tasks.prices import terms
from autoadapt.verdict.scenarios import compare

MEMORY = Goal(name="memory_mb", direction="minimize", unit="MB", scale="log", title="peak memory in MB")
HARM = "</script><b>harm</b>\u202e"

TASK = Task.model_validate(
    {
        "name": "made-up",
        "data": {"path": "data.jsonl"},
        "metric": {"name": "accuracy"},
        "models": [HARM],
        "methods": ["lora", "prompt"],
        "objectives": ["quality", "cost_usd_per_1k", "latency_ms", "memory_mb"],
        "budget": {"trials": 4},
        "economics": {"usd_per_hour": Decimal(1)},
        "constraints": {"latency_p95_ms": 400.0},
    }
)
LOAD = Load(
    runs=[LoadRun(rate=2.0, sent_seconds=30.0, seconds=30.0, e2el_ms=[50.0 + i for i in range(60)])],
    engine="transformers",
    hardware="x",
    cold_start_s=2.0,
)


def figures(trial: int, method: str, quality: float, seconds: float) -> dict[str, Any]:
    """Fields of a RawOption."""
    return {
        "trial": trial,
        "method": method,
        "model": HARM,
        "params": {"r": 8, "learning_rate": 1e-3} if method == "lora" else {"template": HARM, "shots": trial},
        "quality": quality,
        "quality_ci": (quality - 0.05, quality + 0.05),
        "quality_expected": quality - 0.01,
        "test_quality": quality - 0.02,
        "test_quality_ci": (quality - 0.07, quality + 0.03),
        "test_rows": 200,
        "train_seconds": 100.0 if method == "lora" else 0.0,
        "artifact_bytes": 1_000_000,
        "peak_memory_bytes": 500_000_000 + trial,
        "values": {
            "quality": quality,
            "cost_usd_per_1k": seconds,
            "latency_ms": 10.0 * seconds,
            "memory_mb": 500.0 + trial,
        },
        "latency_p50_ms": 8.0,
        "latency_p95_ms": None if trial == 2 else 10.0 * seconds,
        "hardware": "x",
        "devices": 1,
        "training": Usage(device_seconds={"x": 100.0 if method == "lora" else 0.0}),
        "answering": Usage(device_seconds={"x": seconds}),
        "inference_seconds": seconds,
        "rows": 100,
        "tokens_in": 5000,
        "tokens_shared": 0,
        "tokens_out": 100,
        "tokens_in_ci": (45.0, 55.0),
        "tokens_out_ci": (1.0, 1.0),
        "free_text": False,
        "decode_share": 0.0,
        "load": LOAD if trial == 1 else None,
        "shares_base": True,
        "on_frontier": trial != 0,
        "weights_kept": True,
    }


RAWS = [
    RawOption(**figures(0, "prompt", 0.5, 3.0)),
    RawOption(**figures(1, "lora", 0.9, 2.0)),
    RawOption(**figures(2, "prompt", 0.7, 1.0)),
]


def option(raw: RawOption) -> Option:
    shared = {name: getattr(raw, name) for name in Option.model_fields if name in RawOption.model_fields}
    cost = raw.values["cost_usd_per_1k"]
    return Option(**shared, cost_usd_per_1k=cost, inference_usd_per_1k=cost, training_usd=0.03)


def row(raw: RawOption, **more: Any) -> TrialRow:
    fields: dict[str, Any] = {
        "trial": raw.trial,
        "state": TrialState.COMPLETE,
        "method": raw.method,
        "model": raw.model,
        "params": raw.params,
        "values": raw.values,
        "quality": raw.quality,
        "quality_low": raw.quality_ci[0],
        "quality_high": raw.quality_ci[1],
        "test_quality": raw.test_quality,
        "test_low": raw.test_quality_ci[0] if raw.test_quality_ci else None,
        "test_high": raw.test_quality_ci[1] if raw.test_quality_ci else None,
        "cost_usd_per_1k": raw.values["cost_usd_per_1k"],
        "latency_ms": raw.values["latency_ms"],
        "on_frontier": raw.on_frontier,
        "train_loss": [2.0, 1.0] if raw.method == "lora" else [],
        "train_steps": 20,
        "usd": 0.01,
        "begun": "2026-01-01T10:00:00",
        "ended": f"2026-01-01T10:0{raw.trial + 1}:00",
    }
    return TrialRow(**{**fields, **more})


FAILED = TrialRow(
    trial=3,
    state=TrialState.FAILED,
    method="lora",
    model=HARM,
    params={"r": 4},
    failure="nan",
    stage="fit",
    reason=HARM,
    ended="2026-01-01T10:09:00",
)
PAIR = Paired(trial=2, other=1, rows=200, difference=-0.2, low=-0.3, high=-0.1, p=0.001)
VERDICT = Verdict(
    best=1,
    compared=[
        Compared(**PAIR.model_dump(), p_holm=0.002, tied=False),
        Compared(**(PAIR.model_dump() | {"trial": 0, "p": 0.2}), p_holm=0.2, tied=True),
    ],
    paired=[PAIR],
    within_noise=[0],
    optimism=Optimism(
        trial=1,
        validation_quality=0.9,
        options=3,
        expected=0.02,
        expected_low=-0.03,
        expected_high=0.07,
        observed=0.02,
        observed_low=-0.05,
        observed_high=0.08,
    ),
    trained=[Trained(trial=1, qualities=[0.88, 0.9], mean=0.89, low=0.84, high=0.94, deviation=0.014)],
    curve=Curve(
        trial=1,
        points=[
            CurvePoint(rows=n, quality=q, low=q - 0.05, high=q + 0.05) for n, q in ((50, 0.7), (100, 0.8), (200, 0.88))
        ],
        more_rows=200,
        gain=0.03,
        gain_low=0.0,
        gain_high=0.06,
        forecast=[CurvePoint(rows=n, quality=q, low=q - 0.05, high=q + 0.05) for n, q in ((50, 0.7), (400, 0.91))],
    ),
    why=["Trial 1 (lora) is recommended."],
    next=["Nothing."],
)
SPREAD = Range(low=1.0, likely=2.0, high=3.0)
PLAN = Plan(
    task="made-up",
    key="k",
    budget_key="b",
    hardware="x",
    slots=1,
    memory_bytes=None,
    trials=SPREAD,
    hours=SPREAD,
    device_hours=SPREAD,
    usd=SPREAD,
    methods={},
    hour_usd=1.0,
    price_source="given in the task",
    probe_seconds=10.0,
    cheapest_usd=0.01,
    cheapest_seconds=36.0,
    limit="trials",
)


class MadeUp:
    """Stands in for a loaded `Study`."""

    root = Path("runs/made-up")
    task, raws, verdict, plan = TASK, RAWS, VERDICT, PLAN
    goals = (*DEFAULT_GOALS, MEMORY)
    rows = [*(row(r, within_noise=r.trial == 0) for r in RAWS), FAILED]  # noqa: RUF012
    options = [option(r) for r in RAWS[1:]] + [option(RAWS[0]).model_copy(update={"on_frontier": False})]
    recommendation = Recommendation(
        scenario="task",
        trial=1,
        reason="Trial 1 (lora) has the highest quality.",
        meets_constraints=True,
        best_quality=1,
        cheapest=2,
        fastest=2,
        baseline=0,
    )
    results = SimpleNamespace(
        slots=[],
        weighed=RAWS,
        calibration=[
            Calibration(
                trial=1,
                temperature=1.5,
                validation_rows=100,
                test_rows=200,
                error_before=0.1,
                error=0.03,
                error_by_chance=0.02,
            )
        ],
        spent=Spent(trials=4, usd=0.04, device_seconds=120.0, fit_measure_seconds=90.0, wall_seconds=65.0),
        complete=3,
        stopped_early=0,
        given_up=[],
        failed=1,
        cached=0,
        methods={"lora": SimpleNamespace(trials=2, jobs=3, device_seconds=100.0)},
    )
    lock = {  # noqa: RUF012
        "hardware": {"slots": 1, "count": 1, "kind": "x"},
        "versions": {"python": "3.11"},
        "identity": {"data": {"test": "abc"}, "seed": 0},
        "task": {"name": "made-up", "economics": {"usd_per_hour": 1}},
        "price_source": "given in the task",
    }

    def raw(self, trial: int | None) -> RawOption | None:
        return next((r for r in self.raws if r.trial == trial), None)

    def option(self, trial: int | None) -> Option | None:
        return next((o for o in self.options if o.trial == trial), None)

    def importances(self) -> list[Importance]:
        return [Importance(method="lora", objective=g.name, parameter="r", share=0.5, trials=4) for g in self.goals]

    def reference(self) -> Any:
        return reference_of(self.rows, self.goals)

    def latency_ms(self, trial: int) -> list[float]:
        return [10.0, 12.0]

    def answers(self, trial: int, most: int = 5) -> list[Any]:
        return [SimpleNamespace(right=True, input=HARM, expected=["a"], answer=HARM)]

    def answered(self, trial: int) -> list[Any]:
        answer = "a" if trial == 1 else HARM
        return [
            AnsweredExample(id=i, split="test", input=HARM, expected=["a"], answer=answer, score=float(trial == 1))
            for i in range(3)
        ]

    def hosted(self, hosting: Any) -> Column:
        scenario = Scenario(hosting=hosting)
        own = terms(hosting, scenario, TASK, "the task", 0.0, None)[0]
        return compare(self.raws, own, goals=self.goals)
