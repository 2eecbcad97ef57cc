"""Training examples: prompt and answer of each row as token ids."""

from collections.abc import Sequence

from autoadapt.domain.rows import Row
from autoadapt.models.causal_lm.encoding import Encoder
from autoadapt.training.batches import Example


def make_examples(encoder: Encoder, rows: Sequence[Row], limit: int) -> list[Example]:
    """One example per row; answers are cut so that no example is longer than `limit` tokens."""
    examples = []
    for row in rows:
        prompt = encoder.encode(row.input).ids
        ids = (prompt + encoder.answer(row.outputs[0]))[:limit]
        if len(ids) > len(prompt):
            examples.append(Example(ids, len(prompt)))
    return examples
