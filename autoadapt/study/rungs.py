"""Rungs: a candidate gets a part of the work first, and more of it only when that part is promising.

Prompt candidates answer a part of the validation rows; tuned ones train a part of their steps (of the same schedule, so
that going on from the checkpoint equals an uninterrupted training) and answer a part of the rows.
"""

from collections.abc import Sequence

from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.objective import Goal
from autoadapt.domain.task import Evaluation
from autoadapt.runs.values import Values, known_goals, no_worse, uncertain_goal

LEAST_ROWS = 40
LEAST_STEPS = 50
"""Optimizer steps below which a rung would say nothing of a training: see benchmarks/real_budgets."""
TWO_RUNGS = (1 / 3,)
"""Share of the work before the full one, for samplers that leave promotions to `promising`."""
THREE_RUNGS = (1 / 9, 1 / 3)
"""The same for samplers that weigh every promotion themselves."""
PART_REQUESTS = 10
ABOUT = 1.15
"""Times and costs measured on a part of the work are noisy: less than this ratio counts as equal."""
FREE_PASSES = 2
"""The first so many candidates of a method are promoted in any case: there is nothing to compare them with."""


def rungs(
    steps: int | None, evaluation: Evaluation, validation_rows: int, shares: Sequence[float] = TWO_RUNGS
) -> list[Fidelity]:
    """The fidelities of a candidate, smallest first; the last is full.

    A rung of fewer than `LEAST_STEPS` optimizer steps is left out.

    Args:
        steps: optimizer steps of the whole training; None: the method does not train.
        evaluation: how much full fidelity is.
        validation_rows: rows there are.
        shares: of the work, rising, below 1; of steps for what trains, of rows for prompts; none gives full fidelity
            at once.
    """
    rows = min(evaluation.rows, validation_rows)
    requests, tunes = evaluation.latency_requests, steps is not None
    ladder: list[Fidelity] = []
    for share in shares:
        part = min(rows, max(LEAST_ROWS, round(rows * (share if not tunes else 1 / 3))))
        if steps is not None and share * steps < LEAST_STEPS:
            continue
        if not tunes and (part >= rows or (ladder and part <= ladder[-1].rows)):
            continue
        ladder.append(Fidelity(rows=part, steps=share if tunes else 1.0, latency_requests=min(PART_REQUESTS, requests)))
    return [*ladder, Fidelity(rows=rows, steps=1.0, latency_requests=requests)]


def promising(values: Values, peers: Sequence[Values], goals: Sequence[Goal]) -> bool:
    """Whether a candidate is promoted to the next rung.

    It is when it is among the better half of its method's candidates at this rung by the uncertain objective (quality),
    or when none of them is at least as good in it and about as good in all others: a cheap, fast prompt may belong to
    the frontier without being the best. The first candidates of a method always go on. Asynchronous, as in ASHA (Li et
    al. 2020): a decision waits for nobody.

    Args:
        values: the candidate's objectives at the rung.
        peers: those of the same method's other candidates that reached the rung before it.
        goals: what is optimised.
    """
    if len(peers) < FREE_PASSES:
        return True
    main, others = uncertain_goal(goals), known_goals(goals)
    better = sum(not no_worse(main, values[main.name], p[main.name]) for p in peers)
    if better < (len(peers) + 1) / 2:
        return True
    return not any(
        no_worse(main, p[main.name], values[main.name])
        and all(no_worse(goal, p[goal.name], values[goal.name], ABOUT) for goal in others)
        for p in peers
    )
