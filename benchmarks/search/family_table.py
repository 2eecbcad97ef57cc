"""Results of searches over families of models side by side."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from family_searches import SAME
from problems import SHARES

COLUMNS = ("recommended_quality", "best_quality", "best_regret", "hypervolume", "area", "share_to_final", "unmeasured")
TITLES = ("recommended", "best", "regret", "hypervol.", "area", "to final", "unmeasured")


def _cell(row: dict[str, Any], column: str) -> float:
    if column == "hypervolume":
        return float(row["at_1.0000"])
    if column == "area":
        values = np.array([float(row[f"at_{s:.4f}"]) for s in SHARES])
        return float((values[1:] + values[:-1]).mean() / 2)
    return float(row[column])


def table(rows: Sequence[dict[str, Any]], searches: Sequence[str], name: str) -> str:
    """Means with 95 % intervals over instances, and the paired differences of quality from the first search."""
    own = {s: {r["instance"]: r for r in rows if r["search"] == s and r["problem"] == name} for s in searches}
    own = {s: found for s, found in own.items() if found}
    lines = [f"\n{name}: {'search':14s} runs " + "".join(f"{t:>16s}" for t in TITLES) + "  trials  full  driver s"]
    for search, found in own.items():
        cells = "".join("{:10.3f} ±{:.3f}".format(*_mean([_cell(r, c) for r in found.values()])) for c in COLUMNS)
        counts = [statistics.mean(float(r[k]) for r in found.values()) for k in ("trials", "full", "driver_seconds")]
        lines.append(
            f"{' ' * len(name)}  {search:14s} {len(found):4d} {cells}{counts[0]:8.0f}{counts[1]:6.0f}{counts[2]:10.1f}"
        )
    first = next(iter(own), None)
    for search, found in own.items():
        both = sorted(found.keys() & own[first or search].keys()) if search != first else []
        for column in ("best_quality", "recommended_quality") if both else ():
            pairs = [(float(own[first][i][column]), float(found[i][column])) for i in both]
            mean, error = _mean([a - b for a, b in pairs])
            won, lost = (sum(sign * (a - b) > SAME for a, b in pairs) for sign in (1, -1))
            lines.append(
                f"  {first} - {search}, {column}: {mean:+.3f} ±{error:.3f}; better by half a point on {won}, worse on {lost} of {len(both)}"
            )
    reference = own.get(first or "", {})
    gains = [float(r["best_quality"]) - float(r["best_default"]) for r in reference.values()]
    if gains:
        lines.append("  {} - best default that the budget could pay for: {:+.3f} ±{:.3f}".format(first, *_mean(gains)))
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval."""
    error = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.mean(values), error
