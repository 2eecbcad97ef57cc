"""Answers graded by a language model that has been shown to agree with people, its error carried into intervals."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from autoadapt.domain.metric import AnsweredRow, AnswerKind, Asking, Metric, Scores
from autoadapt.domain.model import ModelReference
from autoadapt.domain.rows import Row
from autoadapt.domain.strict import PathText, StrictModel
from autoadapt.errors import UserError
from autoadapt.metrics.judge.human import FEWEST_ROWS, HumanRow, read_human_rows
from autoadapt.metrics.judge.prompts import Grading
from autoadapt.registry import expanded

CRITERIA = "The answer says what the reference says, leaves out nothing that matters, and states nothing that is wrong."


class Judge(Metric):
    """The judge's mean score less its mean error on answers that people have graded (prediction-powered inference).

    Statistics of a row: the judge's score from 0 to 1; its mean error on the graded answers, the standard error of that
    and their number, which are the same for every row; by how much the score depends on the order in which answer and
    reference are shown; and whether there was no usable verdict, which counts as 0.
    """

    class Settings(StrictModel):
        """What is asked, and whose grades it must agree with."""

        model: str
        """A model behind a server, named as in `models`; its price and key are settings of the task's `remote`."""
        criteria: str = Field(default=CRITERIA, min_length=1)
        """What a good answer is."""
        form: Literal["points", "pairs"] = "points"
        """`points`: points for the answer beside the reference; `pairs`: whether it is better than the reference (1),
        as good (0.5) or worse (0). Either is asked twice, with answer and reference in both orders."""
        scale: int = Field(default=10, ge=2, le=100)
        """Greatest number of points, of the judge and of people; 0 is the least."""
        human: PathText | None = None
        """A JSONL file of at least 50 graded answers: {"input": ..., "answer": ..., "score": POINTS}, and "reference"
        where the input is none of the task's. Needed."""
        least_agreement: float = Field(default=0.4, ge=0, lt=1)
        """Least rank correlation (Spearman) with people that the lower end of its 95 % interval must reach."""
        most_for_nothing: float = Field(default=0.3, ge=0, le=1)
        """Greatest mean score that empty answers and "I do not know." may get."""

    answers: ClassVar[AnswerKind] = "text"
    early_stopping: ClassVar[bool] = False

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        one = self.settings
        self._grading = Grading(one.criteria, one.form, one.scale)
        self._human: list[HumanRow] = []
        self._asking: Asking | None = None

    def models(self) -> list[str]:
        return [self.settings.model]

    def check(self, base: Path, rows: Sequence[Row]) -> None:
        if self.settings.human is None:
            raise UserError(
                f"human is missing; name a JSONL file of at least {FEWEST_ROWS} answers that people have graded, "
                '{"input": ..., "answer": ..., "score": POINTS}: a judge is no objective until it is shown to agree '
                "with people"
            )
        path = (base / expanded(self.settings.human)).expanduser()
        references = {row.input: row.outputs[0] for row in rows}
        self._human = read_human_rows(path, self.settings.scale, references)

    def files_hash(self) -> str | None:
        shown = json.dumps([row.model_dump(mode="json") for row in self._human])
        return hashlib.sha256(shown.encode()).hexdigest() if self._human else None

    def qualify(self, asking: Asking, models: Mapping[str, ModelReference]) -> list[str]:
        from autoadapt.metrics.judge.qualifying import qualified

        one = self.settings
        limits = (one.least_agreement, one.most_for_nothing)
        return qualified(asking, models[one.model], self._grading, self._human, limits).notes()

    def begin(self, asking: Asking) -> None:
        self._asking = asking

    def score(self, answered: Sequence[AnsweredRow]) -> Scores:
        from autoadapt.metrics.judge.asking import ask_judge
        from autoadapt.metrics.judge.qualifying import read_qualification

        if self._asking is None:
            raise UserError(
                "metric 'judge' grades answers within a search, where its agreement with people was measured; compare "
                "options in the run, or name a metric that asks no server"
            )
        known = read_qualification(self._asking.run)
        questions = [(one.input, one.references[0], one.prediction) for one in answered]
        grades, usage = ask_judge(self._asking, known.model, known.features, self._grading, questions)
        shared = [known.bias, known.standard_error, float(known.rows)]
        return Scores([[one.score, *shared, one.order_effect, float(one.unusable)] for one in grades], usage)

    def value(self, stats: Any) -> float:
        return float(min(1.0, max(0.0, stats[:, 0].mean() - stats[0, 1])))

    def shared_error(self, stats: Any) -> float:
        from scipy.stats import t

        return float(t.ppf(0.975, stats[0, 3] - 1) * stats[0, 2])

    def notes(self, stats: Any) -> list[str]:
        bias, error, rows = map(float, stats[0, 1:4])
        if not math.isfinite(bias):
            return []
        return [
            f"The judge's scores are corrected by its mean error on {rows:.0f} answers that people have graded "
            f"({-100 * bias:+.1f} points, standard error {100 * error:.1f}), and intervals of single options contain "
            "the uncertainty of it. In differences of two options it cancels, so their intervals do not contain it; "
            "what remains is that the judge may be mistaken about one option more than about another.",
            f"On average a score changed by {100 * stats[:, 4].mean():.1f} points with the order in which answer and "
            f"reference were shown; {stats[:, 5].sum():.0f} of {len(stats)} answers had no usable verdict.",
        ]
