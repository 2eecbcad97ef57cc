"""autoadapt report: print a study's result again."""

import json
from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, such as runs/NAME.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Print a study's frontier and recommendation again."""
    from autoadapt.study.finished import read_file

    if as_json:
        names = ("frontier", "recommendations", "summary")
        print(json.dumps({name: read_file(run, f"{name}.json") for name in names}, indent=1, ensure_ascii=False))
    else:
        show(run)


def show(run: Path) -> None:
    """Prints the result files of a run folder."""
    from autoadapt.display.tables import print_result
    from autoadapt.domain.option import Option, Recommendation
    from autoadapt.study.finished import read_file
    from autoadapt.study.results import read_measured

    options = [Option.model_validate_json(json.dumps(o)) for o in read_file(run, "frontier.json")]
    advice = Recommendation.model_validate_json(json.dumps(read_file(run, "recommendations.json")[0]))
    lock = read_file(run, "task.lock.yaml")["task"]
    loads = {o.trial: o.load for o in read_measured(run)}
    load = None if advice.trial is None else loads.get(advice.trial)
    print_result(options, advice, read_file(run, "summary.json"), run, load, lock["constraints"]["latency_p95_ms"])
