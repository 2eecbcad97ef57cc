"""Learns from recorded trials what to try first: a short list of candidates of which one is good on every data set.

    python benchmarks/real_budgets/portfolio.py [--table tables/trials.csv] [--size 6]

The list is chosen greedily (as in Auto-sklearn 2.0, Feurer et al. 2022): the next candidate is the one that lowers the mean
regret most, where the regret of a list on a data set is the best quality recorded there less the best quality of the list.
It is judged with one data set left out: the list is learnt on the others and its regret on the one left out is compared with
that of the defaults that were recorded first. Learning rates and passes are also looked at alone: how far from the best of
its arm a training is, by its rate and its steps. The same is printed for the trials of the embedded model on two data sets
that `benchmarks/search/record.py` has recorded.
"""

import argparse
import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autoadapt.tasks.yaml_document import Document

HERE = Path(__file__).parent
LEAST_TRIALS = 12
"""Data sets with fewer trials are left out: too few candidates ran on all data sets otherwise."""
DEFAULTS = 9
"""So many candidates of each data set were the defaults of the time (`record.DEFAULTS`)."""
Table = Mapping[str, Mapping[str, float]]
"""Data set -> candidate -> quality; a failed candidate has 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=HERE / "tables/trials.csv")
    parser.add_argument("--size", type=int, default=6)
    args = parser.parse_args()
    every = read(args.table)
    teach(every, {name: defaults(args.table, name) for name in every}, args.size)
    print("\nThe tables of benchmarks/search, of the embedded model:")
    recorded = read_recorded()
    teach(recorded, {name: recorded_defaults(qualities) for name, qualities in recorded.items()}, args.size)


def teach(every: Table, first: Mapping[str, Sequence[str]], size: int) -> None:
    """Prints the list that a table teaches, and how good it is on data that it was not learnt on.

    Args:
        every: the table.
        first: by data set, the candidates that its study began with.
        size: of the list.
    """
    table = {name: qualities for name, qualities in every.items() if len(qualities) >= LEAST_TRIALS}
    print(f"left out, with fewer than {LEAST_TRIALS} trials: {', '.join(every.keys() - table.keys()) or 'none'}")
    shared = candidates_of_all(table)
    print(
        f"{sum(map(len, table.values()))} trials on {len(table)} data sets; {len(shared)} candidates ran on all of them\n"
    )
    print("The best of each data set:")
    for name, qualities in table.items():
        best = max(qualities, key=lambda c: qualities[c])
        print(f"  {name}: {qualities[best]:.3f}  {best}")
    print("\nThe list, with the mean regret in points after each:")
    for length, candidate in enumerate(chosen := greedy(table, shared, size), 1):
        print(f"  {100 * mean_regret(table, chosen[:length]):.2f}  {candidate}")
    print("\nWith one data set left out, regret in points on it: of the list, of the defaults")
    for name in table:
        others = {n: q for n, q in table.items() if n != name}
        learnt = greedy(others, candidates_of_all(others), size)
        pair = (regret(table[name], learnt), regret(table[name], first[name]))
        print(f"  {name}: {100 * pair[0]:.2f}, {100 * pair[1]:.2f}")


def read(path: Path) -> Table:
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for line in rows(path):
        table[line["data"]][named(line)] = float(line["quality"] or 0.0)
    return table


def read_recorded() -> Table:
    """The trials that were recorded in full on 400 validation rows each."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for path in sorted((HERE / "../search/tables").glob("*.json.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            record = json.loads(line)
            if record["method"] == "prompt" or round(record["steps"], 3) == 1:
                right = 0 if "failure" in record else int(record["right"], 16).bit_count()
                record["params"] = json.dumps(record["params"])
                table[path.name.split(".")[0]][named(record)] = right / record.get("rows", 1)
    return table


def recorded_defaults(qualities: Mapping[str, float]) -> list[str]:
    """Candidates of a recorded table that its search space names first."""
    first = [
        {f"{k}={v}" for k, v in one.items() if k != "method"} | {one["method"]}
        for one in Document(HERE / "../search/tables/space.yaml").values["first"]
    ]
    return [c for c in qualities if any(wanted <= set(c.split()) for wanted in first)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def named(line: Mapping[str, str]) -> str:
    """A candidate as text: its arm and its parameters."""
    params = json.loads(line["params"])
    return f"{line['method']} on {line['model']} " + " ".join(f"{k}={v}" for k, v in sorted(params.items()))


def candidates_of_all(table: Table) -> list[str]:
    """Candidates that every data set has."""
    first, *others = table.values()
    return [c for c in first if all(c in qualities for qualities in others)]


def regret(qualities: Mapping[str, float], chosen: Iterable[str]) -> float:
    return max(qualities.values()) - max((qualities.get(c, 0.0) for c in chosen), default=0.0)


def mean_regret(table: Table, chosen: Sequence[str]) -> float:
    return sum(regret(qualities, chosen) for qualities in table.values()) / len(table)


def greedy(table: Table, candidates: Sequence[str], size: int) -> list[str]:
    """So many candidates, each the one that lowers the mean regret most."""
    chosen: list[str] = []
    while len(chosen) < min(size, len(candidates)):
        left = [c for c in candidates if c not in chosen]
        chosen.append(min(left, key=lambda c: mean_regret(table, [*chosen, c])))
    return chosen


def defaults(path: Path, data: str) -> list[str]:
    """The candidates with which the study of a data set began, those of the floor apart."""
    own = [line for line in rows(path) if line["data"] == data and line["model"] != "classical"]
    return [named(line) for line in own[:DEFAULTS]]


if __name__ == "__main__":
    main()
