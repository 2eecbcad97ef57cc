"""Selectors against their definitions: similarity, diversity, difficulty, vectors and order."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from autoadapt.domain.params import WordParams
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import ComparesVectors
from autoadapt.errors import UserError
from autoadapt.selectors.hard import PARTS
from autoadapt.shelves import SELECTORS
from autoadapt.word_models import fit_words
from autoadapt.worker.examples import in_order

WORDS = ["apple", "pear", "plum", "saw", "hammer", "drill", "cat", "owl", "wolf", "fig"]
ROWS = [
    Row(id=i, input=f"{WORDS[i % 10]} and {WORDS[(3 * i + 1) % 10]} number {i % 4}", outputs=["abc"[i % 3]])
    for i in range(30)
]


def cosine(texts: list[str]) -> np.ndarray:
    matrix = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(texts)
    return (matrix @ matrix.T).toarray()


def test_diverse_maximises_marginal_relevance_at_every_step() -> None:
    """The greedy rule of Carbonell and Goldstein, evaluated over all rows; the query is one of them."""
    similarity = cosine([row.input for row in ROWS])
    for query in (4, 17):
        chosen = [row.id for row in SELECTORS.get("diverse").prepare(ROWS, 5, seed=0)(ROWS[query].input)][::-1]
        for step, one in enumerate(chosen):
            before = chosen[:step]

            def gain(row: int, before: list[int] = before, query: int = query) -> float:
                alike = max((similarity[row, other] for other in before), default=0.0)
                return 0.5 * similarity[query, row] - 0.5 * alike - (alike > 0.999)

            assert gain(one) == pytest.approx(max(gain(row.id) for row in ROWS if row.id not in before))


def test_diverse_does_not_show_a_row_twice_that_stands_twice_in_the_data() -> None:
    rows = [*ROWS, *(row.model_copy(update={"id": row.id + 100}) for row in ROWS)]
    diverse = {row.input for row in SELECTORS.get("diverse").prepare(rows, 4, seed=0)(ROWS[3].input)}
    nearest = {row.input for row in SELECTORS.get("nearest").prepare(rows, 4, seed=0)(ROWS[3].input)}
    assert len(diverse) == 4 > len(nearest)


def test_hard_rows_are_those_that_a_model_fitted_on_others_gets_wrong() -> None:
    rows = [Row(id=i, input=f"{'red' if i % 2 else 'blue'} thing {i % 5}", outputs=["xy"[i % 2]]) for i in range(40)]
    odd = {5, 12, 23, 30}
    rows = [r.model_copy(update={"outputs": ["yx"[r.id % 2]]}) if r.id in odd else r for r in rows]
    chosen = SELECTORS.get("hard").prepare(rows, 4, seed=3)("any")
    assert {row.id for row in chosen} == odd
    assert {row.outputs[0] for row in chosen[:2]} == {"x", "y"}, "labels take turns"
    more = SELECTORS.get("hard").prepare(rows, 7, seed=3)("any")
    assert {row.id for row in more[3:]} == odd, "rows that were answered rightly stand before them"


def test_hard_never_learns_from_the_row_that_it_judges() -> None:
    """Every text stands once and has a label of its own kind: a model that knew the row would be right everywhere."""
    rows = [Row(id=i, input=f"word{i}", outputs=["xy"[i * 7919 % 2]]) for i in range(20)]
    known = fit_words(
        "tfidf", WordParams(units="words"), [r.input for r in rows], [r.outputs[0] for r in rows], ["x", "y"]
    )
    assert [a for a, _, _ in known.answered([r.input for r in rows], ["x", "y"])] == [r.outputs[0] for r in rows]
    chosen = SELECTORS.get("hard").prepare(rows, len(rows) // PARTS, seed=0)("any")
    assert len(chosen) == 4, "there are wrong ones among them"
    from autoadapt.selectors.hard import _answered_by_others

    assert not all(right for right, _ in _answered_by_others(rows))


def test_nearest_embedding_compares_the_vectors_that_it_is_given() -> None:
    select = SELECTORS.get("nearest_embedding").prepare(ROWS, 3, seed=0)
    assert isinstance(select, ComparesVectors)
    with pytest.raises(UserError, match="gives no vectors of texts; use nearest"):
        select("apple")
    random = np.random.default_rng(0)
    vectors = random.normal(size=(len(ROWS), 6))
    query = vectors[11] + 0.01
    select.use(vectors, lambda text: query)
    expected = np.argsort(vectors @ query)[-3:]
    assert [row.id for row in select("anything")] == list(expected)


def test_orders_of_examples() -> None:
    rows = [Row(id=i, input="x", outputs=[label]) for i, label in enumerate("abacb")]
    assert [r.id for r in in_order(rows, "best_last")] == [0, 1, 2, 3, 4]
    assert [r.id for r in in_order(rows, "best_first")] == [4, 3, 2, 1, 0]
    assert [r.id for r in in_order(rows, "by_label")] == [0, 2, 3, 1, 4], "the best row's label stands last"
