"""autoadapt report: print a study's result again."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from autoadapt.errors import Exit, UserError


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, such as runs/NAME.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Print a study's frontier and recommendation again."""
    if as_json:
        names = ("frontier", "recommendations", "summary")
        print(json.dumps({name: _read(run, f"{name}.json") for name in names}, indent=1, ensure_ascii=False))
    else:
        show(run)


def show(run: Path) -> None:
    """Prints the result files of a run folder."""
    from autoadapt.display.tables import print_result
    from autoadapt.domain.option import Option, Recommendation
    from autoadapt.study.results import read_measured

    options = [Option.model_validate_json(json.dumps(o)) for o in _read(run, "frontier.json")]
    advice = Recommendation.model_validate_json(json.dumps(_read(run, "recommendations.json")[0]))
    lock = _read(run, "task.lock.yaml")["task"]
    loads = {o.trial: o.load for o in read_measured(run)}
    load = None if advice.trial is None else loads.get(advice.trial)
    print_result(options, advice, _read(run, "summary.json"), run, load, lock["constraints"]["latency_p95_ms"])


def _read(run: Path, name: str) -> Any:
    try:
        return json.loads((run / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(p.parent.name for p in run.parent.glob("*/frontier.json"))[:10]
        hint = f"; studies here: {', '.join(known)}" if known else ""
        raise UserError(f"{run}: no finished study ({name} is missing){hint}") from None
    except (ValueError, NotADirectoryError) as error:
        raise UserError(f"{run / name}: damaged; run `autoadapt search` again to rebuild it", Exit.STORAGE) from error
