"""BLEU of the whole corpus (Papineni et al. 2002), by sacrebleu (Post 2018), from 0 to 1."""

import functools
from typing import Any, ClassVar

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric
from autoadapt.errors import Exit, UserError


@functools.cache
def _bleu() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise UserError("metric bleu needs a package: pip install 'autoadapt[text]'", Exit.ENVIRONMENT) from error
    return BLEU(lowercase=True, effective_order=True)


class Bleu(Metric):
    """Corpus BLEU-4, lower-cased, sacrebleu's 13a tokens; rows carry the counts, so any set of rows can be scored.

    Statistics of a row: sentence BLEU / 100, hypothesis length, reference length, 4 matched and 4 possible n-gram
    counts.
    """

    answers: ClassVar[AnswerKind] = "text"

    def row(self, answered: AnsweredRow) -> list[float]:
        score = _bleu().sentence_score(answered.prediction, list(answered.references))
        return [
            min(1.0, score.score / 100),
            score.sys_len,
            score.ref_len,
            *map(float, score.counts),
            *map(float, score.totals),
        ]

    def value(self, stats: Any) -> float:
        sums = stats.sum(axis=0)
        counts, totals = [int(c) for c in sums[3:7]], [int(t) for t in sums[7:11]]
        bleu = _bleu().compute_bleu(counts, totals, int(sums[1]), int(sums[2]), smooth_method="exp")
        return min(1.0, float(bleu.score) / 100)
