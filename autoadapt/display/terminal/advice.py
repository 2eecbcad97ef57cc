"""A recommendation under other limits."""

from collections.abc import Sequence

from rich.text import Text

from autoadapt.display.sentences import cascade_lines
from autoadapt.display.terminal.options import frontier_table
from autoadapt.display.terminal.plain_text import plain, terminal
from autoadapt.display.text import params_text
from autoadapt.domain.objective import DEFAULT_GOALS, Goal
from autoadapt.domain.option import Option, Recommendation


def print_advice(
    advice: Recommendation, binding: Sequence[str], options: Sequence[Option], goals: tuple[Goal, ...] = DEFAULT_GOALS
) -> None:
    """Prints a recommendation: the reason, the binding constraints, and the option's figures.

    Args:
        advice: the recommendation.
        binding: constraints without which another option would be recommended.
        options: that were compared.
        goals: the objectives of the task.
    """
    console = terminal()
    head = "Recommended: " if advice.trial is not None else "No recommendation: "
    console.print(Text(head, style="bold").append_text(plain(advice.reason)))
    chosen = [o for o in options if o.trial == advice.trial]
    if binding:
        without = " or ".join(binding)
        console.print(f"Binding: without {without} another option would be recommended.")
    elif chosen:
        console.print("No constraint is binding: without any of them the recommendation would be the same.")
    if chosen:
        console.print()
        console.print(frontier_table(chosen, advice.trial, goals))
        detail = cascade_lines(chosen) or [params_text(chosen[0])]
        console.print(Text("  ").append_text(plain(detail[0])))
