"""Other wordings of a prompt that mean the same: no model writes them, so that they are the same in every search.

They are: the other instructions of the search space that name the labels as the option's own does, exchanged English
words, courtesy, prefixes and punctuation; the order of labels; separators; the order and the draw of examples. That is
less than people would write.
"""

import itertools
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from autoadapt.domain.jobs import PromptText
from autoadapt.domain.robustness import Variant
from autoadapt.domain.rows import Row
from autoadapt.errors import UserError
from autoadapt.prompts.rendering import Prompt, literal
from autoadapt.shelves import selector_of

SYNONYMS = (
    ("classify", "categorise"),
    ("choose", "select"),
    ("the text", "the following text"),
    ("one of:", "one of these:"),
    ("read", "look at"),
    ("write", "give"),
    ("name", "list"),
    ("out of", "from"),
    ("labels", "categories"),
)
"""Words of instructions, and others that mean the same there."""
VERBS = re.compile(
    r"(answer|assign|categori[sz]e|choose|classify|decide|determine|find|give|label|list|name|pick|predict|read|rewrite|"
    r"say|select|tell|write)\b",
    re.IGNORECASE,
)
"""With which an instruction begins that can be asked for politely."""
PREFIXES = ("Your task:", "Instruction:")
LONGEST_NAME = 60
"""Characters of an instruction that the name of a variant shows."""
TAGS = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
"""What of a template is no literal text."""
PROBE = [Row(id=0, input="a probe of the input", outputs=["a probe of the output"])]
"""An example by which prompts are compared."""

LabelsShown = Literal["as_written", "listed", "shortlist"]


class Wordings:
    """Other wordings of one option's prompt.

    Args:
        text: its template and instruction.
        labels: the labels to choose from; empty for free text.
        multi_label: whether an answer is a set of labels.
        others: the instructions of the search space.
        shots: examples of which the prompt shows several: how many, and whether every query gets the same ones.
        labels_shown: `as_written`: where the prompt says it; `listed`: in their order, whatever the prompt says;
            `shortlist`: to each input those that it most likely has. Then their order is by how likely they are, and
            only instructions of the search space, which are told labels, are other wordings.
    """

    def __init__(
        self,
        text: PromptText,
        labels: Sequence[str],
        multi_label: bool = False,
        *,
        others: Iterable[str] = (),
        shots: tuple[int, bool] = (0, False),
        labels_shown: LabelsShown = "as_written",
    ) -> None:
        self._text, self._labels, self._multi_label = text, list(labels), multi_label
        self._others, self._shots = list(others), shots
        self._lists_labels, self._shortlist = labels_shown == "listed", labels_shown == "shortlist"
        self._shown = PROBE if shots[0] else []
        self._own = self._prompt(text)
        self._own_rendered = self._rendered(text)

    def variants(self, count: int) -> list[Variant]:
        """Variants of every kind that this prompt can have.

        Args:
            count: of each kind, at most.
        """
        kinds = (self._instructions(), self._label_orders(), self._separators(), self._shot_orders(), self._draws())
        return [variant for kind in kinds for variant in itertools.islice(kind, count)]

    def _prompt(self, text: PromptText, labels: Sequence[str] | None = None) -> Prompt:
        return Prompt(text.template, text.instruction, self._labels if labels is None else labels, self._multi_label)

    def _rendered(self, text: PromptText, labels: Sequence[str] | None = None) -> str:
        """A prompt with as many examples as the option has, none or some, by which prompts are compared."""
        return self._prompt(text, labels).render(PROBE[0].input, self._shown)

    def _instructions(self) -> Iterator[Variant]:
        own = self._own.instruction
        if not own:
            return
        seen = {own}
        others = self._alike()
        if not self._shortlist:
            others = itertools.chain(others, ((reworded, literal(reworded)) for reworded in rewordings(own)))
        for reworded, source in others:
            if reworded in seen or not self._names_the_same_labels(reworded):
                continue
            seen.add(reworded)
            name = f"instruction {len(seen) - 1}: {shortened(reworded)}"
            yield Variant(kind="instruction", name=name, instruction=source if self._shortlist else literal(reworded))

    def _alike(self) -> Iterator[tuple[str, str]]:
        """Other instructions of the search space: rendered, and as they are written."""
        for source in self._others:
            try:
                rendered = self._prompt(self._text.model_copy(update={"instruction": source})).instruction
            except UserError:  # the search space was checked with other labels
                continue
            if rendered:
                yield rendered, source

    def _names_the_same_labels(self, instruction: str) -> bool:
        return all(instruction.count(label) == self._own.instruction.count(label) for label in self._labels)

    def _label_orders(self) -> Iterator[Variant]:
        if len(self._labels) < 2 or self._shortlist:
            return
        for i, order in enumerate(orders(len(self._labels))):
            labels = [self._labels[k] for k in order]
            if self._lists_labels or self._rendered(self._text, labels) != self._own_rendered:
                yield Variant(kind="label_order", name=f"label order {i + 1}", labels=labels)

    def _separators(self) -> Iterator[Variant]:
        seen = {self._own_rendered}
        for name, template in separated(self._text.template):
            try:
                rendered = self._rendered(self._text.model_copy(update={"template": template}))
            except UserError:  # the replaced text was part of what the template computes
                continue
            shown = [PROBE[0].input, *(row.outputs[0] for row in self._shown)]
            if rendered not in seen and all(part in rendered for part in shown):
                seen.add(rendered)
                yield Variant(kind="separators", name=f"separators: {name}", template=template)

    def _shot_orders(self) -> Iterator[Variant]:
        for i, order in enumerate(orders(self._shots[0])):
            yield Variant(kind="shot_order", name=f"example order {i + 1}", order=list(order))

    def _draws(self) -> Iterator[Variant]:
        if self._shots[0] and self._shots[1]:
            for i in itertools.count(1):
                yield Variant(kind="shot_draw", name=f"example draw {i}", seed=i)


def kinds_expected(params: Mapping[str, object]) -> int:
    """Kinds of wordings that the prompt of a candidate may have, from which their price is estimated beforehand.

    Args:
        params: of a prompted candidate.
    """
    shots, shortlist = int(str(params.get("shots") or 0)), bool(params.get("shortlist"))
    instructed = params.get("instruction") != "none"  # a template of the library has its own, as a slot has
    drawn = shots > 0 and selector_of(params).same_for_every_query
    return 1 + instructed + (instructed and not shortlist) + (shots > 1) + drawn


def rewordings(instruction: str) -> Iterator[str]:
    """An instruction in other words, those that change most first."""
    for word, other in SYNONYMS:
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word[-1].isalpha() else re.escape(word), re.I)
        if match := pattern.search(instruction):
            new = other[0].upper() + other[1:] if match.group()[0].isupper() else other
            yield instruction[: match.start()] + new + instruction[match.end() :]
    if re.match(r"[A-Z][a-z]", instruction):
        lower = instruction[0].lower() + instruction[1:]
        if VERBS.match(instruction):
            yield f"Please {lower}"
        yield from (f"{prefix} {instruction}" for prefix in PREFIXES)
        yield lower
    bare = instruction.rstrip(".:! ")
    yield from (bare + end for end in ("", ":", "!"))


def shortened(text: str) -> str:
    """A text in one line of at most `LONGEST_NAME` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"


def orders(count: int) -> Iterator[tuple[int, ...]]:
    """Different orders of so many things, in an order of chance that is always the same; not the one they have."""
    own, generator, seen = tuple(range(count)), random.Random(count), set[tuple[int, ...]]()
    while len(seen) < min(math.factorial(min(count, 12)), 1000) - 1:
        order = tuple(generator.sample(own, count))
        if order != own and order not in seen:
            seen.add(order)
            yield order


def separated(template: str) -> Iterator[tuple[str, str]]:
    """A template with other separators, each with its name (Sclar et al. 2023, "Quantifying language models'
    sensitivity to spurious features in prompt design")."""
    changes = (
        ("dashes", lambda text: re.sub(r":(?=\s|$)", " -", text).replace("=>", "->")),
        ("single line breaks", lambda text: text.replace("\n\n", "\n")),
        ("capitals", lambda text: re.sub(r"[^\W\d_]+(?=:)", lambda match: match.group().upper(), text)),
        ("line breaks after names", lambda text: re.sub(r":(?= )", ":\n", text).replace(":\n ", ":\n")),
        ("double colons", lambda text: re.sub(r":(?=\s|$)", "::", text).replace("=>", "::")),
    )
    parts = TAGS.split(template)
    for name, change in changes:
        yield name, "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
