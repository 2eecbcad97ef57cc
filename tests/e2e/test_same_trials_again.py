"""The same seed gives the same trials: twice, and where a search was killed in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import call, task_writer

from autoadapt.api.search import run_search
from autoadapt.errors import Exit
from autoadapt.runs.storage import load_trials
from autoadapt.study.choosing import Chooser
from autoadapt.study.search import Search

SMALL = {"rows": 40, "test_rows": 10}
WITH_RUNGS = {"rows": 120, "test_rows": 10}


class KilledError(BaseException):
    """Ends a search as a kill would: nothing handles it."""


def searched(folder: Path, sampler: str, rows: int, trials: int, evaluation: dict[str, Any], **search: Any) -> Path:
    """Writes a task."""
    folder.mkdir(exist_ok=True)
    unloaded = {
        "latency_requests": 5,
        "load_requests": 0,
        "robustness": False,
        "learning_curve": False,
        "final_fit": False,
    }
    return task_writer(folder, "scripted")(
        rows=rows,
        methods=["prompt", "lora"] if trials > 10 else ["prompt"],
        budget={"trials": trials},
        search={"sampler": sampler, **search},
        compute={"on_cpu": True, "executor": "inline"},
        evaluation={**unloaded, **evaluation},
    )


def trials_of(task: Path) -> list[tuple[Any, ...]]:
    """Goes on with a search to its end; returns what every trial was and how it ended."""
    code, root = run_search(task, runs=task.parent / "runs")
    assert code == Exit.OK
    return [(t.state.name, t.user_attrs.get("candidate")) for t in load_trials(root / "study.db", "fruits")]


def kill_at(patch: pytest.MonkeyPatch, where: type, name: str, count: int, before: Callable[..., Any]) -> None:
    """Kills the search at a call of a method.

    Args:
        patch: undoes it.
        where, name: the method.
        count: of the call, from 1.
        before: called with the arguments just before the kill.
    """
    real, calls = getattr(where, name), [0]

    def call_or_kill(self: Any, *arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            before(self, *arguments)
            raise KilledError
        return real(self, *arguments, **named)

    patch.setattr(where, name, call_or_kill)


def half_asked(chooser: Chooser, trial: Any, *straight: Any) -> None:
    """Asks for the first parameter of a trial, which the study keeps."""
    trial.suggest_categorical("method", chooser.resolved.space.methods)


def killed(task: Path, patch: pytest.MonkeyPatch, *where: Any) -> None:
    """Searches until it is killed there."""
    with patch.context() as during:
        kill_at(during, *where)
        with pytest.raises(KilledError):
            run_search(task, runs=task.parent / "runs")


@pytest.mark.parametrize(
    ("sampler", "deterministic"), [("random", False), pytest.param("cost_aware", True, marks=pytest.mark.slow)]
)
def test_search_killed_around_an_ask_gives_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, deterministic: bool
) -> None:
    whole, cut = (
        searched(tmp_path / name, sampler, 140, 6, SMALL, deterministic=deterministic) for name in ("whole", "cut")
    )
    expected = trials_of(whole)
    killed(cut, monkeypatch, Chooser, "admit", 4, half_asked)
    killed(cut, monkeypatch, Chooser, "admit", 2, half_asked)
    assert trials_of(cut) == expected


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "cost_aware"])
def test_deterministic_search_with_rungs_killed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    tasks = [searched(tmp_path / name, sampler, 400, 16, WITH_RUNGS, deterministic=True) for name in ("a", "b", "cut")]
    expected = trials_of(tasks[0])
    assert trials_of(tasks[1]) == expected
    killed(tasks[2], monkeypatch, Search, "_handle", 7, lambda *arguments: None)
    killed(tasks[2], monkeypatch, Chooser, "admit", 3, half_asked)
    killed(tasks[2], monkeypatch, Search, "_end", 3, lambda *arguments: None)
    assert trials_of(tasks[2]) == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "budget={hours: 1}",
            "search.deterministic: budget.hours ends a search by the clock; give budget.trials alone",
        ),
        ("compute.slots=2", "search.deterministic: several slots end by the clock; set compute.slots to 1"),
    ],
)
def test_what_ends_by_the_clock_is_not_deterministic_error(tmp_path: Path, setting: str, said: str) -> None:
    task = searched(tmp_path, "random", 140, 6, SMALL, deterministic=True)
    refused = call("search", task, "--runs", tmp_path / "runs", "--set", setting)
    assert refused.returncode == Exit.CONFIG
    assert said in refused.stderr
