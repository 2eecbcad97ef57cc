"""A family of models that answer from a table: no torch, every quality known, time only as its name says.

Names are ``scripted`` or ``scripted:key=value,key=value`` with the fields of `Settings`. Prompting, adapters and full
tuning work on it; quality rises with training steps and depends on the candidate alone, and its answers are real
predictions that a metric scores at about that quality. Training leaves checkpoints between rungs and continues from
them, several ranks meet as real ones do, and an artifact holds all that answering needs.
"""

import json
import math
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from autoadapt.domain.artifact import ArtifactDescription
from autoadapt.domain.candidate import Candidate
from autoadapt.domain.family import ModelFamily
from autoadapt.domain.jobs import Devices, JobBase
from autoadapt.domain.method import Adapted, AdapterSpec, Answer, Context, Decoding, Model, Training
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.params import TunedParams
from autoadapt.domain.selector import Select, passages_shown
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import UserError
from autoadapt.prompts.rendering import Prompt, common_prefix
from autoadapt.training import checkpoints

FILE = "scripted.json"
PROBE = "a probe of the prompt"
"""An input by which prompts are compared."""
STEPS_TO_LEARN = 40.0
"""Training steps after which about two thirds of what can be learned is learned."""


class Settings(StrictModel):
    """What follows ``scripted:`` in a model's name."""

    quality: float = 0.0
    """Added to the quality of every candidate, so that models differ."""
    step_seconds: float = Field(default=0.0, ge=0)
    """Each training step takes so long."""
    row_seconds: float = Field(default=0.0, ge=0)
    """Each answer takes so long."""
    informs: float = Field(default=0.8, ge=0, le=1)
    """How much a confidence says: 0 nothing, 1 almost everything."""
    loading_seconds: float = Field(default=0.0, ge=0)
    """Loading the model into a process takes so long, once."""
    wording: float = Field(default=0.0, ge=0)
    """Quality that a prompt worded otherwise than the one that was saved may lose, at most."""
    typos: float = Field(default=0.0, ge=0)
    """Quality that rows lose which are spelled otherwise; rows are known by the digits in them."""
    checkpoint_steps: int = Field(default=0, ge=0)
    """A checkpoint is written after so many steps too; 0: at the end of a rung only."""
    parameters: int = 1_000_000
    context_length: int = 2048
    generates: bool = True
    reads_prompts: bool = True
    scores_labels: bool = True
    trains: bool = True
    adapters: bool = True


def settings_of(name: str) -> Settings:
    """The settings in a model's name."""
    pairs = [pair.split("=", 1) for pair in name.removeprefix("scripted").removeprefix(":").split(",") if pair]
    try:
        return Settings.model_validate_strings(dict(pairs))
    except (ValidationError, ValueError) as error:
        raise UserError(f"model '{name}': write scripted:key=value,key=value ({error})") from error


def prompted_quality(candidate: Candidate) -> float:
    """Quality from 0 to 1 of a model that is not trained: more examples and nearer ones help."""
    params = candidate.params
    shots = int(params.get("shots") or 0)
    nearest = 0.03 if shots and params.get("selector") == "nearest" else 0.0
    score = {"calibrated": 0.02, "mean": 0.01}.get(str(params.get("label_score")), 0.0)
    return 0.45 + 0.04 * math.log2(1 + shots) + nearest + score + _jitter(candidate)


def tuned_quality(candidate: Candidate, adapter: bool, steps: int) -> float:
    """Quality from 0 to 1 after so many steps: it approaches a peak that depends on the learning rate."""
    rate = float(candidate.params.get("learning_rate") or 1e-3)
    peak, best_rate = (0.86, 3e-3) if adapter else (0.9, 1e-3)
    peak -= 0.05 * math.log10(rate / best_rate) ** 2
    return 0.45 + (peak - 0.45) * (1 - math.exp(-steps / STEPS_TO_LEARN)) + _jitter(candidate)


def gain_of(instruction: str) -> float:
    """What an instruction adds to the quality: the number that it states, as in ``Name the kind. (+0.2)``."""
    stated = re.search(r"\(([+-][0-9.]+)\)", instruction)
    return float(stated.group(1)) if stated else 0.0


def _jitter(candidate: Candidate) -> float:
    return random.Random(candidate.key()).uniform(-0.005, 0.005)


@dataclass(frozen=True)
class Script:
    """What a scripted option answers."""

    quality: float
    shift: float
    """Which rows are right at a given quality, from 0 to 1; differs from seed to seed."""
    table: dict[str, tuple[int, list[str]]]
    """Input -> its position in its split and the accepted answers."""
    prompt: str = ""
    """As it was saved, rendered for `PROBE`; empty: wording does not matter to this model."""

    def text(self, query: str, labels: Sequence[str], lost: float = 0.0) -> str:
        """The answer to one input; right for a share of every prefix of a split that comes near the quality.

        Args:
            query: the input.
            labels: to choose from.
            lost: of the quality, from 0 to 1.
        """
        position, outputs = self.table.get(query, (0, []))
        if outputs and (_radical_inverse(position) + self.shift) % 1.0 < self.quality - lost:
            return outputs[0]
        return next((label for label in labels if label not in outputs), "")

    def confidence(self, query: str, text: str, least: float, informs: float) -> float:
        """Of an answer: from `least` to 1, higher for right answers, with noise that depends on the query alone."""
        noise = random.Random(f"{query} {self.shift}").random()
        right = text in self.table.get(query, (0, [""]))[1]
        sharp = 1 / (1 - 0.95 * informs)
        return least + (1 - least) * (noise ** (1 / sharp) if right else 1 - (1 - noise) ** (1 / sharp))


def _radical_inverse(number: int) -> float:
    """The van der Corput sequence: any first n of it are spread evenly from 0 to 1."""
    value, digit = 0.0, 0.5
    while number:
        number, bit = divmod(number, 2)
        value, digit = value + bit * digit, digit / 2
    return value


class ScriptedAdapted:
    """Answers by a script; its tokens are the words of the real prompt."""

    def __init__(
        self,
        settings: Settings,
        script: Script,
        described: JobBase | ArtifactDescription,
        training: Training,
        select: Select | None,
        tick: Callable[[], None],
    ) -> None:
        self.settings, self.script, self.training, self.select, self.tick = settings, script, training, select, tick
        self.parameters_total = settings.parameters
        self.labels = described.labels or []
        self.renderer = Prompt(described.prompt.template, described.prompt.instruction, self.labels)
        self.lost = self._lost_by_wording()
        self.by_digits = {re.sub(r"\D", "", text): text for text in script.table} if settings.typos else {}

    def _lost_by_wording(self) -> float:
        if not self.settings.wording:
            return 0.0
        rendered = self.renderer.render(PROBE, self.select(PROBE) if self.select else [])
        if rendered == self.script.prompt:
            return 0.0
        return self.settings.wording * random.Random(rendered).random()

    def _text(self, query: str) -> str:
        if query in self.script.table:
            return self.script.text(query, self.labels, self.lost)
        meant = self.by_digits.get(re.sub(r"\D", "", query), query)
        return self.script.text(meant, self.labels, self.lost + self.settings.typos)

    def _tokens(self, text: str) -> list[str]:
        examples = self.select(text) if self.select else []
        return self.renderer.render(text, examples, passages=passages_shown(self.select, text)).split()

    def prepare(self, inputs: Sequence[str]) -> int:
        return len(common_prefix([self._tokens(text) for text in inputs])) if inputs and self.labels else 0

    def answer(self, inputs: Sequence[str]) -> list[Answer]:
        begun, answers = time.perf_counter(), []
        for query in inputs:
            text, tokens, room = self._text(query), self._tokens(query), self.settings.context_length
            spend(self.settings.row_seconds, self.tick)
            done = time.perf_counter() - begun
            tokens_in, truncated = min(len(tokens), room), len(tokens) > room
            sure, log_probs = self._sure(query, text)
            answers.append(
                Answer(
                    text,
                    tokens_in,
                    len(text.split()),
                    truncated,
                    done,
                    done,
                    confidence=sure,
                    log_probs=log_probs,
                )
            )
        return answers

    def _sure(self, query: str, text: str) -> tuple[float, tuple[float, ...]]:
        """The confidence of an answer, and the logarithms of the probabilities of all labels."""
        count = len(self.labels)
        sure = self.script.confidence(query, text, 1 / count if count else 0.0, self.settings.informs)
        sure = min(0.999, max(sure, 1e-3))
        others = (1 - sure) / max(1, count - 1)
        return sure, tuple(math.log(sure if label == text else others) for label in self.labels)

    def close(self) -> None:
        pass


def spend(seconds: float, tick: Callable[[], None]) -> None:
    """Lets time pass while progress is made."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(0.1, left))
        tick()
    tick()


class ScriptedModel(Model):
    """A scripted model opened for one job."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context, self.settings = context, settings

    def prompt(self, decoding: Decoding) -> Adapted:
        job = self.context.job
        script = self._script(prompted_quality(job.candidate) + gain_of(job.prompt.instruction))
        self.context.save_artifact(decoding, "none", fill_with(script))
        return self._adapted(script, Training(artifact_bytes=len(job.prompt.template + job.prompt.instruction)))

    def tune(self, params: TunedParams, adapter: AdapterSpec | None) -> Adapted:
        context = self.context
        rows = len(context.training_rows())
        total = context.training_steps or math.ceil(rows / params.batch_size) * params.num_train_epochs
        planned = max(1, round(total * context.share_of_steps))
        seconds, first, steps = self._train(planned)
        trained = self.settings.parameters if adapter is None else self.settings.parameters // 50
        script = self._script(tuned_quality(context.job.candidate, adapter is not None, steps))
        if not context.keeps_checkpoint and context.rank == 0:
            context.save_artifact(Decoding(tuned=True), "full" if adapter is None else "adapter", fill_with(script))
        training = Training(
            seconds=seconds,
            steps=steps,
            steps_planned=planned,
            tokens=steps * params.batch_size * 20,
            loss=tuple(2.0 * math.exp(-(steps * k / 10) / STEPS_TO_LEARN) for k in range(1, 11)),
            step_seconds=seconds / steps,
            parameters_trained=trained,
            artifact_bytes=4 * trained,
        )
        print(f"trained steps {first} to {steps}")
        return self._adapted(script, training)

    def _train(self, steps: int) -> tuple[float, int, int]:
        """Trains up to a step, from the newest checkpoint on, or until its time is up.

        Returns:
            Seconds in all, the step it began at, and the step it ended at.
        """
        context, settings = self.context, self.settings
        limit = math.inf if context.training_seconds is None else context.training_seconds
        newest = checkpoints.latest(context.state)
        earlier = json.loads((newest / "progress.json").read_text()) if newest else {"step": 0, "seconds": 0.0}
        begun = time.monotonic()

        def seconds() -> float:
            return earlier["seconds"] + time.monotonic() - begun

        for step in range(earlier["step"], steps):
            spend(settings.step_seconds, context.tick)
            done = step + 1
            if context.training_should_end():
                self._save_checkpoint(done, seconds())
                raise KeyboardInterrupt
            if seconds() >= limit:
                steps = done
                break
            if settings.checkpoint_steps and done % settings.checkpoint_steps == 0 and done < steps:
                self._save_checkpoint(done, seconds())
        trained = seconds()
        if context.keeps_checkpoint:
            self._save_checkpoint(steps, trained)
        return trained, earlier["step"], steps

    def _save_checkpoint(self, step: int, seconds: float) -> None:
        if self.context.rank == 0:
            progress = json.dumps({"step": step, "seconds": seconds})
            folder = self.context.state / f"checkpoint-{step:07d}"
            checkpoints.write(folder, lambda target: (target / "progress.json").write_text(progress) and None)
            checkpoints.keep_newest(self.context.state, 2)

    def _script(self, quality: float) -> Script:
        table: dict[str, tuple[int, list[str]]] = {}
        for split in ("train", "dev", "validation", "test"):
            try:
                rows = self.context.rows(split)
            except FileNotFoundError:
                continue
            table |= {row.input: (position, row.outputs) for position, row in enumerate(rows)}
        shift = random.Random(self.context.job.seed).random()
        rendered = self._rendered() if self.settings.wording else ""
        return Script(min(0.98, max(0.02, quality + self.settings.quality)), shift, table, rendered)

    def _rendered(self) -> str:
        context, job = self.context, self.context.job
        prompt = Prompt(job.prompt.template, job.prompt.instruction, job.labels or [])
        return prompt.render(PROBE, context.select(PROBE) if context.select else [])

    def _adapted(self, script: Script, training: Training) -> Adapted:
        context = self.context
        return ScriptedAdapted(self.settings, script, context.job, training, context.select, context.tick)


def fill_with(script: Script) -> Callable[[Path], None]:
    """Writes a script into an artifact."""

    def fill(folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(vars(script)))

    return fill


class Scripted(ModelFamily):
    """Models whose name begins with ``scripted``."""

    def __init__(self) -> None:
        self._loaded: set[str] = set()
        self._seconds = 0.0
        self._joined = False

    def claims(self, name: str, base: Path) -> bool:
        return name == "scripted" or name.startswith("scripted:")

    def find(self, name: str, base: Path, download: bool) -> ModelReference:
        settings_of(name)
        return ModelReference(name=name, family="scripted", location="")

    def capabilities(self, model: ModelReference) -> Capabilities:
        settings = settings_of(model.name)
        names = ("generates", "reads_prompts", "scores_labels", "trains", "adapters", "context_length", "parameters")
        return Capabilities(**{name: getattr(settings, name) for name in names})

    def open(self, context: Context, model: ModelReference) -> Model:
        return ScriptedModel(context, self._warm(model, context.tick))

    def load(
        self,
        folder: Path,
        description: ArtifactDescription,
        devices: Devices,
        tick: Callable[[], None],
        select: Select | None,
    ) -> Adapted:
        settings = self._warm(description.model, tick)
        stored: dict[str, Any] = json.loads((folder / FILE).read_text())
        script = Script(**{**stored, "table": {k: (position, o) for k, (position, o) in stored["table"].items()}})
        trained = {"none": 0, "adapter": settings.parameters // 50, "full": settings.parameters}[description.weights]
        prompt = len(description.prompt.template + description.prompt.instruction)
        training = Training(artifact_bytes=4 * trained or prompt)
        return ScriptedAdapted(settings, script, description, training, select, tick)

    def drop(self) -> None:
        self._loaded.clear()

    @property
    def loading_seconds(self) -> float:
        return self._seconds

    def join_group(self, rank: int, world: int, meeting_file: Path, accelerator: str) -> None:
        if self._joined:
            return
        (meeting_file.with_name(f"{meeting_file.name}.{rank}")).touch()
        deadline = time.monotonic() + 60
        while len(list(meeting_file.parent.glob(f"{meeting_file.name}.*"))) < world:
            if time.monotonic() > deadline:
                raise RuntimeError("a rank did not come within 60 seconds")
            time.sleep(0.02)
        self._joined = True

    def _warm(self, model: ModelReference, tick: Callable[[], None]) -> Settings:
        settings = settings_of(model.name)
        if model.name not in self._loaded:
            begun = time.monotonic()
            spend(settings.loading_seconds, tick)
            self._seconds += time.monotonic() - begun
            self._loaded = {model.name}
        return settings
