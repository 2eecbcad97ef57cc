"""ROUGE-L: longest common subsequence of words, F-measure (Lin 2004), by Google's rouge-score package."""

import functools
from typing import Any, ClassVar

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric
from autoadapt.errors import Exit, UserError


@functools.cache
def _scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UserError("metric rouge_l needs a package: pip install 'autoadapt[text]'", Exit.ENVIRONMENT) from error
    return RougeScorer(["rougeL"], use_stemmer=False)


class RougeL(Metric):
    """Greatest ROUGE-L F-measure over the references; the mean over rows."""

    answers: ClassVar[AnswerKind] = "text"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(_scorer().score_multi(list(answered.references), answered.prediction)["rougeL"].fmeasure)]
