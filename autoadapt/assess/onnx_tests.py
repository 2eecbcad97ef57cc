"""Options that are tried in ONNX at the end of a search: one of each serving class that ONNX can hold."""

import importlib.util

from pydantic import ValidationError

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.artifact import DESCRIPTION_FILE, ArtifactDescription
from autoadapt.domain.jobs import OnnxTest
from autoadapt.study.end_costs import Use, total
from autoadapt.study.job_times import MARGIN

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
SIZES = ("memory_mb", "artifact_mb")
"""Objectives and limits of sizes, which are measured of the option in PyTorch alone."""


class OnnxTests:
    """Builds the jobs that try options in ONNX.

    Options of one serving class compute the same, so that one stands for all. None is tried where sizes are an
    objective or limited: a model in ONNX stands in place of an adapter, which is smaller.

    Args:
        jobs: what is known of the options.
    """

    def __init__(self, jobs: AssessmentJobs) -> None:
        self._jobs = jobs
        self._fits: dict[int, bool] = {}
        """By trial, whether ONNX can hold its artifact."""

    def wanted(self) -> Use:
        """What trying them takes; nothing where there are none."""
        return total(map(self.use, self.jobs()))

    def use(self, job: OnnxTest) -> Use:
        """What a job will probably take, with a margin."""
        return self._jobs.costs(job.trial).onnx_test(self._jobs.resolved.task.evaluation).times(MARGIN)

    def jobs(self) -> list[OnnxTest]:
        """A job for each serving class that is still to be tried, that of the recommended option first."""
        if not self._may_be():
            return []
        results, folder, recommended = self._jobs.results, self._jobs.folder, self._jobs.recommended()
        serving = results.trials.serving
        tried = {serving.name_in_its_library(r.job.trial) for r in folder.records if r.job.kind == "onnx"}
        chosen: dict[str, int] = {}
        for trial in sorted(results.option_trials(), key=lambda trial: trial not in recommended):
            name = serving.name_in_its_library(trial)
            if name not in tried and name not in chosen and self._can_be_converted(trial):
                chosen[name] = trial
        return [self._job(trial) for trial in chosen.values()]

    def _job(self, trial: int) -> OnnxTest:
        task, costs = self._jobs.resolved.task, self._jobs.costs(trial)
        return OnnxTest(
            **self._jobs.common(trial),
            **self._jobs.load_fields(),
            seconds=MARGIN * costs.onnx_seconds(task.evaluation),
            single_requests=task.evaluation.latency_requests,
        )

    def _may_be(self) -> bool:
        task = self._jobs.resolved.task
        sized = any(name in task.objectives or getattr(task.constraints, name) is not None for name in SIZES)
        if not task.evaluation.onnx or sized or not self._jobs.folder.lasting:
            return False
        return all(importlib.util.find_spec(package) is not None for package in PACKAGES)

    def _can_be_converted(self, trial: int) -> bool:
        """Whether it answers on a CPU, and ONNX can hold it."""
        record = self._jobs.results.trials.record(trial)
        if record.outcome is None or record.outcome.devices.accelerator != "cpu":
            return False
        if trial not in self._fits:
            file = self._jobs.folder.root / record.job.artifact_folder / DESCRIPTION_FILE
            try:
                self._fits[trial] = ArtifactDescription.model_validate_json(file.read_bytes()).fits_onnx
            except (OSError, ValidationError):  # it was deleted or damaged
                self._fits[trial] = False
        return self._fits[trial]
