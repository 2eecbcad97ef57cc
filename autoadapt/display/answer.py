"""The answer of a study in a few lines, as the terminal and the top of the report give it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoadapt.display.option_names import option_names, with_article
from autoadapt.display.sentences import BUSY, expected_text, in_tenths
from autoadapt.display.text import money
from autoadapt.domain.option import Option, number_text, trial_name
from autoadapt.domain.verdict import Verdict
from autoadapt.verdict.comparisons import difference_text, pairs_with, points
from autoadapt.verdict.robustness import robustness_clauses

if TYPE_CHECKING:
    from autoadapt.runs.study import Study

MOST_CAVEATS = 3
GAIN = "Gain of the search: "
MOST_OPTIONS = 7
MOST_TIED = 3
"""Options that a sentence names."""
MOST_UNMEASURED = 4
"""Methods that a sentence names."""
TRIAL = re.compile(r"\b[Tt]rial (\d+)(?: \((\w+)((?:, [^()]*)?)\))?")


VALIDATION = " on validation rows"


@dataclass(frozen=True)
class Against:
    """Something that the recommended option is compared with.

    Args:
        name: such as ``the floor``.
        option: what that is.
        quality: of it.
        rows: on which it was measured; empty: test rows.
        by: by how many points the recommended option is better; empty: it is the recommended option.
    """

    name: str
    option: str
    quality: str
    rows: str
    by: str


class Answer:
    """The recommended option in words, and what it is against.

    Args:
        study: loaded.
    """

    def __init__(self, study: "Study") -> None:
        self.study, self.names = study, option_names(study.options)
        self.chosen = study.option(study.recommendation.trial)

    def name(self, option: Option) -> str:
        """What an option is, as a sentence names it."""
        return self.names.get(option.trial, option.name)

    @property
    def headline(self) -> str:
        """The advice in one sentence."""
        if self.chosen is None:
            return self.renamed(self.study.recommendation.reason)
        return f"Use {with_article(self.chosen.method, self.name(self.chosen))}."

    @property
    def quality(self) -> str:
        """Such as ``0.824 accuracy on 170 test rows [0.759 to 0.873]``."""
        if self.chosen is None:
            return ""
        value, (low, high) = self.chosen.best_known_quality
        rows = f"{self.chosen.test_rows:,} test rows" if self.chosen.test_quality is not None else "validation rows"
        return f"{value:.3f} {self.study.task.metric.name} on {rows} [{low:.3f} to {high:.3f}]"

    def bills(self) -> dict[str, float]:
        """USD a month of the recommended option by hosting, for the task's queries."""
        if self.chosen is None or not self.study.raws:
            return {}
        found = {}
        for hosting in ("per_use", "always_on"):
            for priced in self.study.hosted(hosting).priced:
                if priced.trial == self.chosen.trial and (hosting == "per_use" or priced.replicas):
                    found[hosting] = float(priced.usd_per_month)
        return found

    @property
    def cost(self) -> str:
        """The bill of a month in a clause."""
        bills, queries = self.bills(), self.study.task.economics.queries_per_month
        if not bills:
            return ""
        text = f"{money(bills['per_use'])} a month for {queries:,} queries, training included"
        if "always_on" in bills:
            text += f"; {money(bills['always_on'])} on a device rented day and night"
        return text

    @property
    def latency(self) -> str:
        """How long its answers take."""
        if self.chosen is None:
            return ""
        limit = self.study.task.constraints.latency_p95_ms
        within = "" if limit is None else f" (limit {limit:g} ms)"
        if self.chosen.latency_p95_ms is None:
            return f"half of the answers within {self.chosen.latency_p50_ms:.3g} ms{within}"
        return f"95 % of answers within {self.chosen.latency_p95_ms:.3g} ms{within}"

    @property
    def robustness(self) -> str:
        """What perturbed prompts and rows cost it; empty: that was not measured."""
        if self.chosen is None or self.chosen.robustness is None:
            return ""
        return "; ".join(robustness_clauses(self.chosen.robustness))

    def against(self) -> list[Against]:
        """The floor, the untuned prompt and the best hosted model, each where it was measured."""
        advice, found = self.study.recommendation, []
        known = (
            ("the floor", advice.floor),
            ("the untuned prompt", advice.baseline),
            ("the best hosted", self._hosted()),
        )
        for name, trial in known:
            option = self.study.option(trial)
            if option is not None:
                quality = f"{option.best_known_quality[0]:.3f}"
                rows = VALIDATION if option.test_quality is None else ""
                found.append(Against(name, self.name(option), quality, rows, self._by(option)))
        return found

    def _hosted(self) -> int | None:
        hosted = [o for o in self.study.options if o.network and o.cascade is None]
        return max(hosted, key=lambda o: o.quality_expected).trial if hosted else None

    def _by(self, other: Option) -> str:
        """By how much the recommended option is better than another one, such as ``+22.9 points [+13.5, +31.2]``."""
        if self.chosen is None or other.trial == self.chosen.trial:
            return ""
        verdict = self.study.verdict
        pair = pairs_with(other.trial, verdict.paired if verdict is not None else ()).get(self.chosen.trial)
        if pair is not None:
            return difference_text(pair.difference, pair.low, pair.high)
        return f"{points(self.chosen.best_known_quality[0] - other.best_known_quality[0])} points"

    @property
    def compared(self) -> str:
        """What it is against, in one line."""
        texts = []
        for one in self.against():
            by = f", {one.by}" if one.by else ", which this is"
            texts.append(f"{one.name} ({one.option}) {one.quality}{one.rows}{by}")
        return "; ".join(texts)

    @property
    def gain(self) -> str:
        """What the search gained over the settings that it began with; empty: that is not known."""
        verdict = self.study.verdict
        if verdict is None or verdict.gain is None:
            return ""
        return self.renamed(verdict.gain.sentence.removeprefix(GAIN))

    @property
    def labels(self) -> str:
        """What the labels of a teacher have bought; empty: no rows were labelled."""
        verdict = self.study.verdict
        if verdict is None or verdict.bought_labels is None:
            return ""
        return self.renamed(verdict.bought_labels.sentence)

    def top_options(self) -> list[Option]:
        """At most seven options: the recommended one, what it is against, and the best others."""
        advice = self.study.recommendation
        first = [advice.trial, advice.best_quality, advice.floor, advice.baseline, self._hosted()]
        order = {trial: i for i, trial in enumerate(first) if trial is not None}
        chosen = sorted(self.study.options, key=lambda o: order.get(o.trial, len(first)))[:MOST_OPTIONS]
        return sorted(chosen, key=lambda o: (o.trial != advice.trial, -o.best_known_quality[0]))

    def month_usd(self, option: Option) -> float:
        """USD a month of an option, as the task hosts it."""
        return option.cost_usd_per_1k * self.study.task.economics.queries_per_month / 1000

    def caveats(self) -> list[str]:
        """The most important of what the figures do not say, three sentences at most."""
        verdict = self.study.verdict
        if verdict is None:
            return [*self._given_up(), "The search has not ended yet: nothing was scored on test rows."]
        found = [
            *self._given_up(),
            *self._damaged(),
            *self._unmeasured(verdict),
            *self._ties(verdict),
            *self._width(),
            *self._trust(verdict),
            *self._optimism(verdict),
        ]
        return [self.renamed(line) for line in found[:MOST_CAVEATS]]

    def _damaged(self) -> list[str]:
        """Options that a resumed search has left out."""
        trials = [trial_name(raw.trial) for raw in self.study.raws if raw.files_damaged]
        return [f"Left out, because the files are damaged: {', '.join(trials)}."] if trials else []

    def _given_up(self) -> list[str]:
        """Methods that have failed on a model from the first trial on."""
        lines = self.study.results.given_up
        more = f" (and {len(lines) - 1} more, see `autoadapt report --all`)" if len(lines) > 1 else ""
        return [f"Given up: {lines[0]}{more}."] if lines else []

    def _ties(self, verdict: Verdict) -> list[str]:
        ties = [self.names.get(c.trial, trial_name(c.trial)) for c in verdict.compared if c.tied]
        if not ties:
            return []
        more = f" and {len(ties) - MOST_TIED} others" if len(ties) > MOST_TIED else ""
        best = self.names.get(verdict.best, trial_name(verdict.best))
        return [f"On these rows {best} cannot be told apart from {', '.join(ties[:MOST_TIED])}{more}."]

    def _width(self) -> list[str]:
        chosen = self.chosen
        if chosen is None or chosen.test_quality_ci is None:
            return []
        low, high = chosen.test_quality_ci
        return [
            f"With {chosen.test_rows:,} test rows its quality is known to about {50 * (high - low):.0f} points up or "
            "down; four times as many rows would halve that."
        ]

    def _trust(self, verdict: Verdict) -> list[str]:
        """What is wrong with the data or the measurements, if anything."""
        lines = [f"Test rows differ from validation rows: {clause}." for clause in verdict.split_differences[:1]]
        if verdict.waited_share >= BUSY:
            lines.append(
                f"The machine was busy with something else: answers waited for a core "
                f"{verdict.waited_share:.0%} of the time, so that times may be too long."
            )
        return lines

    def _unmeasured(self, verdict: Verdict) -> list[str]:
        """What the search has not done."""
        names = [one.name for one in verdict.unmeasured]
        more = f" and {len(names) - MOST_UNMEASURED} others" if len(names) > MOST_UNMEASURED else ""
        return [f"Never measured in full: {', '.join(names[:MOST_UNMEASURED])}{more}."] if names else []

    def _optimism(self, verdict: Verdict) -> list[str]:
        """By how much its validation score is too high; nothing where it is not."""
        found = verdict.optimism
        if found.expected is None or in_tenths(found.expected) <= 0:
            return []
        among = f"as it was chosen among {found.options}"
        return [f"Its validation score is probably {expected_text(found)}, {among}; the test score is not."]

    def export_command(self) -> str:
        """What to type to get the recommended option as one folder; empty: there is nothing to export."""
        if self.chosen is None or self.study.verdict is None:
            return ""
        folders = [self.study.root / f"trials/{trial:04d}" for trial in self._parts(self.chosen)]
        if not all(any(folder.glob("**/artifact")) for folder in folders):
            return ""
        return f"autoadapt export {shlex.quote(str(self.study.root))} {shlex.quote(self.study.root.name + '-bundle')}"

    @staticmethod
    def _parts(option: Option) -> tuple[int, ...]:
        return (option.trial,) if option.cascade is None else (option.cascade.first, option.cascade.second)

    def commands(self) -> list[tuple[str, str]]:
        """What to type next, with what it does."""
        run = shlex.quote(str(self.study.root))
        volume = 10 * self.study.task.economics.queries_per_month
        return [
            (
                f"autoadapt report {run} --open",
                "this result as a page in which volume, price and limits can be changed",
            ),
            (f"autoadapt compare {run} --scenario volume={volume}", "another volume, price or hosting"),
            (f"autoadapt report {run} --all", "every option, parameter and measurement in the terminal"),
        ]

    def renamed(self, line: str) -> str:
        """A sentence in which options are named by what they are; their number stands behind it."""
        return renamed(line, self.names)


def renamed(line: str, names: Mapping[int, str]) -> str:
    """A sentence with ``trial 7 (lora, 0.9)`` written as ``LoRA on embedded, 4 epochs (trial 7, 0.9)``."""

    def name(match: re.Match[str]) -> str:
        trial, note = int(match[1]), match[3] or ""
        if trial not in names:
            return match[0]
        text = names[trial].removesuffix(f" (trial {trial})")  # of options that nothing else tells apart
        begins = match.start() == 0 or line[: match.start()].endswith((". ", ": "))
        text = text[0].upper() + text[1:] if begins else text
        return f"{text} (trial {number_text(trial)}{note})"

    return TRIAL.sub(name, line)
