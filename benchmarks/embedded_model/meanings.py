"""Phrases and sentences that mean the same, by the judgement of the sentence encoder the model is made from.

Hand-written word lists are soon known by heart: a model trained on them alone answered 92 % of their questions and those
of unseen tasks at chance. So the encoder (all-MiniLM-L6-v2) pairs thousands of words and phrases of the documents with
the sentences nearest to them, and problems are drawn from all of these: a distillation of what the encoder knows of
meaning into a model that must answer from its prompt.

    meanings = find_meanings(documents, Path("all-MiniLM-L6-v2"), cache=Path("meanings.npz"))
    meanings.problem(random, 4)    # [(phrase, [sentence, ...]), ...]
"""

import collections
import itertools
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

SENTENCES, WORDS, PAIRS, TRIPLES, NEAREST = 70_000, 8_000, 10_000, 5_000, 40
LEAST_LIKENESS, MOST_ALIKE, LEAST_MARGIN = 0.33, 0.55, 0.08
"""Cosine a sentence must have to its phrase, that phrases of one problem may have to each other, and by which a sentence
must be nearer to its own phrase than to the others of the problem."""
STOP = set(
    "the and that this with for was were are but not you your his her its they them their from have has had been who "
    "which what when where will would could should there here than then some any all one two out into over about more "
    "most very just also only such other after before because while being does did how why our these those each can may "
    "said says like even much many made make it's don't didn't i'm he's she's isn't".split()
)


@dataclass
class Meanings:
    phrases: list[str]
    sentences: list[str]
    nearest: np.ndarray
    """Shape (phrases, NEAREST): indices of sentences, most like first; -1 where there is none."""
    vectors: np.ndarray
    """Of the phrases, shape (phrases, 384), length 1."""
    points: np.ndarray
    """Of the sentences, shape (sentences, 384), length 1."""
    others: dict[str, np.ndarray] = field(default_factory=dict)
    """Vectors of further texts."""

    def __post_init__(self) -> None:
        self.row_of = {text: (self.points, i) for i, text in enumerate(self.sentences)}
        self.row_of.update({text: (self.vectors, i) for i, text in enumerate(self.phrases)})

    def add(self, texts: list[str], encoder: Path) -> None:
        """Makes `vector` know these texts."""
        self.others.update(zip(texts, embed(texts, encoder), strict=True))

    def vector(self, text: str) -> np.ndarray | None:
        """The encoder's vector of a text, shape (384,); None where it is not known."""
        if text in self.others:
            return self.others[text]
        table, i = self.row_of.get(text, (None, 0))
        return None if table is None else table[i]

    def problem(self, r: random.Random, ways: int) -> list[tuple[str, list[str]]]:
        """So many phrases of different meaning, each with sentences nearer to it than to the others."""
        while True:
            chosen: list[int] = []
            for _ in range(20 * ways):
                i = r.randrange(len(self.phrases))
                if not chosen or float((self.vectors[chosen] @ self.vectors[i]).max()) < MOST_ALIKE:
                    chosen.append(i)
                if len(chosen) == ways:
                    break
            found = []
            for n, i in enumerate(chosen):
                near = self.nearest[i][self.nearest[i] >= 0]
                likeness = self.points[near] @ self.vectors[chosen].T
                others = np.delete(likeness, n, axis=1).max(1)
                near = near[likeness[:, n] > others + LEAST_MARGIN]
                found.append((self.phrases[i], [self.sentences[j] for j in near]))
            if len(chosen) == ways and all(len(texts) >= 3 for _, texts in found):
                return found


@torch.no_grad()
def embed(texts: list[str], folder: Path, size: int = 128) -> np.ndarray:
    """Mean-pooled vectors of length 1, shape (n, 384)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = np.zeros((len(texts), 384), np.float32)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        batch = tokenizer([texts[i] for i in part], padding=True, truncation=True, max_length=64, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][:, :, None]
        out[part] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    return out


def find_meanings(documents: list[str], encoder: Path, cache: Path) -> Meanings:
    """Phrases with their nearest sentences; kept in `cache`, for it takes minutes."""
    if cache.exists():
        kept = np.load(cache)
        return Meanings(
            list(kept["phrases"]), list(kept["sentences"]), kept["nearest"], kept["vectors"], kept["points"]
        )
    r = random.Random(5)
    sentences: list[str] = []
    words, pairs, triples = collections.Counter(), collections.Counter(), collections.Counter()
    for document in r.sample(documents, len(documents)):
        if re.search(r"\b(film|movie)s?\b", document.lower()) and r.random() < 0.8:
            continue  # or two thirds of all would be about films
        found = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", document[:3000])]
        good = [s for s in found if 5 <= len(s.split()) <= 24]
        sentences += good[:10]
        tokens = [w.lower().strip("'") for w in re.findall(r"[A-Za-z][A-Za-z']+", document[:1500])]
        words.update({w for w in tokens if len(w) > 3 and w not in STOP})
        pairs.update(
            {f"{a} {b}" for a, b in itertools.pairwise(tokens)
             if len(a) > 2 and len(b) > 2 and a not in STOP and b not in STOP}
        )  # fmt: skip
        triples.update(
            {f"{a} {b} {c}" for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False)
             if len(a) > 2 and len(c) > 3 and a not in STOP and c not in STOP}
        )  # fmt: skip
    sentences = list(dict.fromkeys(sentences))[:SENTENCES]
    phrases = [w for w, n in words.most_common(14_000) if n < 4000]
    phrases = r.sample(phrases, min(WORDS, len(phrases)))
    for counts, most, wanted in ((pairs, 25_000, PAIRS), (triples, 12_000, TRIPLES)):
        common = [p for p, _ in counts.most_common(most)]
        phrases += r.sample(common, min(wanted, len(common)))
    vectors, points = embed(phrases, encoder), embed(sentences, encoder)
    nearest = np.full((len(phrases), NEAREST), -1, np.int32)
    for start in range(0, len(phrases), 500):
        likeness = vectors[start : start + 500] @ points.T
        for i, row in enumerate(likeness):
            best = np.argpartition(-row, 3 * NEAREST)[: 3 * NEAREST]
            best = best[np.argsort(-row[best])]
            word = phrases[start + i].split()[0][:6]
            # half of the sentences must mean it without saying it
            silent = [j for j in best if word not in sentences[j].lower()]
            saying = [j for j in best if word in sentences[j].lower()][: NEAREST // 3]
            kept = [j for j in [*silent[: NEAREST - len(saying)], *saying] if row[j] > LEAST_LIKENESS]
            nearest[start + i, : len(kept)] = kept
    enough = (nearest >= 0).sum(1) >= 6
    phrases = [p for p, keep in zip(phrases, enough, strict=True) if keep]
    found = Meanings(phrases, sentences, nearest[enough], vectors[enough], points)
    np.savez(cache, phrases=phrases, sentences=sentences, nearest=found.nearest, vectors=found.vectors, points=points)
    return found
