"""Few-shot examples most like the query (Liu et al. 2022, "What makes good in-context examples for GPT-3?")."""

from collections.abc import Sequence

from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select, Selector


class Nearest(Selector):
    """The rows of greatest TF-IDF cosine similarity, the most similar last (nearest the question).

    Embeddings and character 3-grams would take longer; with words of any length one query takes less than a
    millisecond. Because examples differ from query to query, no shared prefix can be kept computed, which latency and
    cost show.
    """

    def prepare(self, rows: Sequence[Row], shots: int, seed: int) -> Select:
        from sklearn.feature_extraction.text import TfidfVectorizer

        pool = list(rows)
        vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
        matrix = vectorizer.fit_transform([row.input for row in pool])

        def nearest(query: str) -> list[Row]:
            similarity = (matrix @ vectorizer.transform([query]).T).toarray().ravel()
            best = similarity.argsort(kind="stable")[::-1][:shots]
            return [pool[i] for i in reversed(best)]

        return nearest
