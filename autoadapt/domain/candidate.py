"""Candidate: a method on a model with all of its parameters; what a trial tries."""

import hashlib
import json
import math

from autoadapt.domain.params import MOST_PAIRS, TEACHER_ROWS, DecodingParams
from autoadapt.domain.space import Scalar
from autoadapt.domain.strict import StrictModel

Params = dict[str, Scalar]


def params_line(params: Params) -> str:
    """Parameters in a line, such as ``r=8 learning_rate=0.0001``."""
    return " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())


class Candidate(StrictModel):
    """A method with its parameters, prompt parameters included; conditional parameters that do not apply are absent."""

    method: str
    model: str
    params: Params

    @property
    def passes(self) -> float:
        """Passes over the training rows, to which the time of training is in proportion; 1 for what does not train.

        A pass over pairs of rows counts as one for every pair that a row begins (`pairs_per_row`).
        """
        return float(self.params.get("num_train_epochs") or 1.0) * float(self.params.get("pairs_per_row") or 1.0)

    @property
    def teacher_rows(self) -> int:
        """Rows labelled by a teacher that it learns from, beside the training rows."""
        return int(self.params.get(TEACHER_ROWS) or 0)

    def passes_over(self, rows: int) -> float:
        """`passes`, where those over the rows of a teacher are counted as passes over the training rows.

        Args:
            rows: for training, those of a teacher apart; 0: not known.
        """
        return self.passes * (1 + self.teacher_rows / rows) if rows else self.passes

    @property
    def written_first(self) -> float:
        """Tokens of reasoning that it may write before it answers, over all of its samples, to which the time of its
        answers is about in proportion; 0 for what does not reason."""
        if self.params.get("reasoning", "none") == "none":
            return 0.0
        longest = self.params.get("reasoning_tokens") or DecodingParams.model_fields["reasoning_tokens"].default
        return float(longest) * self.samples

    @property
    def samples(self) -> float:
        """Answers that are drawn for each input."""
        return float(self.params.get("samples") or 1.0)

    def steps(self, rows: int) -> int:
        """Optimizer steps of its whole training.

        Args:
            rows: for training, those of a teacher apart.
        """
        pairs, batch = self.params.get("pairs_per_row"), int(self.params.get("batch_size") or 16)
        rows += self.teacher_rows
        examples = min(rows * int(pairs), MOST_PAIRS) if pairs else rows
        return math.ceil(examples / batch) * int(self.params.get("num_train_epochs") or 1)

    def key(self) -> str:
        """A short hash that is equal for equal candidates, whatever the order of their parameters."""
        text = json.dumps([self.method, self.model, self.params], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(candidate: Candidate) -> str:
    """A candidate in a line."""
    return f"{candidate.method} {params_line(candidate.params)}"
