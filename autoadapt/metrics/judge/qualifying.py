"""Whether a judge may be an objective: it must give nothing for no answer, and agree with people on graded answers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.metric import Asking
from autoadapt.domain.model import ModelReference
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import UserError
from autoadapt.files import read_model, write_json
from autoadapt.metrics.judge.asking import Grade, access_to, ask_judge
from autoadapt.metrics.judge.human import HumanRow
from autoadapt.metrics.judge.prompts import Grading
from autoadapt.providers.answer_store import AnswerStore, OutOfMoneyError, content_key
from autoadapt.providers.client import Client
from autoadapt.providers.features import Features, find_features

FILE = "judge.json"
NOTHING = ("", "I do not know.")
"""Answers that deserve no points."""
CANARIES = 5
"""Inputs to which these are given."""
RESAMPLES = 2000


class Qualification(StrictModel):
    """What was found out about a judge, as ``judge.json`` of the run folder."""

    key: str
    """Of everything that it depends on."""
    model: ModelReference
    features: Features
    rows: int
    """Answers that people have graded."""
    agreement: float
    """Rank correlation (Spearman) with people on them."""
    agreement_low: float
    agreement_high: float
    """Its 95 % interval: percentiles of a bootstrap over rows."""
    bias: float
    """Mean of the judge's scores less those of people."""
    standard_error: float
    """Of the bias."""
    for_nothing: float
    """Mean score of answers that deserve none."""
    order_effect: float
    """Mean difference between the two orders."""

    def notes(self) -> list[str]:
        """What a user should know of it, a sentence."""
        return [
            f"judge {self.model.name}: rank correlation with people {self.agreement:.2f} [{self.agreement_low:.2f}-"
            f"{self.agreement_high:.2f}] on {self.rows} answers; it scores {100 * self.bias:+.1f} points against them "
            f"(standard error {100 * self.standard_error:.1f}), which is corrected; {100 * self.for_nothing:.0f} "
            f"points for no answer; the order changes a score by {100 * self.order_effect:.1f} points on average"
        ]


def qualified(
    asking: Asking, model: ModelReference, grading: Grading, human: Sequence[HumanRow], limits: tuple[float, float]
) -> Qualification:
    """The qualification of a judge, as the run knows it or measured now.

    Args:
        asking: with what it is asked.
        model: the judge.
        grading: how it grades.
        human: answers that people have graded.
        limits: least agreement, and greatest score for no answer.

    Raises:
        UserError: the judge is refused, with exit code 2; or it cannot be asked.
    """
    shown = [row.model_dump(mode="json") for row in human]
    what = [model.model_dump(mode="json"), grading.criteria, grading.form, grading.scale]
    key = content_key(*what, shown)
    known = read_model(asking.run / FILE, Qualification)
    if known is None or known.key != key:
        try:
            known = _measured(asking, model, grading, human, (key, limits[1]))
        except OutOfMoneyError as error:
            raise UserError(f"judge '{model.name}': {error}; raise budget.usd") from error
        write_json(asking.run / FILE, known)
    _check(known, limits)
    return known


def read_qualification(run: Path) -> Qualification:
    """What the beginning of the search has found out about the judge.

    Raises:
        UserError: the file is missing or damaged.
    """
    known = read_model(run / FILE, Qualification)
    if known is None:
        raise UserError(f"{run / FILE} is missing or damaged; search again, which measures the judge's agreement")
    return known


def _measured(
    asking: Asking, model: ModelReference, grading: Grading, human: Sequence[HumanRow], wanted: tuple[str, float]
) -> Qualification:
    key, most_for_nothing = wanted
    features = _features(asking, model)
    inputs = list({row.input: row for row in human}.values())[:CANARIES]
    empty = [(row.input, row.reference, nothing) for row in inputs for nothing in NOTHING]
    for_nothing = _mean(ask_judge(asking, model, features, grading, empty)[0])
    _check_canary(model.name, for_nothing, most_for_nothing)
    grades, _ = ask_judge(asking, model, features, grading, [row.data for row in human])
    judged = np.array([grade.score for grade in grades])
    graded = np.array([row.score for row in human])
    agreement, low, high = rank_agreement(judged, graded)
    errors = judged - graded
    return Qualification(
        key=key,
        model=model,
        features=features,
        rows=len(human),
        agreement=agreement,
        agreement_low=low,
        agreement_high=high,
        bias=float(errors.mean()),
        standard_error=float(errors.std(ddof=1) / np.sqrt(len(errors))),
        for_nothing=for_nothing,
        order_effect=float(np.mean([grade.order_effect for grade in grades])),
    )


def rank_agreement(judged: NDArray[np.float64], graded: NDArray[np.float64]) -> tuple[float, float, float]:
    """Spearman's rank correlation with its 95 % interval; 0 where one of the two is constant.

    Ranks and not grades are compared because a bias that all answers share is corrected, so that it does not matter.
    """
    drawn = np.random.default_rng(0).integers(len(judged), size=(RESAMPLES, len(judged)))
    low, high = np.percentile(_spearman(judged[drawn], graded[drawn]), [2.5, 97.5])
    return float(_spearman(judged[None], graded[None])[0]), float(low), float(high)


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of arrays of shape (samples, rows): the correlation of ranks in each sample."""
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=1) for values in (first, second)]
    centred = [values - values.mean(1, keepdims=True) for values in ranks]
    spread = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    shared = (centred[0] * centred[1]).sum(1)
    return np.asarray(np.divide(shared, spread, out=np.zeros_like(shared), where=spread > 0))


def _check(known: Qualification, limits: tuple[float, float]) -> None:
    least, most_for_nothing = limits
    _check_canary(known.model.name, known.for_nothing, most_for_nothing)
    if known.agreement_low < least:
        raise UserError(
            f"judge '{known.model.name}' is refused as an objective: its rank correlation with people on {known.rows} "
            f"graded answers is {known.agreement:.2f} [{known.agreement_low:.2f}-{known.agreement_high:.2f}], and the "
            f"lower end must reach {least:g} (metric.judge.least_agreement). Name a stronger model, write clearer "
            "criteria, or grade more answers. No trial was paid for."
        )


def _check_canary(name: str, for_nothing: float, most: float) -> None:
    if for_nothing > most:
        raise UserError(
            f"judge '{name}' is refused as an objective: it gives {for_nothing:.2f} on average (of 1) to empty answers "
            f'and to "I do not know.", and at most {most:g} is allowed (metric.judge.most_for_nothing). Name a '
            "stronger model or write clearer criteria. No trial was paid for."
        )


def _mean(grades: Sequence[Grade]) -> float:
    return float(np.mean([grade.score for grade in grades]))


def _features(asking: Asking, model: ModelReference) -> Features:
    """What the judge's server can do."""

    async def ask() -> Features:
        client = Client(access_to(asking, model), store, asking.tick)
        try:
            return await find_features(client)
        finally:
            await client.close()

    store = AnswerStore(asking.run)
    try:
        features = asyncio.run(ask())
    finally:
        store.close()
    if not features.writes:
        raise UserError(f"judge '{model.name}': its server answers typed questions alone; name one that writes text")
    return features
