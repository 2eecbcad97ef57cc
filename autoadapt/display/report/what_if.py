"""The numbers from which the report's what-if panel computes, in the page, what `compare` would recommend.

The formulas of ``what_if.js`` are those of `economics.pricer`, `economics.queueing`, `pareto.ties` and
`verdict.recommendation`, restricted to what a page can compute exactly: trials (no cascades), paid by use or on devices
that are always on, with everything else as the task says it.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.display.goals import further_goals
from autoadapt.display.option_names import option_names, with_article
from autoadapt.domain.comparison import Terms
from autoadapt.domain.load import Load
from autoadapt.domain.option import RawOption
from autoadapt.domain.scenario import Scenario
from autoadapt.economics.batching import estimated_runs, has_full_batches
from autoadapt.economics.pricer import Pricer, load_test
from autoadapt.economics.queueing import HALVINGS, SIMULATED, margin
from autoadapt.economics.rates import keeps_up, least_samples
from autoadapt.tasks.prices import terms
from autoadapt.verdict.option_values import option_value
from autoadapt.verdict.robustness import greatest_loss
from autoadapt.verdict.scenarios import contenders

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

PER_MS = 1000
"""Latencies are listed in whole microseconds."""


def what_if(study: "Study", names: Mapping[int, str]) -> dict[str, Any] | None:
    """Everything that the panel needs; None: no trial could be recommended.

    Args:
        study: loaded.
        names: of the options that the page shows, by trial.
    """
    own = panel_terms(study)
    raws = panel_options(study, own)
    if not raws:
        return None
    loads = _Loads(raws)
    others = option_names([raw for raw in raws if raw.trial not in names])
    economics, verdict = study.task.economics, study.verdict
    assert economics.usd_per_hour is not None
    return {
        "options": [_option(raw, own, study, loads, {**others, **names}) for raw in raws],
        "loads": loads.listed,
        "draws": draws() if loads.listed else None,
        "halvings": HALVINGS,
        "pairs": []
        if verdict is None
        else [[p.trial, p.other, p.difference, p.low, p.high, p.p] for p in verdict.paired],
        "goals": [{"name": g.name, "maximized": g.maximized, "uncertain": g.uncertain} for g in study.goals],
        "limits": own.constraints.model_dump(),
        "least_saving_usd": own.advice.least_saving_usd,
        "horizon_months": float(own.horizon_months),
        "overhead": economics.overhead_factor,
        "start": {
            "volume": economics.queries_per_month,
            "price": float(economics.usd_per_hour),
            "hosting": "always_on" if economics.hosting == "always_on" else "per_use",
            "latency": own.constraints.latency_p95_ms,
            "points": own.advice.give_up_points,
        },
        "run": str(study.root),
    }


def panel_terms(study: "Study") -> Terms:
    """The task's own use, paid by use."""
    return terms("what-if", Scenario(hosting="per_use"), study.task, "the task", 0.0, None)[0]


def panel_options(study: "Study", own: Terms) -> list[RawOption]:
    """The trials that some scenario could recommend; they do not depend on volume, price or latency limit."""
    return [raw for raw in contenders(study.results.weighed, own, study.goals) if raw.cascade is None]


def draws() -> dict[str, str]:
    """The random numbers by which `economics.queueing.single_server_ms` simulates a queue, the same for every rate.

    numpy draws one of n samples as ``(u * n) >> 32`` with u of 32 bits (Lemire 2019), so that one list of u serves
    loads of any number of samples.
    """
    random = np.random.default_rng(0)
    chosen = random.integers(0, 2**32, SIMULATED, dtype=np.uint32)
    return {"chosen": _packed(chosen), "gaps": _packed(random.exponential(1.0, SIMULATED).astype("<f4"))}


def _option(raw: RawOption, own: Terms, study: "Study", loads: "_Loads", names: Mapping[int, str]) -> dict[str, Any]:
    priced = Pricer(raw, own).as_option(own.cell())
    index, ratio = loads.of(raw)
    return {
        "trial": raw.trial,
        "name": names[raw.trial],
        "called": with_article(raw.method, names[raw.trial]),
        "row_seconds": raw.answering.total_device_seconds / raw.rows,
        "row_usd": raw.answering.usd / raw.rows,
        "provider_rate": raw.rows / raw.inference_seconds if raw.inference_seconds else 1.0,
        "training_usd": priced.training_usd,
        "quality": raw.quality,
        "expected": raw.quality_expected,
        "test": raw.test_quality,
        "test_interval": raw.test_quality_ci,
        "p50": raw.latency_p50_ms,
        "p95": raw.latency_p95_ms,
        "p95_high": raw.p95_high,
        "memory_mb": raw.peak_memory_bytes / 1e6,
        "artifact_mb": raw.artifact_bytes / 1e6,
        "may_lose": None if raw.robustness is None else greatest_loss(raw),
        "cost_error": raw.cost_error,
        "latency_error": raw.latency_error,
        "served": raw.serving_class,
        "values": {g.name: option_value(priced, g.name) for g in further_goals(study.goals)},
        "load": index,
        "ratio": ratio,
        "estimate": loads.estimate(raw),
    }


class _Loads:
    """Load tests, each listed once: options of one serving class share one, whose times are scaled.

    Args:
        raws: options of the panel.
    """

    def __init__(self, raws: Sequence[RawOption]) -> None:
        self.listed: list[dict[str, Any]] = []
        self._own = {raw.trial: load for raw in raws if (load := load_test(raw)) is not None}
        self._whole = {raw.trial for raw in raws if raw.trial in self._own and self._own[raw.trial] is raw.load}
        """Trials whose load test needed no estimates."""
        self._indices: dict[Any, int] = {}

    def of(self, raw: RawOption) -> tuple[int | None, float]:
        """Index in `listed` of an option's load test (None: it has none), and the factor on its times."""
        load = self._own.get(raw.trial)
        if load is None:
            return None, 1.0
        shared = load.of_trial is not None and {raw.trial, load.of_trial} <= self._whole
        base = self._own[load.of_trial] if shared and load.of_trial is not None else None
        trial = raw.trial if base is None or load.of_trial is None else load.of_trial
        if trial not in self._indices:
            self._indices[trial] = self._add(load if base is None else base)
        return self._indices[trial], 1.0 if base is None else load.ratio

    def estimate(self, raw: RawOption) -> int | None:
        """Index in `listed` of the estimate where too little was measured; None: there is none, or it is not needed."""
        load, key = self._own.get(raw.trial), _estimated_from(raw)
        if key is None or (load is not None and load.single_requests >= least_samples(95)):
            return None
        if key not in self._indices:
            runs = estimated_runs(*key)
            self._indices[key] = self._add(Load(runs=runs, engine="", clock="simulated", hardware=""))
        return self._indices[key]

    def _add(self, load: Load) -> int:
        runs = sorted(load.runs, key=lambda run: run.rate)
        self.listed.append(
            {
                "runs": [
                    {"rate": r.rate, "sent": r.sent, "keeps_up": keeps_up(r), "us": _packed(_microseconds(r.e2el_ms))}
                    for r in runs
                ],
                "single": load.single_requests,
                "simulated": load.clock == "simulated",
                "full": has_full_batches(load),
                "margin": margin(load),
            }
        )
        return len(self.listed) - 1


def _estimated_from(raw: RawOption) -> tuple[float, float, float] | None:
    """From what `Pricer` estimates the load of an option that was not measured under load; None: it cannot."""
    row_seconds = raw.answering.total_device_seconds / raw.rows
    if raw.latency_p95_ms is None or not raw.latency_p50_ms or not row_seconds:
        return None
    return raw.latency_p50_ms / 1000, raw.latency_p95_ms / 1000, row_seconds


def _microseconds(values: Sequence[float]) -> NDArray[Any]:
    return np.array(np.clip(np.rint(np.array(values, dtype=float) * PER_MS), 0, 2**32 - 1), dtype=np.uint32)


def _packed(values: NDArray[Any]) -> str:
    """An array as base64 of its little-endian bytes."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()
