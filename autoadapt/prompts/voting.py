"""Self-consistency: of several answers that were drawn for one input, the one that they agree on (Wang et al. 2023)."""

import dataclasses
import math
from collections.abc import Sequence

from autoadapt.domain.method import Answer
from autoadapt.domain.usage import total_usage

LEAST = 1e-300
"""Of a probability of which a logarithm is taken."""


def agreed(samples: Sequence[Answer], labels: Sequence[str]) -> Answer:
    """One answer out of several, with the tokens, the usage and the retries of all of them.

    Where every one gives the probability of each label, the label of the greatest mean probability is chosen: few votes
    are often even, and a mean says how sure the model is. Otherwise answers that are equal but for case and white space
    vote for each other; of equal numbers of votes, those win of which the model was surer, then those that came first.
    The confidence is the share of all samples, those without an answer included.

    Args:
        samples: at least one.
        labels: to choose from; empty for free text.
    """
    if len(samples) == 1:
        return samples[0]
    usable = [one for one in samples if not one.failed and not one.unusable]
    chosen = _mean(usable, labels) if usable and all(one.log_probs for one in usable) else _vote(usable, len(samples))
    usages = [one.usage for one in samples if one.usage is not None]
    return dataclasses.replace(
        chosen or samples[0],
        tokens_in=sum(one.tokens_in for one in samples),
        tokens_out=sum(one.tokens_out for one in samples),
        truncated=any(one.truncated for one in samples),
        first_s=max(one.first_s for one in samples) if chosen is None else max(one.done_s for one in samples),
        done_s=max(one.done_s for one in samples),
        usage=total_usage(usages) if usages else None,
        cached=all(one.cached for one in samples),
        failed=all(one.failed for one in samples),
        unusable=not usable and not all(one.failed for one in samples),
        retries=sum(one.retries for one in samples),
    )


def _mean(usable: Sequence[Answer], labels: Sequence[str]) -> Answer:
    columns = zip(*(one.log_probs for one in usable), strict=True)
    log_probs = tuple(math.log(max(LEAST, sum(map(math.exp, column)) / len(usable))) for column in columns)
    best = max(range(len(labels)), key=log_probs.__getitem__)
    return dataclasses.replace(
        usable[0], text=labels[best], confidence=min(1.0, math.exp(log_probs[best])), log_probs=log_probs
    )


def _vote(usable: Sequence[Answer], count: int) -> Answer | None:
    groups: dict[str, list[Answer]] = {}
    for one in usable:
        groups.setdefault(" ".join(one.text.casefold().split()), []).append(one)
    if not groups:
        return None
    winner = max(groups.values(), key=lambda group: (len(group), sum(one.confidence or 0.0 for one in group)))
    return dataclasses.replace(winner[0], confidence=len(winner) / count, log_probs=())
