"""Models behind servers that speak OpenAI's interface: hosted ones and those of one's own.

This file imports no client; the modules that do are imported when a model is asked.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices, Fit, JobBase
from autoadapt.domain.method import Adapted, Context, Decoding, Model
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.outcome import FailureClass
from autoadapt.domain.remote import EFFORTS, LABEL_WAYS, RemoteModel
from autoadapt.domain.rows import Row
from autoadapt.domain.selector import Select
from autoadapt.domain.usage import Usage
from autoadapt.models.remote.names import is_remote, reference_of
from autoadapt.registry import expanded
from autoadapt.shelves import selector_of

if TYPE_CHECKING:
    from autoadapt.models.remote.asking import Session
    from autoadapt.providers.answer_store import AnswerStore
    from autoadapt.providers.client import Access, Client
    from autoadapt.providers.features import Features

CHECK = "check"
"""Under which the money for finding out what a server can do is booked."""
MOST_CHECK_RETRIES = 3


class Remote(ModelFamily):
    """Models that answer over a network. They can be prompted; nothing of them can be trained."""

    branches: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "prompt": {
            "shots": [0, 2, 4, 8, 16],
            "shortlist": {"search": [0, 4, 8, 16], "when": {"answers": "label", "labels": "many"}},
            "selector": {
                "search": ["random", "balanced", "nearest", "diverse", "hard"],
                "when": {"shots": [2, 4, 8, 16]},
            },
            "order": {
                "search": ["best_last", "best_first", "by_label"],
                "when": {"selector": ["nearest", "diverse"]},
            },
            "label_way": {"search": list(LABEL_WAYS), "when": {"answers": "label"}},
            "reasoning_effort": list(EFFORTS),
            # labels that are held to a schema leave no room for reasoning; where none are asked for, there is no way
            "reasoning": {"search": ["none", "steps"], "when": {"reasons": True, "label_way": ["text", None]}},
            "reasoning_tokens": {"search": [128, 256, 512], "when": {"reasoning": "steps"}},
            "samples": {"search": [1, 5], "when": {"reasoning": "steps"}},
            "temperature": {"search": [0.5, 0.7, 1.0], "when": {"samples": 5}},
            "top_p": {"search": [0.9, 1.0], "when": {"samples": 5}},
            # what calibrates labels is asked for once, so that every prompt has to offer the same ones
            "label_score": {
                "search": ["sum", "calibrated"],
                "when": {"label_way": ["logprobs", "decisions"], "shortlist": 0},
            },
            "logit_bias": {"search": [0.0, 10.0], "when": {"label_way": "logprobs"}},
            "stop": {"search": ["auto", "line"], "when": {"answers": "text"}},
        }
    }
    first: ClassVar[Mapping[str, Sequence[Mapping[str, Any]]]] = {
        "prompt": (  # what a server does not do is not tried
            {"shots": 0, "label_way": "schema"},
            {"shots": 0, "label_way": "logprobs"},
            {"shots": 0, "label_way": "text"},
            {"shots": 8, "selector": "nearest", "label_way": "schema"},
            {"shots": 8, "selector": "nearest", "label_way": "text"},
            {"shots": 8, "shortlist": 8, "selector": "nearest", "label_way": "schema"},
            {"shots": 8, "shortlist": 8, "selector": "nearest", "label_way": "text"},
        )
    }

    def __init__(self) -> None:
        self._stores: dict[Path | None, AnswerStore] = {}
        self._known: dict[str, Features] = {}
        self._refused: dict[tuple[str, str], str] = {}
        """Model and effort -> why its server refuses it."""
        self._run: Path | None = None
        self._job_name = ""
        self._cap: float | None = None
        self._clients: list[Client] = []
        self._seconds = 0.0

    def claims(self, name: str, base: Path) -> bool:
        return is_remote(name)

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        return reference_of(name)

    def capabilities(self, model: ModelReference) -> Capabilities:
        settings = _settings(model)
        return Capabilities(
            generates=settings.dialect != "decisions",
            reasons=settings.dialect != "decisions",
            reasoning_efforts=settings.reasoning_efforts,
            reads_prompts=True,
            scores_labels=True,
            context_length=settings.context_length,
            remote=True,
        )

    def check(self, model: ModelReference, run: Path, cap: float | None) -> list[str]:
        self._run = run
        notes: list[str] = []
        try:
            for effort in _settings(model).reasoning_efforts or ("",):
                notes += self._check_effort(model, effort, cap)
        finally:
            self._close_stores()  # the driver needs no more of it, and keeps no file open
        return [f"{model.name}: {note}" for note in dict.fromkeys(notes)]

    def _check_effort(self, model: ModelReference, effort: str, cap: float | None) -> Sequence[str]:
        """What the model does not do at an effort; an effort that its server refuses is one that is not searched."""
        from autoadapt.providers.features import EffortRefusedError

        try:
            return self._features(self._access(with_effort(model, effort), CHECK, cap), lambda: None).notes
        except EffortRefusedError as error:
            self._refused[model.name, effort] = str(error)
            if all((model.name, other) in self._refused for other in _settings(model).reasoning_efforts):
                raise
            return [f"reasoning_effort {effort} is not tried: {error}"]

    def obstacle(self, model: ModelReference, job: Fit, splits: Mapping[str, Sequence[Row]]) -> str | None:
        params = job.candidate.params
        if params.get("shots") and selector_of(params).needs_vectors:
            return f"selector {params['selector']} compares vectors of texts, which a server does not give; use nearest"
        effort = str(params.get("reasoning_effort") or "")
        if (model.name, effort) in self._refused:
            return self._refused[model.name, effort]
        key = _key(_settings(with_effort(model, effort)), model.place)
        if key not in self._known:
            return None
        from autoadapt.models.remote.decoding import unable

        stated = {name: value for name, value in params.items() if name in Decoding.model_fields}
        labels = (job.labels or [])[: job.labels_offered or None]
        return unable(Decoding.model_validate(stated), labels, self._known[key])

    def begin(self, run: Path, folder: Path, job: JobBase) -> None:
        self._run, self._cap = run, job.provider_usd_cap
        self._job_name = f"{folder.parent.name}/{folder.name}"
        self._clients = []

    @property
    def billed(self) -> Usage:
        spent = [client.spent for client in self._clients]
        return Usage(usd=sum(s.usd for s in spent), usd_estimated=any(s.estimated for s in spent))

    def open(self, context: Context, model: ModelReference) -> Model:
        from autoadapt.models.remote.asking import OpenedRemote

        effort = str(context.job.candidate.params.get("reasoning_effort") or "")
        return OpenedRemote(context, self._session(with_effort(model, effort), context.tick, context.devices))

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        from autoadapt.models.remote.asking import RemoteAdapted

        model = with_effort(description.model, description.decoding.reasoning_effort)
        return RemoteAdapted(self._session(model, tick, devices), description, description.decoding, select)

    def drop(self) -> None:
        self._close_stores()
        self._known = {}

    def _close_stores(self) -> None:
        for store in self._stores.values():
            store.close()
        self._stores = {}

    @property
    def loading_seconds(self) -> float:
        return self._seconds

    def failure_class(self, error: BaseException) -> FailureClass | None:
        from autoadapt.providers.answer_store import OutOfMoneyError

        return "budget" if isinstance(error, OutOfMoneyError) else None

    def _session(self, model: ModelReference, tick: Callable[[], None], devices: Devices) -> "Session":
        from autoadapt.models.remote.asking import Session

        access = self._access(model, self._job_name, self._cap)
        features = self._features(access, tick)
        return Session(access, self._store(), features, tick, self._clients.append, devices.kind)

    def _access(self, model: ModelReference, job: str, cap: float | None) -> "Access":
        from autoadapt.providers.client import Access

        settings = _settings(model)
        key = None if settings.key is None else str(expanded(settings.key))
        return Access(settings, model.place, key, job, cap)

    def _store(self) -> "AnswerStore":
        from autoadapt.providers.answer_store import AnswerStore

        if self._run not in self._stores:
            self._stores[self._run] = AnswerStore(self._run)
        return self._stores[self._run]

    def _features(self, access: "Access", tick: Callable[[], None]) -> "Features":
        """What the server can do: as this process knows, as the run knows, or else as it answers now."""
        from autoadapt.providers.features import Features

        key = _key(access.model, access.url)
        if key not in self._known:
            begun = time.monotonic()
            stored = self._store().features(key)
            if stored is None:
                stored = self._found(access, tick).model_dump_json()
                self._store().keep_features(key, stored)
            self._known[key] = Features.model_validate_json(stored)
            self._seconds += time.monotonic() - begun
        return self._known[key]

    def _found(self, access: "Access", tick: Callable[[], None]) -> "Features":
        from autoadapt.providers.client import Client
        from autoadapt.providers.features import find_features

        fewer = access.model.model_copy(update={"retries": min(access.model.retries, MOST_CHECK_RETRIES)})

        async def ask() -> "Features":
            client = Client(dataclasses.replace(access, model=fewer), self._store(), tick)
            self._clients.append(client)
            try:
                return await find_features(client)
            finally:
                await client.close()

        return asyncio.run(ask())


def _settings(model: ModelReference) -> RemoteModel:
    return RemoteModel.model_validate(model.settings)


def with_effort(model: ModelReference, effort: str) -> ModelReference:
    """A model that is told how much to reason; an empty effort leaves it as its settings say."""
    if not effort:
        return model
    return model.model_copy(update={"settings": {**model.settings, "reasoning_effort": effort}})


def _key(settings: RemoteModel, url: str) -> str:
    from autoadapt.providers.answer_store import content_key

    what = settings.model_dump(mode="json", include={"model", "dialect", "tier", "reasoning_effort", "extra"})
    return content_key(url, what)
