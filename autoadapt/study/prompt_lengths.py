"""How much text a candidate reads for each row: what a prompt takes on a model is in proportion to it."""

import itertools
import statistics
from dataclasses import dataclass

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.documents import NO_PASSAGES, Retrieval, retrieval_of
from autoadapt.errors import UserError
from autoadapt.passage_search import sampled
from autoadapt.prompts.rendering import Prompt, common_prefix
from autoadapt.shelves import selector_of
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.tasks.slots import slot_of

SAMPLED_ROWS = 24
"""Rows whose prompts are rendered to see how long they are."""


@dataclass(frozen=True)
class PromptLength:
    """Mean characters of the prompts of a candidate."""

    computed: float
    """Of each row, apart from what all prompts share, and of all labels or of an answer."""
    whole: float
    """Of whole prompts with their answers."""


UNKNOWN = PromptLength(1.0, 1.0)


class PromptLengths:
    """Lengths of prompts, each rendered once for a few rows.

    Args:
        resolved: the task.
    """

    def __init__(self, resolved: ResolvedTask) -> None:
        self._resolved = resolved
        self._known: dict[tuple[str, str, int, int, str, int, Retrieval | None], PromptLength] = {}

    def of(self, candidate: Candidate) -> PromptLength:
        """The length of a candidate's prompts; of one that is not prompted, of its rows."""
        if self._resolved.slots.obstacle(candidate) is not None:  # its instruction is not written yet
            return UNKNOWN
        params = candidate.params
        shots, retrieval = int(params.get("shots") or 0), retrieval_of(params)
        key = (
            str(params.get("template")),
            str(params.get("instruction")),
            slot_of(candidate),  # whose instruction never changes
            shots,
            str(params.get("selector")),
            int(params.get("shortlist") or 0),
            retrieval,
        )
        if key not in self._known:
            try:
                self._known[key] = self._rendered(candidate, shots, retrieval)
            except UserError:  # it cannot be rendered, which is said where it is tried
                self._known[key] = UNKNOWN
        return self._known[key]

    def _rendered(self, candidate: Candidate, shots: int, retrieval: Retrieval | None) -> PromptLength:
        splits, params, text = self._resolved.splits, candidate.params, self._resolved.prompt_of(candidate)
        if not splits.train or not splits.validation:  # a simulated search has no rows
            return UNKNOWN
        shortlist, labels = int(params.get("shortlist") or 0), splits.labels or []
        offered = labels[:shortlist] if shortlist else labels
        prompt = Prompt(text.template, text.instruction, offered, self._resolved.metric.answers == "labels")
        asked = [row.input for row in splits.validation[:SAMPLED_ROWS]]
        # where each row has examples, passages or labels of its own, prompts share nothing
        apart = bool(retrieval) or bool(shortlist) or (bool(shots) and not selector_of(params).same_for_every_query)
        documents = [document.text for document in splits.documents or []]
        found = [NO_PASSAGES] * len(asked) if retrieval is None else list(sampled(documents, retrieval, len(asked)))
        pool = itertools.cycle(splits.train)  # where there are few rows, they are shown again
        shown = [list(itertools.islice(pool, shots)) for _ in asked] if apart else [splits.train[:shots]] * len(asked)
        texts = [prompt.render(a, e, passages=p) for a, e, p in zip(asked, shown, found, strict=True)]
        shared = 0 if apart or not labels else len(common_prefix(texts))
        whole = statistics.mean(map(len, texts))
        written = self._resolved.task.evaluation.max_new_tokens
        answers = len(offered) * statistics.mean(map(len, labels)) if labels else written
        # with long answers, what is written counts as much as what is read
        return PromptLength(whole - shared + answers, whole + len(splits.train[0].outputs[0]))
