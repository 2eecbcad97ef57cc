"""Options that are scored under other wordings of their prompt and other spellings of rows at the end of a search."""

from collections.abc import Sequence

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.jobs import RobustnessTest
from autoadapt.domain.robustness import Variant
from autoadapt.prompts.spellings import spelling_variants
from autoadapt.prompts.wordings import LabelsShown, Wordings
from autoadapt.shelves import selector_of
from autoadapt.study.end_costs import END_SHARE, UNLIMITED, EndCosts, Use, is_prompted, total
from autoadapt.study.job_times import MARGIN

LEAST_ROWS = 100
"""Rows that a variant answers at least, or all that were scored: on fewer, losses that matter cannot be told apart."""
MOST_ATTEMPTS = 2
"""At scoring an option so, all runs of a study together."""
MOST_OF_TIMEOUT = 0.8
"""Of `compute.trial_timeout_s`, so that a slow option ends with the variants that it has answered."""
LISTING_WAYS = ("schema", "logprobs", "decisions")
"""Ways of a server in which labels are sent in their order, whatever the prompt says."""


class RobustnessTests:
    """Builds the jobs that score options under perturbations, on the test rows that each was scored on as it is.

    Test rows, because the search has chosen options by validation rows: an option that was lucky there would lose on
    them whatever its wording. Prompted options get other wordings and other spellings of rows, all others the latter
    alone: theirs is the prompt with which they were trained.

    Args:
        jobs: what is known of the options.
    """

    def __init__(self, jobs: AssessmentJobs) -> None:
        self._jobs = jobs
        self._variants: dict[int, list[Variant]] = {}
        self.left_out: set[int] = set()
        """Options that are not scored so, because what is left does not pay for them."""

    def wanted(self) -> Use:
        """What scoring all of them takes, on as many rows as the task asks for; nothing where there is none.

        Options that are still to be scored as they are count too: it is asked for before they are.
        """
        trials = self._trials(scored=False)
        return total(self._use(trial, self._rows(trials)) for trial in trials)

    def jobs(self, left: Use = UNLIMITED, slots: int = 1) -> list[RobustnessTest]:
        """A job for each option that is still to be scored so, the recommended one first.

        All on as many rows as `left` pays for; where these would be fewer than `LEAST_ROWS`, the last one is left out,
        and so on.

        Args:
            left: what they may take.
            slots: jobs side by side, whose seconds `left` adds up.
        """
        trials = self._trials()
        wanted, every = self._rows(trials), set(trials)
        while trials:
            payable, billed = self._payable(trials, left, slots)
            if min(payable, billed) >= min(wanted, LEAST_ROWS):
                break
            billing = [trial for trial in trials if self._jobs.costs(trial).row_usd] if billed < payable else []
            trials.remove((billing or trials)[-1])
        self.left_out = every - {*trials}
        if not trials:
            return []
        rows = int(min(wanted, *self._payable(trials, left, slots)))
        return [self._job(trial, rows) for trial in trials]

    def _trials(self, scored: bool = True) -> list[int]:
        """Options that are still to be scored so, the recommended one first, then those of the frontier.

        Args:
            scored: whether only those count that were scored as they are.
        """
        task, folder = self._jobs.resolved.task, self._jobs.folder
        if not task.evaluation.robustness or not folder.lasting:
            return []
        recommended = self._jobs.recommended()
        return [
            trial
            for trial in sorted(self._jobs.results.option_trials(), key=lambda t: t not in recommended)
            if (self._jobs.scored_rows(trial) or not scored)
            and folder.last_done(trial, "robustness") is None
            and len(folder.of(trial, "robustness")) < MOST_ATTEMPTS
        ]

    def _rows(self, trials: Sequence[int]) -> int:
        """Rows that each variant answers where they can be paid for: no more than every option was scored on."""
        answered = [self._jobs.scored_rows(trial) or self._jobs.test_rows for trial in trials]
        return min([self._jobs.resolved.task.evaluation.robustness_rows, *answered])

    def _payable(self, trials: Sequence[int], left: Use, slots: int) -> tuple[float, float]:
        """Rows that can be paid for, by time and money, and by what providers may bill."""
        left = left.times(1 / MARGIN)
        in_one = Use(left.seconds / slots, left.device_seconds, left.usd)
        costs = {trial: self._jobs.costs(trial) for trial in trials}
        fixed = {trial: self._use(trial, 0) for trial in trials}
        each = {trial: costs[trial].row.times(len(self.variants(trial))) for trial in trials}
        alone = [in_one.units(fixed[trial], each[trial]) for trial in trials]
        billed = sum(costs[trial].row_usd * len(self.variants(trial)) for trial in trials)
        return min(left.units(total(fixed.values()), total(each.values())), *alone), self._may_bill(billed)

    def _may_bill(self, usd_each: float) -> float:
        """Rows for which providers bill no more than a tenth of what they have billed for the search."""
        if not usd_each or self._jobs.resolved.task.constraints.robustness_points is not None:
            return UNLIMITED.usd
        billed = sum(r.outcome.usage.usd for r in self._jobs.folder.records if r.outcome is not None)
        return END_SHARE * billed / (MARGIN * usd_each)

    def _use(self, trial: int, rows: int) -> Use:
        costs: EndCosts = self._jobs.costs(trial)
        return costs.score(rows * len(self.variants(trial)))

    def _job(self, trial: int, rows: int) -> RobustnessTest:
        timeout = self._jobs.resolved.task.compute.trial_timeout_s
        return RobustnessTest(
            **self._jobs.common(trial),
            attempt=len(self._jobs.folder.of(trial, "robustness")),
            rows=rows,
            variants=self.variants(trial),
            seconds=min(max(1.0, MARGIN * self._use(trial, rows).seconds), MOST_OF_TIMEOUT * timeout),
        )

    def variants(self, trial: int) -> list[Variant]:
        """What is changed of the prompt of an option and of its rows, a variant of every kind first."""
        if trial not in self._variants:
            count = self._jobs.resolved.task.evaluation.robustness_variants
            variants = [*self._wordings(trial, count), *spelling_variants(count)]
            place = {v.name: [w.kind for w in variants[:i]].count(v.kind) for i, v in enumerate(variants)}
            # where time runs out every kind has had its first variants
            self._variants[trial] = sorted(variants, key=lambda variant: place[variant.name])
        return self._variants[trial]

    def _wordings(self, trial: int, count: int) -> list[Variant]:
        fit, resolved = self._jobs.results.trials.record(trial).job, self._jobs.resolved
        params = fit.candidate.params
        if not is_prompted(fit.candidate):
            return []
        shots = int(params.get("shots") or 0)
        same = bool(shots) and selector_of(params).same_for_every_query
        labels_shown: LabelsShown = "listed" if params.get("label_way") in LISTING_WAYS else "as_written"
        wordings = Wordings(
            fit.prompt,
            fit.labels or [],
            fit.multi_label,
            others=resolved.space.space.instructions.values(),
            shots=(shots, same),
            labels_shown="shortlist" if fit.labels_offered else labels_shown,
        )
        return wordings.variants(count)
