"""A version of our registry in the model registry of MLflow."""

import logging
import os
from dataclasses import dataclass
from typing import Any

from autoadapt.bundle.versions import Version
from autoadapt.errors import Exit, UserError

HASH_TAG = "autoadapt.sha256"
ADDRESS_VARIABLE = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Registered:
    """A version as MLflow knows it.

    Args:
        name: of the registered model.
        number: of its version there.
        new: whether it was added; the same content is added once.
    """

    name: str
    number: int
    new: bool


def register(version: Version, alias: str | None = None) -> Registered:
    """Uploads a bundle as a version of a registered model: its files, its figures as metrics, its hash as a tag.

    Args:
        version: of our registry; the registered model has its name.
        alias: that shall point to it there; None: none.

    Raises:
        UserError: MLflow is absent, `MLFLOW_TRACKING_URI` is not set, or MLflow cannot be reached or refuses.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it tells of every table that it makes
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise UserError("registry mlflow needs a package: pip install 'autoadapt[mlflow]'", Exit.ENVIRONMENT) from error
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        raise UserError(
            f"registry mlflow: set {ADDRESS_VARIABLE} to the server of MLflow, such as http://localhost:5000, or to a "
            "database, such as sqlite:///mlflow.db",
            Exit.ENVIRONMENT,
        )
    try:
        return _register(MlflowClient(tracking_uri=address, registry_uri=address), version, alias)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"registry mlflow: {reason}", Exit.PROVIDER) from error


def _register(client: Any, version: Version, alias: str | None) -> Registered:
    found = _known(client, version)
    number = _add(client, version) if found is None else found
    if alias is not None:
        client.set_registered_model_alias(version.name, alias, str(number))
    return Registered(version.name, number, found is None)


def _known(client: Any, version: Version) -> int | None:
    """The number of the version there that has the same content; None: there is none."""
    for known in client.search_model_versions(f"name = '{version.name}'"):
        if known.tags.get(HASH_TAG) == version.record.sha256:
            return int(known.version)
    return None


def _add(client: Any, version: Version) -> int:
    described = version.description
    experiment = client.get_experiment_by_name(version.name)
    place = experiment.experiment_id if experiment is not None else client.create_experiment(version.name)
    tags = {HASH_TAG: version.record.sha256, "autoadapt.option": described.option}
    run = client.create_run(place, run_name=f"{version.name} version {version.number}", tags=tags)
    number = run.info.run_id
    client.log_param(number, "option", described.parts_text)
    figures = {described.metric.name: described.quality.value, "cost_usd_per_1k": described.figures.cost_usd_per_1k}
    for key, value in figures.items():
        client.log_metric(number, key, float(value))
    client.log_artifacts(number, str(version.bundle), artifact_path="bundle")
    client.set_terminated(number)
    if not client.search_registered_models(f"name = '{version.name}'"):
        client.create_registered_model(version.name)
    source = f"{client.get_run(number).info.artifact_uri}/bundle"
    made = client.create_model_version(
        version.name, source, run_id=number, tags=tags, description=described.quality_text
    )
    return int(made.version)
