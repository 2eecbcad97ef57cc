"""Training episodes: short prompts with their answers, drawn anew each time from many small problems.

An episode is one prompt as a user would write it: an instruction or none, labels listed or not, examples or none, in one
of many formats. What makes a small model learn from examples in its prompt, rather than learn tasks by heart, is that
problems are many and recur little (Chan et al. 2022, "Data Distributional Properties Drive Emergent In-Context
Learning"): so besides labelled data sets there are problems made from documents (which document is a sentence from?)
and from word lists, labels are often replaced by arbitrary words, and the query's label is mostly among the examples.

    episodes = Episodes(load_sources(shared), seed=0)
    episode = episodes.draw()      # Episode(text, spans, answer, chat)

Reads `corpus/` and of `data/` only the train splits of snips_slots and e2e_nlg. banking77, trec6, sst2 and
medical_abstracts are never read here: they are the held-out tasks of `evaluate.py`.
"""

import collections
import gzip
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lexicon
from meanings import Meanings, find_meanings

MEMBERS = {name: [w.replace("_", " ") for w in words.split()] for name, words in lexicon.CATEGORIES.items()}


def read_jsonl(path: Path) -> list[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass
class Problem:
    """Some labels and a way to draw a text for each."""

    labels: list[str]
    sample: Callable[[str], str]
    noun: str = "Text"
    attribute: str = "Label"
    question: str = "Which label fits this text?"
    named: bool = True
    """Whether the labels' names say what they mean."""
    renamed: bool = False


@dataclass
class Episode:
    """A prompt up to its last answer, the answers inside it as (first character, last + 1, weight), the last answer.

    `given` are all answers inside it, weighted or not; `listed` the labels where the instruction lists them: (first
    character, last + 1, label). `sources` are the inputs, the query's last; `meant` says what the text up to a character
    means: (last + 1, text of that meaning), the query's under -1.
    """

    text: str
    spans: list[tuple[int, int, float]]
    answer: str
    chat: bool = True
    given: list[tuple[int, int, str]] = field(default_factory=list)
    listed: list[tuple[int, int, str]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    meant: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Sources:
    tasks: dict[str, dict]
    documents: list[str]
    topics: list[tuple[list[str], list[str]]]
    """Of each longer document: its sentences, its key words."""
    restaurants: list[dict]
    requests: list[dict]
    everyday: list[tuple[str, dict[str, list[str]]]]
    """Noun, and messages by label, of each part of `everyday.txt`."""
    meanings: Meanings | None = None


def load_sources(shared: Path, encoder: Path | None = None, cache: Path = Path("meanings.npz")) -> Sources:
    """Everything training reads, from the shared folder; with `encoder`, phrases that it pairs with sentences too."""
    meta = json.loads((shared / "corpus/tasks.meta.json").read_text())
    tasks = {n: {**{k: m[k] for k in ("noun", "attribute", "question")}, "rows": {}} for n, m in meta.items()}
    for row in read_jsonl(shared / "corpus/tasks.jsonl.gz"):
        tasks[row["task"]]["rows"].setdefault(row["label"], []).append(" ".join(row["text"].split()))
    requests = read_jsonl(shared / "data/snips_slots/train.jsonl")
    intents: dict[str, list[str]] = {}
    for row in requests:
        intent = re.sub(r"(?<!^)(?=[A-Z])", " ", json.loads(row["completion"])["intent"]).lower()
        intents.setdefault(intent, []).append(row["prompt"])
    tasks["snips"] = {"noun": "Request", "attribute": "Intent", "question": "What does the user want?", "rows": intents}
    documents = [row["text"] for row in read_jsonl(shared / "corpus/documents.jsonl.gz")]
    topics, restaurants = find_topics(documents), read_jsonl(shared / "data/e2e_nlg/train.jsonl")
    sources = Sources(tasks, documents, topics, restaurants, requests, read_everyday())
    if encoder is not None:
        rows = [t for task in tasks.values() for rows in task["rows"].values() for t in rows[:2000]]
        spoken = [t for t in rows if len(t.split()) < 25]
        joined = [". ".join(spoken[i : i + 8]) for i in range(0, len(spoken), 8)]
        sources.meanings = find_meanings([*documents, *joined], encoder, cache)
        labels = {label for task in tasks.values() for label in task["rows"]} | set(MEMBERS)
        asked = {*lexicon.ACTIONS, *lexicon.THINGS, *(f"{a} {t}" for a in lexicon.ACTIONS for t in lexicon.THINGS)}
        messages = {t for _, rows in sources.everyday for label, texts in rows.items() for t in (label, *texts)}
        sources.meanings.add(sorted(labels | asked | messages), encoder)
    return sources


def read_everyday() -> list[tuple[str, dict[str, list[str]]]]:
    parts: list[tuple[str, dict[str, list[str]]]] = []
    for line in (Path(__file__).parent / "everyday.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            parts.append((line.partition("|")[2].strip() or "Text", {}))
        else:
            label, _, texts = line.partition(": ")
            parts[-1][1][label] = texts.split(" | ")
    return parts


def find_topics(documents: list[str]) -> list[tuple[list[str], list[str]]]:
    """Sentences and key words (greatest tf-idf) of each document with at least six sentences."""
    words = [re.findall(r"[A-Za-z]{4,}", d[:4000].lower()) for d in documents]
    seen_in = collections.Counter(w for ws in words for w in set(ws))
    topics = []
    for document, ws in zip(documents, words, strict=True):
        sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", document[:4000])]
        sentences = [s for s in sentences if 5 <= len(s.split()) <= 40]
        if len(sentences) < 6:
            continue
        counts = collections.Counter(w for w in ws if 5 <= seen_in[w] <= 2500)
        scored = sorted(
            ((c * math.log(len(documents) / seen_in[w]), w) for w, c in counts.items() if c > 1), reverse=True
        )
        if scored:
            topics.append((sentences, [w for _, w in scored[:4]]))
    return topics


CUES = [
    ("Text: ", "\nLabel:"), ("Input: ", "\nOutput:"), ("", "\nAnswer:"), ("", " =>"), ("", "\nAnswer:"), ("Text: ", "\nAnswer:"),
    ("Q: ", "\nA:"), ("", " ->"), ("Sentence: ", "\nCategory:"), ("- ", ":"), ("Message: ", "\nTopic:"), ('"', '"\nLabel:'), ("", "\n"),
    ("Text: ", "\nCategory:"), ("<text>", "</text>\nLabel:"),
]  # fmt: skip
HEADS = [
    "Classify the text as one of: {options}.", "Choose one of: {options}.", "Labels: {options}", "{question} Options: {options}.",
    "{question} Answer with one of these: {options}.", "Which of these fits best: {options}?", "Categories: {options}.",
    "Sort each {noun} into one of {n} groups: {options}.", "Read the {noun} and pick the right label from {options}.",
    "You label each {noun} with exactly one of the following.\n{lines}", "Label the {noun}.\n{lines}", "Decide between {options}.",
]  # fmt: skip
BARE = [
    "{question}",
    "Classify the {noun}.",
    "Label each {noun}.",
    "Classify the text.",
    "What is the {attribute}?",
    "Answer with one label.",
]
TAILS = ["\nOptions: {options}", "\nWhich one: {options}?", "\n{question} {options}?", "\nChoose from {options}."]


class Episodes:
    """Draws episodes; the same seed gives the same ones.

    Args:
        sources: what `load_sources` returns.
        seed: of all that is random.
        longest: greatest length of an episode in characters (about 4 per token).
    """

    def __init__(self, sources: Sources, seed: int, longest: int = 1100) -> None:
        self.sources, self.random, self.longest = sources, random.Random(seed), longest
        self.names = list(sources.tasks)
        self.weights = [math.sqrt(min(20000, sum(map(len, t["rows"].values())))) for t in sources.tasks.values()]
        self.kinds: list[tuple[float, Callable[[], Episode]]] = [
            (0.74, self.classification), (0.05, self.yes_or_no), (0.05, self.extraction), (0.05, self.word_function),
            (0.04, self.rewriting), (0.04, self.restaurant), (0.03, self.request),
        ]  # fmt: skip

    def draw(self) -> Episode:
        kinds, r = self.kinds, self.random
        longest = self.longest if r.random() < 0.9 else 2 * self.longest
        while True:
            episode = r.choices([k for _, k in kinds], [w for w, _ in kinds])[0]()
            if len(episode.text) <= longest:
                episode.chat = r.random() < 0.75
                return episode

    # problems

    def cut(self, text: str, words: int) -> str:
        return " ".join(text.split()[:words])

    def problem(self) -> Problem:
        r = self.random
        kinds = [
            self.labelled,
            self.topics,
            self.categories,
            self.intents,
            self.things_done,
            self.everyday,
            self.meaning,
        ]
        shares = [0.18, 0.05, 0.07, 0.04, 0.05, 0.09, 0.52 if self.sources.meanings else 0.0]
        return r.choices(kinds, shares)[0]()

    def everyday(self) -> Problem:
        r = self.random
        noun, rows = r.choice(self.sources.everyday)
        if r.random() < 0.5:  # of all parts
            noun, rows = "Message", {label: texts for _, part in self.sources.everyday for label, texts in part.items()}
        labels = r.sample(list(rows), min(len(rows), r.choice([2, 3, 4, 5, 6, 8])))
        return Problem(labels, lambda label: r.choice(rows[label]), noun, "Label", "What is it about?")

    def meaning(self) -> Problem:
        r = self.random
        assert self.sources.meanings is not None
        found = dict(self.sources.meanings.problem(r, r.choice([2, 3, 4, 5, 6, 8, 8, 10])))
        noun = r.choice(["Text", "Sentence", "Message", "Input"])
        attribute = r.choice(["Topic", "Label", "Category", "Intent"])
        return Problem(list(found), lambda label: r.choice(found[label]), noun, attribute, "Which one fits best?")

    def labelled(self) -> Problem:
        r = self.random
        task = self.sources.tasks[r.choices(self.names, self.weights)[0]]
        labels = r.sample(list(task["rows"]), min(len(task["rows"]), r.choice([2, 3, 4, 5, 6, 8])))
        longest = r.choice([8, 12, 16, 24, 40])
        return Problem(
            labels,
            lambda label: self.cut(r.choice(task["rows"][label]), longest),
            task["noun"],
            task["attribute"],
            task["question"],
        )

    def topics(self) -> Problem:
        r = self.random
        while True:
            chosen = r.sample(self.sources.topics, r.choice([2, 3, 4, 5, 6, 8]))
            names = [r.choice(words) for _, words in chosen]
            if len(set(names)) == len(names):
                break
        sentences = {n: s for n, (s, _) in zip(names, chosen, strict=True)}
        hide, longest = r.random() < 0.5, r.choice([8, 12, 16, 24])

        def sample(label: str) -> str:
            text = r.choice(sentences[label])
            if label not in text.lower():  # a second try, for sentences that say something of their topic
                text = r.choice(sentences[label])
            if hide:
                text = re.sub(rf"\b{label}\w*", r.choice(["it", "that", "..."]), text, flags=re.IGNORECASE)
            return self.cut(text, longest)

        noun = r.choice(["Text", "Sentence", "Passage"])
        return Problem(names, sample, noun, "Topic", f"What is this {noun.lower()} about?")

    def categories(self) -> Problem:
        r = self.random
        labels = r.sample(list(MEMBERS), r.choice([2, 3, 4, 5, 6, 8]))
        carrier = r.choice(lexicon.CARRIERS) if r.random() < 0.5 else None

        def sample(label: str) -> str:
            w, v = r.sample(MEMBERS[label], 2) if len(MEMBERS[label]) > 1 else MEMBERS[label] * 2
            return (carrier or r.choice(lexicon.CARRIERS)).format(w=w, v=v)

        return Problem(
            labels, sample, r.choice(["Text", "Word", "Input"]), "Category", "Which category does it belong to?"
        )

    def intents(self) -> Problem:
        r = self.random
        by_action = r.random() < 0.5
        table = lexicon.ACTIONS if by_action else lexicon.THINGS
        labels = r.sample(list(table), r.choice([2, 3, 4, 5, 6, 8]))

        def sample(label: str) -> str:
            action, thing = (
                (label, r.choice(list(lexicon.THINGS))) if by_action else (r.choice(list(lexicon.ACTIONS)), label)
            )
            return self.ask(action, thing)

        question = "What does the customer want to do?" if by_action else "What is the request about?"
        return Problem(labels, sample, r.choice(["Message", "Request", "Text"]), "Intent", question)

    def things_done(self) -> Problem:
        r = self.random
        pairs = {}
        for _ in range(r.choice([2, 3, 4, 6, 8])):
            action, thing = r.choice(list(lexicon.ACTIONS)), r.choice(list(lexicon.THINGS))
            pairs[f"{action} {thing}"] = (action, thing)
        if len(pairs) < 2:
            return self.things_done()
        return Problem(
            list(pairs), lambda label: self.ask(*pairs[label]), r.choice(["Message", "Request", "Text"]), "Intent",
            "What does the user want?",
        )  # fmt: skip

    def ask(self, action: str, thing: str) -> str:
        r = self.random
        said = r.choice(lexicon.ACTIONS[action].split("|"))
        if said == lexicon.ACTIONS[action].split("|")[0]:
            said = r.choice(said.split()).replace("_", " ")
            said = r.choice(
                ["{s}", "I want to {s}", "please {s}", "can you {s}", "I need to {s}", "help me {s}", "could we {s}"]
            ).format(s=said)
        text = f"{said} {r.choice(lexicon.THINGS[thing].split('|'))}"
        end = r.choice(["", ".", "?", "!", ", please.", ", thanks", " today."])
        return (text[0].upper() + text[1:] if r.random() < 0.6 else text) + end

    # formats

    def style(self, labels: list[str]) -> dict[str, str]:
        """How labels are written in this episode."""
        kind = self.random.choices(["as is", "title", "upper", "snake"], [0.76, 0.12, 0.06, 0.06])[0]
        how = {"as is": str, "title": str.capitalize, "upper": str.upper, "snake": lambda s: s.replace(" ", "_")}[kind]
        return {label: how(label) for label in labels}

    def options(self, shown: list[str]) -> str:
        r = self.random
        if len(shown) > 1 and r.random() < 0.35:
            return ", ".join(shown[:-1]) + r.choice([" or ", ", or "]) + shown[-1]
        return r.choice([", ", ", ", ", ", " / ", "; "]).join(shown)

    def classification(self) -> Episode:
        r = self.random
        p = self.problem()
        k = len(p.labels)
        mode = r.choices(["listed", "shots", "renamed", "defined"], [0.42, 0.20, 0.30, 0.08])[0]
        shown = self.style(p.labels)
        if mode in ("renamed", "defined"):
            words = (
                [w for w in lexicon.NONSENSE]
                if r.random() < 0.6
                else r.choices([w for words in MEMBERS.values() for w in words], k=60)
            )
            words = [w for w in dict.fromkeys(words) if w not in lexicon.HELD_OUT_LABELS]
            shown = dict(zip(p.labels, r.sample(words, k), strict=True))
        shots = {
            "listed": lambda: r.choice([0, 0, 0, 2, 4, 6, 8]),
            "shots": lambda: r.choice([2, 3, 4, 6, 8, 12]),
            "renamed": lambda: r.choice([4, 6, 8, 8, 12, 16]),
            "defined": lambda: r.choice([0, 0, 0, 1, 2, 4]),
        }[mode]()
        listed = mode == "listed" or r.random() < 0.35
        order = list(shown.values())
        r.shuffle(order)
        lines = "\n".join(f"- {s}" for s in order)
        if mode == "defined":
            sign = r.choice([": ", " = ", " means ", " - "])
            pairs = list(p.labels)
            r.shuffle(pairs)
            lines = r.choice(["\n", "; "]).join(shown[label] + sign + label for label in pairs)
            head = r.choice(
                ["Use these labels.\n{lines}", "Labels:\n{lines}", "{lines}", "Classify with the labels {lines}."]
            )
        elif listed:
            head = r.choice(HEADS)
        else:
            head = r.choice(["", "", r.choice(BARE)])
        fill = {"options": self.options(order), "question": p.question, "noun": p.noun.lower(), "attribute": p.attribute.lower(),
                "n": str(k), "lines": lines}  # fmt: skip
        before, after = r.choice([*CUES, (f"{p.noun}: ", f"\n{p.attribute}:"), (f"{p.noun}: ", "\nAnswer:"), ("", f"\n{p.attribute}:"),
                                  ("", f"\nQuestion: {p.question}\nAnswer:")])  # fmt: skip
        if listed and mode != "defined" and r.random() < 0.2:
            head, after = "", r.choice(TAILS).format(**fill) + "\nAnswer:"
        answers = self.answers(p.labels, shots)
        pairs = [(p.sample(label), shown[label]) for label in answers]
        free = set() if (listed or mode == "defined") else None
        head = head.format(**fill)
        # where all labels are listed each text is a question of its own, so every answer counts in full
        episode = self.assemble(head, before, after, pairs, 1.0 if mode == "listed" else 0.7, free)
        if listed and mode in ("listed", "shots"):
            last = len(episode.text) - len(after) - 1
            for label in order:
                where = [m.span() for m in re.finditer(rf"(?<!\w){re.escape(label)}(?!\w)", episode.text)]
                episode.listed += [(a, b, label) for a, b in where if b <= len(head) or a >= last]
        named = {s: label for label, s in shown.items()} if mode in ("listed", "shots") else {}
        for (start, end, answer), text in zip(episode.given, episode.sources, strict=False):
            episode.meant += [(start, text), (end, named.get(answer, text))]
        episode.meant += [(end, named[label]) for _, end, label in episode.listed]
        episode.meant.append((-1, episode.sources[-1]))
        return episode

    def answers(self, labels: list[str], shots: int) -> list[str]:
        """Labels of the examples and, last, of the query."""
        r = self.random
        query = r.choice(labels)
        if shots == 0:
            return [query]
        kind = r.random()
        if shots >= len(labels) and kind < 0.6:  # each at least once
            chosen = labels + r.choices(labels, k=shots - len(labels))
        elif kind < 0.8:  # skewed
            chosen = r.choices(labels, [r.random() ** 2 + 0.05 for _ in labels], k=shots)
        else:  # nearest neighbours: many of the query's own label
            chosen = [query if r.random() < 0.6 else r.choice(labels) for _ in range(shots)]
        r.shuffle(chosen)
        if query not in chosen and r.random() < 0.85:
            query = r.choice(chosen)
        return [*chosen, query]

    def assemble(
        self, head: str, before: str, after: str, pairs: list[tuple[str, str]], weight: float, free: set | None = None
    ) -> Episode:
        """Puts a prompt together.

        Args:
            head: instruction, or empty.
            before, after: around each input.
            pairs: examples and, last, the query with its answer.
            weight: of the examples' answers in the loss.
            free: answers that can be known at their first appearance are not excused; None: first appearances are.
        """
        r = self.random
        gap = "\n" if "\n" not in after and r.random() < 0.6 else "\n\n"
        text = head + r.choice(["\n\n", "\n\n", "\n"]) if head else ""
        spans, given, seen = [], [], set()
        for source, answer in pairs[:-1]:
            text += before + source + after
            start = len(text)
            text += " " + answer if not after.endswith("\n") else answer
            if free is not None or answer in seen:
                # a long answer counts about as much as four words of a label, or it would drown the labels
                spans.append((start, len(text), weight / max(1.0, len(answer.split()) / 4)))
            given.append((start, len(text), answer))
            seen.add(answer)
            text += gap
        text += before + pairs[-1][0] + after
        return Episode(text.rstrip(), spans, pairs[-1][1], given=given, sources=[source for source, _ in pairs])

    # other kinds

    def yes_or_no(self) -> Episode:
        r = self.random
        p = self.problem()
        yes, no = r.choice([("yes", "no"), ("yes", "no"), ("Yes", "No"), ("true", "false")])
        asks = [
            'Is this about "{l}"?',
            "Does the label {l} fit?",
            "Is it {l}?",
            "{l}, yes or no?",
            "Is {l} the right {a}?",
        ]
        ask = r.choice(asks)
        pairs = []
        label = r.choice(p.labels)
        fixed = r.random() < 0.6  # one question for all, so that examples help
        for _ in range(r.choice([0, 0, 1, 2, 4]) + 1):
            label = label if fixed else r.choice(p.labels)
            own = r.random() < 0.5
            text = p.sample(label if own else r.choice([x for x in p.labels if x != label]))
            question = ask.format(l=label, a=p.attribute.lower())
            pairs.append((text if fixed else f"{text}\n{question}", yes if own else no))
        head = ask.format(l=label, a=p.attribute.lower()) if fixed else r.choice(["", f"Answer {yes} or {no}."])
        before, after = r.choice(
            [("", "\nAnswer:"), ("Text: ", "\nAnswer:"), ("Input: ", "\nOutput:"), ("Q: ", "\nA:")]
        )
        return self.assemble(head, before, after, pairs, 0.3, set())

    def sentence(self) -> tuple[str, dict[str, str]]:
        r = self.random
        values = {
            "name": r.choice(lexicon.PEOPLE), "city": r.choice(lexicon.CITIES), "item": r.choice(lexicon.OBJECTS),
            "price": f"{r.randrange(2, 900)} {r.choice(['dollars', 'euros', 'pounds'])}", "number": str(r.randrange(2, 99)),
            "day": r.choice(MEMBERS["weekday"]).capitalize(), "colour": r.choice(MEMBERS["colour"]),
            "phone": f"{r.randrange(100, 999)}-{r.randrange(1000, 9999)}",
        }  # fmt: skip
        template = r.choice(lexicon.SENTENCES)
        return template.format(**values), {f: values[f] for f in lexicon.FIELDS if "{" + f + "}" in template}

    def extraction(self) -> Episode:
        r = self.random
        wanted = r.choice(lexicon.FIELDS)
        as_json = r.random() < 0.3
        pairs = []
        while len(pairs) < r.choice([1, 1, 2, 3, 5]):
            text, values = self.sentence()
            if as_json:
                pairs.append((text, json.dumps(dict(list(values.items())[:3]))))
            elif wanted in values:
                pairs.append((text, values[wanted]))
        heads = ["What is the {w}?", "Extract the {w}.", "Give the {w} in the text.", "{w}"]
        head = r.choice(["Extract the data as JSON.", "Return JSON."]) if as_json else r.choice(heads).format(w=wanted)
        if len(pairs) > 2 and r.random() < 0.5:
            head = ""
        before, after = r.choice([*CUES[:6], ("", f"\n{wanted.capitalize()}:") if not as_json else ("", "\nJSON:")])
        return self.assemble(head, before, after, pairs, 0.5, None if not head else set())

    def word_function(self) -> Episode:
        """One rule on words or short sentences, said in the instruction or to be seen from examples."""
        r = self.random
        words = lambda n: [r.choice(r.choice(list(MEMBERS.values()))) for _ in range(n)]  # noqa: E731
        rules = {
            "Write the opposite.": lambda: (lambda p: p if r.random() < 0.5 else p[::-1])(
                r.choice(lexicon.OPPOSITES).split()
            ),
            "Write the past tense.": lambda: r.choice(lexicon.VERBS).split(),
            "Write in capital letters.": lambda: (lambda w: (w, w.upper()))(" ".join(words(r.choice([1, 2])))),
            "Repeat the text.": lambda: (lambda w: (w, w))(" ".join(words(3))),
            "Give the first word.": lambda: (lambda w: (" ".join(w), w[0]))(words(3)),
            "Give the last word.": lambda: (lambda w: (" ".join(w), w[-1]))(words(3)),
            "Reverse the order of the words.": lambda: (lambda w: (" ".join(w), " ".join(w[::-1])))(words(3)),
            "Name the category.": lambda: (lambda c: (r.choice(MEMBERS[c]), c))(r.choice(list(MEMBERS))),
            "How many words are there?": lambda: (lambda w: (" ".join(w), str(len(w))))(words(r.randrange(1, 7))),
            "Swap the two words.": lambda: (lambda w: (" ".join(w), " ".join(w[::-1])))(words(2)),
        }
        rule = r.choice(list(rules))
        pairs = [tuple(rules[rule]()) for _ in range(r.choice([1, 3, 4, 6, 8]))]
        head = "" if len(pairs) > 3 and r.random() < 0.6 else rule
        before, after = r.choice(CUES[:8])
        return self.assemble(head, before, after, pairs, 0.5, set())

    def rewriting(self) -> Episode:
        r = self.random
        text, values = self.sentence()
        pairs, kind = [], r.choice(["swap", "sentence"])
        for _ in range(r.choice([1, 2, 3])):
            text, values = self.sentence()
            if kind == "swap":
                old = r.choice(list(values))
                new = self.sentence()[1].get(old, "nothing")
                pairs.append((f"{text}\nChange the {old} to {new}.", text.replace(values[old], new)))
            else:
                pairs.append((", ".join(f"{f}: {v}" for f, v in values.items()), text))
        head = {
            "swap": "Rewrite the text.",
            "sentence": r.choice(["Write a sentence with this data.", "Read the input and write the answer."]),
        }[kind]
        before, after = r.choice(CUES[:6])
        return self.assemble(head if r.random() < 0.7 else "", before, after, pairs, 0.3, set())

    def restaurant(self) -> Episode:
        r = self.random
        back = r.random() < 0.2
        rows = r.sample(self.sources.restaurants, r.choice([1, 1, 2, 3]))
        pairs = [(row["completion"], row["prompt"]) if back else (row["prompt"], row["completion"]) for row in rows]
        heads = ["List the data."] if back else ["Write a sentence with this data.", "Rewrite the input as a fluent answer.",
                 "Read the input and write the answer.", "Write the output for the input.", "Describe the restaurant."]  # fmt: skip
        before, after = r.choice(CUES[:6])
        return self.assemble(r.choice(["", r.choice(heads)]), before, after, pairs, 0.3, set())

    def request(self) -> Episode:
        r = self.random
        rows = r.sample(self.sources.requests, r.choice([1, 2, 3]))
        heads = [
            "",
            "Return the request as JSON.",
            "Read the input and write the answer.",
            "Write the output for the input.",
        ]
        before, after = r.choice(CUES[:6])
        return self.assemble(r.choice(heads), before, after, [(x["prompt"], x["completion"]) for x in rows], 0.3, set())

    # plain text

    def document(self, characters: int) -> str:
        text = self.random.choice(self.sources.documents)
        start = self.random.randrange(max(1, len(text) - characters))
        return text[start : start + characters].lstrip() or "."
