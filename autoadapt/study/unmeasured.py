"""Methods of which no candidate was measured in full, and why, from what the Optuna study remembers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.verdict import Unmeasured
from autoadapt.study.open_trials import REFUSAL
from autoadapt.study.options import MeasuredTrials
from autoadapt.tasks.resolve import ResolvedTask

Arm = tuple[str, str]
"""A method and a family of models."""
End = Literal["budget", "failed", "stopped", "refused", "lost"]


@dataclass
class _Ends:
    """How the trials of an arm have ended: of each way, what was last said of it, and how often it was."""

    counts: dict[End, int] = field(default_factory=lambda: defaultdict(int))
    said: dict[End, str] = field(default_factory=dict)

    def add(self, end: End, text: str) -> None:
        self.counts[end] += 1
        self.said[end] = text


def unmeasured_methods(
    resolved: ResolvedTask, measured: MeasuredTrials, study: optuna.Study, budget_ended: bool
) -> list[Unmeasured]:
    """Every method on each family of models that it suits, where no candidate of it was measured in full.

    Args:
        resolved: the task.
        measured: its trials at full fidelity.
        study: of the task; its search has ended.
        budget_ended: whether it was the budget that has ended it.
    """
    arms = {
        (method, resolved.models[model].family): None
        for method, models in resolved.space.pairs.models.items()
        for model in models
    }
    full = {_arm(resolved, measured.record(t).job.candidate) for t in measured.trials()}
    left = [arm for arm in arms if arm not in full]
    if not left:
        return []
    ends: dict[Arm, _Ends] = defaultdict(_Ends)
    for arm, end, text in _ends(resolved, study):
        ends[arm].add(end, text)
    return [
        Unmeasured(
            method=method,
            family=family,
            trials=sum(n for end, n in ends[method, family].counts.items() if end != "refused"),
            reason=_reason(ends[method, family]) or _never_begun(resolved, (method, family), budget_ended),
        )
        for method, family in left
    ]


def _arm(resolved: ResolvedTask, candidate: Candidate) -> Arm:
    return candidate.method, resolved.models[candidate.model].family


def _ends(resolved: ResolvedTask, study: optuna.Study) -> Iterator[tuple[Arm, End, str]]:
    """Arm, end and reason of every trial that has ended, but for those that were answered from the cache."""
    for frozen in study.get_trials(deepcopy=False):
        attributes, states = frozen.user_attrs, optuna.trial.TrialState
        if REFUSAL in attributes:
            yield _arm(resolved, resolved.space.candidate(frozen.params)), "refused", str(attributes[REFUSAL])
        elif "candidate" in attributes and frozen.state.is_finished():
            arm = _arm(resolved, Candidate.model_validate(attributes["candidate"]))
            if frozen.state == states.FAIL:
                yield arm, "failed", str(attributes.get("failure", ""))
            elif attributes.get("stopped_by") == "budget":
                yield arm, "budget", ""
            elif frozen.state == states.PRUNED:
                yield arm, "stopped", str(attributes.get("ended", ""))
            else:
                yield arm, "lost", ""


def _never_begun(resolved: ResolvedTask, arm: Arm, budget_ended: bool) -> str:
    """That no trial was begun; and why, where what would be tried first is known not to work."""
    space = resolved.space
    first = [c for c in map(space.candidate, space.first()) if _arm(resolved, c) == arm]
    which = "its default cannot work" if len(first) == 1 else f"none of its {len(first)} defaults can work"
    obstacles = [resolved.obstacle(c) for c in first]
    known = [reason for reason in obstacles if reason is not None]
    if known and len(known) == len(obstacles):
        return f"no candidate was begun, because {which} ({known[0]})"
    return f"no candidate was begun{' before the budget ended' if budget_ended else ''}"


def _reason(ends: _Ends) -> str:
    """How the trials of an arm have ended, as a clause; empty: there were none."""
    return "; ".join(_clause(end, number, ends.said[end]) for end, number in ends.counts.items())


def _clause(end: End, number: int, said: str) -> str:
    """How so many trials have ended.

    Args:
        end: which way.
        number: of trials.
        said: of the last of them.
    """
    one = number == 1
    which = "1 candidate" if one else f"{number} candidates"
    said = f" ({said if one else f'the last: {said}'})" if said else ""
    if end == "budget":
        return f"the budget ended before {'a candidate was' if one else f'{which} were'} done"
    if end == "failed":
        return f"{which} failed{said}"
    if end == "stopped":
        return f"{which} {'was' if one else 'were'} stopped early{said}"
    if end == "refused":
        return f"{which} cannot work{said}"
    return f"what {which} measured is missing, or is that of other hardware"
