"""Few-shot examples most like the query (Liu et al. 2022, "What makes good in-context examples for GPT-3?")."""

from collections.abc import Callable, Sequence

from autoadapt.domain.plugins import Selector
from autoadapt.domain.rows import Row


class Nearest(Selector):
    """The rows of greatest TF-IDF cosine similarity, the most similar last (nearest the question).

    StrictModel and character 3-grams would be dearer; words of any length keep one query under a millisecond. Other examples
    for every query mean that no shared prefix can be kept computed: it shows in latency and cost.
    """

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Callable[[str], list[Row]]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        pool = list(rows)
        vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
        matrix = vectorizer.fit_transform([row.input for row in pool])

        def nearest(query: str) -> list[Row]:
            similarity = (matrix @ vectorizer.transform([query]).T).toarray().ravel()
            best = similarity.argsort(kind="stable")[::-1][:shots]
            return [pool[i] for i in reversed(best)]

        return nearest
