"""Methods whose first trials on a model have all failed in the same way: they are searched no further there."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoadapt.domain.jobs import Fit
from autoadapt.domain.outcome import Failure
from autoadapt.runs.run_folder import Record, RunFolder

FIRST_TRIALS = 3
"""So many trials that fail alike, and none that does not, show that the method cannot work on the model."""
LASTING = ("oom", "data", "config", "context", "crash")
"""Classes of failure that another candidate will hardly escape; NaN and time limits depend on its parameters."""
NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")

Pair = tuple[str, str]
"""A method and a model."""


@dataclass
class RepeatedFailures:
    """Those of one study.

    Args:
        folder: what its jobs gave.
    """

    folder: RunFolder
    _found: Mapping[Pair, str] = field(default_factory=dict)
    _read: int = 0
    """Number of records that `_found` belongs to."""

    def found(self) -> Mapping[Pair, str]:
        """Each such method and model with a sentence that says why; computed anew when a job has ended."""
        if len(self.folder.records) != self._read:
            self._found, self._read = repeated_failures(self.folder.records), len(self.folder.records)
        return self._found


def repeated_failures(records: Iterable[Record]) -> dict[Pair, str]:
    """Each method and model of which the first trials have failed alike, with a sentence that says why.

    Args:
        records: of all jobs of a study.
    """
    worked: set[Pair] = set()
    failed: dict[Pair, dict[int, Failure]] = defaultdict(dict)
    for record in records:
        pair = record.job.candidate.method, record.job.candidate.model
        if record.measurement is not None:
            worked.add(pair)
        elif isinstance(record.job, Fit) and record.failure is not None and record.failure.failure_class in LASTING:
            failed[pair][record.job.trial] = record.failure  # the last attempt of a trial counts
    found = {}
    for (method, model), failures in failed.items():
        kinds = {(f.failure_class, f.stage, NUMBERS.sub("0", f.reason)) for f in failures.values()}
        if len(failures) >= FIRST_TRIALS and len(kinds) == 1 and (method, model) not in worked:
            found[method, model] = (
                f"{method} on {model} is searched no further: its first {len(failures)} trials failed in the same way "
                f"({next(iter(failures.values()))})"
            )
    return found
