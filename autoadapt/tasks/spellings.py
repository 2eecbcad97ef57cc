"""Labels that differ only by case or white space: probably one label, which people have typed in several ways."""

from collections import Counter, defaultdict
from collections.abc import Mapping


def spellings(counts: Mapping[str, int]) -> list[dict[str, int]]:
    """Of labels and how often each stands in the data: those that differ only by case or white space, together.

    Each group has its most frequent spelling first; groups of one are left out.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for label, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        groups[" ".join(label.casefold().split())][label] = count
    return [group for group in groups.values() if len(group) > 1]


def merged(groups: list[dict[str, int]]) -> dict[str, str]:
    """Each spelling -> the label of its group: the most frequent spelling, without white space around it."""
    mapping: dict[str, str] = {}
    for group in groups:
        label = " ".join(next(iter(group)).split())
        mapping |= {spelling: label for spelling in group if spelling != label}
    return mapping


def spellings_text(group: Mapping[str, int]) -> str:
    """Such as ``'Billing' (40 rows), 'billing ' (3 rows)``."""
    return ", ".join(f"'{label}' ({count} row{'s' if count > 1 else ''})" for label, count in group.items())


def spellings_notes(labels: Counter[str]) -> list[str]:
    """What a reader of a search should know of such labels; empty: there are none."""
    groups = spellings(labels)
    if not groups:
        return []
    shown = "; ".join(spellings_text(group) for group in groups[:3]) + ("; ..." if len(groups) > 3 else "")
    return [
        f"labels that differ only by case or white space count as different ones: {shown}. data.merge_labels makes "
        "them one"
    ]
