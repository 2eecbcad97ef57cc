"""Few-shot examples that are like the query and unlike each other.

Maximal marginal relevance (Carbonell and Goldstein 1998), as Ye et al. 2023 ("Complementary Explanations for Effective
In-Context Learning") use it for examples.
"""

from collections.abc import Sequence

from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector

RELEVANCE = 0.5
"""Weight of being like the query; the rest is the weight of being unlike the examples that were chosen before."""
CANDIDATES_PER_SHOT = 10
"""Only the rows most like the query are compared with each other, so that many training rows cost no time."""


SAME = 0.999
"""Similarity from which two rows say the same; such a row is shown only when no other one is left."""


class Diverse(Selector):
    """Rows of great TF-IDF cosine similarity with the query and little with each other; the first chosen last.

    Each next example maximises half its similarity with the query less half its greatest similarity with those chosen
    before, so that eight examples do not say the same thing eight times.
    """

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        from autoadapt.word_models import WordSimilarity

        pool = list(rows)
        similarity = WordSimilarity([row.input for row in pool])

        def diverse(query: str) -> list[Row]:
            relevance = similarity.to(query)
            candidates = relevance.argsort(kind="stable")[::-1][: CANDIDATES_PER_SHOT * shots]
            relevance, between = relevance[candidates], similarity.between(candidates)
            left, chosen = list(range(len(candidates))), list[int]()
            while left and len(chosen) < shots:
                gains = RELEVANCE * relevance[left]
                if chosen:
                    alike = between[left][:, chosen].max(axis=1)
                    gains = gains - (1 - RELEVANCE) * alike - (alike > SAME)
                chosen.append(left.pop(int(gains.argmax())))
            return [pool[candidates[i]] for i in reversed(chosen)]

        return diverse
