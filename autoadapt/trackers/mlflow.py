"""MLflow: one run per trial under one experiment per study. Needs `pip install 'autoadapt[mlflow]'`.

Trials go to MLFLOW_TRACKING_URI where that is set, else to ``mlflow.db`` in the run folder, which
``mlflow ui --backend-store-uri sqlite:///runs/NAME/mlflow.db`` shows. MLflow's own telemetry is switched off.
"""

import os
from pathlib import Path
from typing import Any

from autoadapt.domain.tracker import Tracker
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import Exit, UserError

STATUS = {"complete": "FINISHED", "stopped early": "KILLED", "failed": "FAILED", "cached": "FINISHED"}
LEFT_OUT = {
    "params",
    "train_loss",
    "trial",
    "state",
    "method",
    "model",
    "same_as",
    "within_noise",
    "on_frontier",
    "values",
}


class Mlflow(Tracker):
    """Reports every trial to MLflow as it ends: parameters, raw figures as metrics, loss by tenth of the training."""

    def begin(self, name: str, root: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow.tracking import MlflowClient
            from sqlalchemy import URL
        except ImportError as error:
            raise UserError(
                "tracker mlflow needs a package: pip install 'autoadapt[mlflow]'", Exit.ENVIRONMENT
            ) from error
        own = URL.create("sqlite", database=str(root.resolve() / "mlflow.db")).render_as_string()
        address = os.environ.get("MLFLOW_TRACKING_URI") or own
        self._client: Any = MlflowClient(tracking_uri=address)
        existing = self._client.get_experiment_by_name(name)
        self._experiment = existing.experiment_id if existing is not None else self._client.create_experiment(name)
        known = self._client.search_runs([self._experiment], max_results=5000)
        self._reported = {r.data.tags.get("autoadapt.trial") for r in known}

    def report(self, row: TrialRow) -> None:
        if str(row.trial) in self._reported:  # by a run before this one was resumed
            return
        self._reported.add(str(row.trial))
        tags = {"autoadapt.trial": str(row.trial), "autoadapt.state": row.state, "autoadapt.reason": row.reason or ""}
        run = self._client.create_run(self._experiment, run_name=f"trial {row.trial}: {row.method}", tags=tags)
        number = run.info.run_id
        for key, value in {"method": row.method, "model": row.model, **row.params}.items():
            self._client.log_param(number, key, value)
        for key, value in row.model_dump(exclude=LEFT_OUT).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._client.log_metric(number, key, float(value))
        for tenth, loss in enumerate(row.train_loss):
            self._client.log_metric(number, "loss", loss, step=tenth)
        self._client.set_terminated(number, STATUS.get(row.state, "FINISHED"))
