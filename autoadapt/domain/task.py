"""Task: everything a user decides, as written in ``task.yaml``.

Field names are the YAML keys; the string under a field is its documentation (``autoadapt schema`` prints it). Values
are checked here for type and range; names that other rooms own (metric, method, sampler, model) are resolved in
`autoadapt.tasks.resolve` before anything is spent.
"""

import re
from decimal import Decimal
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.counts import WholeCount
from autoadapt.domain.data import Data
from autoadapt.domain.documents import DocumentsSettings
from autoadapt.domain.prompt_entry import PromptSettings
from autoadapt.domain.remote import RemoteSettings
from autoadapt.domain.storage_url import checked_url
from autoadapt.domain.strict import PathText, PlacedError, StrictModel, Usd
from autoadapt.domain.teacher import TeacherSettings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_SLOTS = 1024
EXTRACTING = "json_fields"
"""The metric of tasks whose answers are JSON objects, unless they name another one."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}


class Budget(StrictModel):
    """What may be spent, in total over every resumed run; the first limit reached ends the search."""

    trials: int | None = Field(default=None, ge=1)
    """Candidates tried; answers from the cache, and the simple methods that come with `floor`, do not count."""
    hours: float | None = Field(default=None, gt=0)
    """Wall-clock hours of searching and re-scoring."""
    device_hours: float | None = Field(default=None, gt=0)
    """Hours of devices held, by all slots together."""
    usd: Usd | None = None
    """Device time of every trial, failed ones and re-scoring included, at `economics.usd_per_hour`, and all that
    providers bill."""

    @model_validator(mode="after")
    def _some_limit(self) -> "Budget":
        if self.trials is None and self.hours is None and self.device_hours is None and self.usd is None:
            raise ValueError("give at least one of trials, hours, device_hours, usd")
        if self.usd is not None and self.usd <= 0:
            raise ValueError("usd must be greater than 0")
        return self


class Owned(StrictModel):
    """An owned machine, or a user's own device: an hour costs depreciation, energy and operations instead of rent."""

    capex_usd: Usd = Decimal(0)
    """Price of the machine; 0 where somebody else paid for it (a user's phone)."""
    life_hours: float = Field(default=35_040, gt=0)
    """Hours until it is replaced (default: four years)."""
    utilisation: float = Field(default=1.0, gt=0, le=1)
    """Share of them in which it works."""
    kilowatts: float = Field(ge=0)
    """Power while it works."""
    usd_per_kwh: Usd
    """Price of energy."""
    pue: float = Field(default=1.0, ge=1)
    """The building's power over the machine's."""
    ops_usd_per_hour: Usd = Decimal(0)
    """Housing and operations."""


Hosting = Literal["per_use", "always_on", "scale_to_zero", "shared"]


class Economics(StrictModel):
    """Prices and use, from which dollars are computed."""

    usd_per_hour: Usd | None = None
    """Price of one device (GPU, or CPU slot) for one hour; or give `price` or `owned`."""
    price: str | None = None
    """A name in the price book, PROVIDER/DEVICE/TIER (`autoadapt prices` lists them)."""
    price_book: PathText | None = None
    """Your own price file; its entries override those of the package."""
    owned: Owned | None = None
    """An owned machine instead of a rented one."""
    overhead_factor: float = Field(default=1.0, ge=1, le=10)
    """What a device-hour really costs over its listed price (disks, network, idle time between jobs)."""
    queries_per_month: WholeCount = 100_000
    """Expected use; 10k, 2.5M and 1B are read too."""
    horizon_months: float = Field(default=12, gt=0)
    """Months over which an option's training is paid off."""
    hosting: Hosting = "per_use"
    """How answers are served, by which costs are computed wherever a scenario does not say it: `per_use`, their device
    time alone; `always_on`, whole devices day and night; `scale_to_zero`, whole devices that are switched off when
    idle; `shared`, always on and shared by adapters of one base."""
    machine: Owned | None = None
    """The owned machine from which `usd_per_hour` was computed; filled in, not given."""

    @model_validator(mode="after")
    def _one_price(self) -> "Economics":
        given = [n for n in ("usd_per_hour", "price", "owned") if getattr(self, n) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(
                f"give one price of a device-hour (found: {found}), an unknown one is not guessed: usd_per_hour: 2.69, "
                "or price: a name that `autoadapt prices` lists, or owned: {kilowatts: 0.4, usd_per_kwh: 0.25}"
            )
        return self

    @property
    def hour_usd(self) -> Decimal:
        """USD that one device-hour costs, overhead included."""
        if self.usd_per_hour is None:
            raise ValueError(f"the price '{self.price}' has not been looked up yet")
        return self.usd_per_hour * Decimal(repr(self.overhead_factor))


class Limits(StrictModel):
    """What an option must satisfy whatever its use (absent: no limit)."""

    quality: float | None = Field(default=None, ge=0, le=1)
    """Least quality, in the metric's unit from 0 to 1."""
    cost_usd_per_1k: float | None = Field(default=None, gt=0)
    """Greatest cost of 1,000 queries in USD."""
    training_usd: float | None = Field(default=None, ge=0)
    """Most that training the option may cost, once."""
    memory_mb: float | None = Field(default=None, gt=0)
    """Greatest peak memory in megabytes."""
    artifact_mb: float | None = Field(default=None, gt=0)
    """Greatest size in megabytes of what is deployed in addition to the base model."""
    robustness_points: float | None = Field(default=None, gt=0, le=100)
    """Most points of quality that an option may lose on average under any kind of perturbation that `evaluation:
    {robustness: true}` applies to it, by the upper end of the 95 % interval. An option that was not scored so does not
    satisfy it."""


class Constraints(Limits):
    """What an option must satisfy to be recommended (absent: no limit)."""

    latency_p95_ms: float | None = Field(default=None, gt=0)
    """Greatest 95th percentile of latency in milliseconds; under load, the target that 99 % of requests should meet."""


class Evaluation(StrictModel):
    """How a candidate is measured."""

    rows: int = Field(default=500, ge=10)
    """Validation rows at full fidelity: a fixed stratified sample, or all where there are fewer."""
    test_rows: int = Field(default=1000, ge=10)
    """Test rows on which the frontier is re-scored once, at the end; fewer where the budget pays for no more."""
    latency_requests: int = Field(default=60, ge=5)
    """Single requests timed after warm-up; below 59 no p95 is stated and the objective is p50. Ten of a candidate that
    a known option dominates."""
    load_requests: int = Field(default=100, ge=0)
    """Requests at each rate when the frontier is measured under load, at the end; 0: not measured."""
    load_seconds: float = Field(default=20, gt=0)
    """Longest load test of one option; what it has found by then counts. Slow answers get fewer requests (20). Shorter
    where the budget pays for no more."""
    onnx: bool = True
    """At the end, if the budget pays for it, also try encoders and classifiers on states in ONNX, one of
    each serving class; where that is faster the class is served so. Only on CPUs, where ``autoadapt[onnx]`` is
    installed, and for options that compute in fp32, as ONNX does (`compute.precision`)."""
    robustness: bool = True
    """At the end, if the budget pays for it, also score the options shown under other wordings of their
    prompt (instruction, order of labels, separators, order and draw of examples) and under typing errors and other
    capitals in rows. What providers bill for it is at most a tenth of what they have billed for the search, unless
    `constraints.robustness_points` asks for it."""
    robustness_variants: int = Field(default=3, ge=2, le=20)
    """Variants of each kind of perturbation."""
    robustness_rows: int = Field(default=200, ge=20)
    """Test rows that each of them answers; fewer, but at least 100, where no more can be paid for."""
    learning_curve: bool = True
    """At the end, if the budget pays for it, also train the recommended tuned option on an eighth, a quarter
    and half of the rows, for as many optimizer steps each, to estimate the gain of more labels."""
    final_fit: bool = True
    """At the end, if the budget pays for it, also train the recommended option once more, on validation rows too, and
    score it on test rows: the one to deploy. Up to a quarter of the budget is kept for it."""
    seeds: int = Field(default=1, ge=1, le=20)
    """Seeds in all; above 1, options of the frontier that depend on chance are fitted again with others, at the end, if
    the budget pays for it."""
    max_new_tokens: int = Field(default=64, ge=1, le=4096)
    """Longest free-text answer in tokens."""


class Advice(StrictModel):
    """What may be given up for a lower cost."""

    give_up_points: float = Field(default=1.0, ge=0, le=100)
    """Greatest loss of quality, in points (hundredths), for which a cheaper option may be recommended in place of the
    best one. It must be shown on test rows that the loss is no greater; it is not enough that none is shown."""
    least_saving_usd: float = Field(default=0.01, ge=0)
    """USD a month below which a difference in cost counts for nothing."""


class SearchSettings(StrictModel):
    """How candidates are chosen."""

    sampler: PluginChoice = PluginChoice(name="cost_aware")
    """A name in the samplers folder, alone or with its settings: {NAME: {setting: value}}."""
    rungs: bool = True
    """Start candidates at low fidelity (a part of rows or training steps); only promising ones reach full fidelity."""
    deterministic: bool = False
    """Choose by prices that follow from tokens and parameters, not from the clock, on one slot, so that a search gives
    the same trials again, also when it was interrupted. It needs a budget of `trials` alone."""
    least_gain: float = Field(default=0.001, ge=0, lt=1)
    """Stop when no job is expected to add more than this share of the hypervolume reached (cost_aware)."""


class Compute(StrictModel):
    """Where trials run."""

    executor: PluginChoice = PluginChoice(name="local")
    """A name in the executors folder, alone or with its settings: {NAME: {setting: value}}."""
    slots: int | Literal["auto"] = "auto"
    """Trials side by side; auto: one per `devices_per_trial` GPUs, else one per CPU core (at most 4)."""
    devices_per_trial: int = Field(default=1, ge=1, le=64)
    """GPUs (or gloo ranks on CPU) of one tuned trial."""
    engine: Literal["auto", "plain", "deepspeed"] = "auto"
    """Training backend; auto: plain torch when one device is enough, else DeepSpeed."""
    zero_stage: Literal["auto", 0, 1, 2, 3] = "auto"
    """DeepSpeed ZeRO stage; auto: the first that fits in memory."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Numbers in which models compute; auto: bf16 where the hardware multiplies it natively, else fp32."""
    trial_timeout_s: float = Field(default=3600, gt=0)
    """A job of a trial is killed after so many seconds."""
    hang_timeout_s: float = Field(default=600, gt=0)
    """A job of a trial is killed when it shows no progress for so many seconds."""
    memory_mb: int | None = Field(default=None, ge=100)
    """Greatest memory of a worker of `executor: local` in megabytes: what its process allocates for itself, with the
    libraries that it has loaded; neither files that it maps, such as weights, nor the memory of a GPU. A job that needs
    more fails as out of memory. null: what the machine has."""
    recording: PathText | None = None
    """For `executor: replay`: the folder of a finished run that answers in place of real trials."""
    on_cpu: bool = False
    """Use CPU slots even where there are GPUs."""

    def training_engine(self) -> Literal["plain", "deepspeed"]:
        """The backend that `engine` comes to."""
        if self.engine != "auto":
            return self.engine
        return "deepspeed" if self.devices_per_trial > 1 else "plain"

    @field_validator("slots")
    @classmethod
    def _slots_possible(cls, value: Any) -> Any:
        if isinstance(value, int) and not 1 <= value <= MOST_SLOTS:
            raise ValueError(f"must be 1 to {MOST_SLOTS}, or auto")
        return value


class Task(StrictModel):
    """One question to answer: for this data and metric, prompt, LoRA or full fine-tuning?"""

    model_config = ConfigDict(serialize_by_alias=True)

    version: Literal[1] = 1
    """Version of this file's format."""
    name: str
    """Name of the study; its files go to `runs/NAME`."""
    data: Data
    """Labelled rows."""
    documents: DocumentsSettings | None = None
    """Documents in which models may look answers up: a folder, passages of which prompts show."""
    task: Literal["extract"] | None = None
    """`extract`: answers are JSON objects that satisfy `schema`; the metric is then json_fields unless another one is
    named."""
    schema_file: PathText | None = Field(default=None, alias="schema")
    """With `task: extract`: a file with the JSON schema of an object."""
    metric: PluginChoice
    """A name in the metrics folder (accuracy, macro_f1; for sets of labels micro_f1, subset_accuracy; for texts
    exact_match, token_f1, rouge_l, bleu, chrf, json_fields, judge), alone or with its settings:
    {NAME: {setting: value}}."""
    objectives: list[str] = Field(default=["quality", "cost_usd_per_1k", "latency_ms"], min_length=2, max_length=5)
    """What is optimised: two to five names in the objectives folder."""
    models: list[PathText] = Field(min_length=1)
    """Base models: `embedded` (installed with AutoAdapt), `minilm`, `smollm2`, local folders, hub ids, hosted models
    (`openai:NAME`) and servers (`server:NAME@URL`); all of them are searched together."""
    remote: dict[str, RemoteSettings] = Field(default={})
    """Settings of models behind a server, by their name in `models`: price, key, tier, concurrency, time-out."""
    methods: list[str] = Field(default=["prompt", "head", "lora", "full"], min_length=1)
    """Names in the methods folder (prompt, head, lora, ia3, full, contrastive; majority, tfidf and nearest come with
    `floor`)."""
    floor: bool = True
    """Measure simple methods of words first (`majority`, `tfidf`, `nearest` on the model `classical`), and compare
    every recommendation with the best of them; they take seconds."""
    search_space: PathText = "joint"
    """A name in search_spaces/ or a path to a YAML file."""
    prompts: PromptSettings = PromptSettings()
    """Entries of the prompt library, and of your own folders, that are searched too."""
    budget: Budget
    """When to stop."""
    economics: Economics
    """Price of a device, and how much the result will be used."""
    constraints: Constraints = Constraints()
    """What a recommended option must satisfy."""
    recommend: Advice = Advice()
    """How the recommended option is chosen: what may be given up for a lower cost."""
    evaluation: Evaluation = Evaluation()
    """Rows and requests by which candidates are measured."""
    search: SearchSettings = SearchSettings()
    """The sampler, and whether candidates start at low fidelity."""
    compute: Compute = Compute()
    """Executor, slots, training backend, time limits."""
    proposer: PluginChoice | None = None
    """Writes instructions during the search, `prompt.slot`: a name in the proposers folder with the model that writes,
    {capo: {model: NAME}} or {gepa: {model: NAME}}. What it uses is part of the search's cost, and an option that uses
    its instruction bears it."""
    teacher: TeacherSettings = TeacherSettings()
    """With `data.unlabelled`: how its rows are labelled during the search. What labelling uses is part of the search's
    cost, and an option that learns from the labels bears it."""
    storage: str | None = None
    """Database of the Optuna study, postgresql+psycopg://USER:${NAME}@HOST/DATABASE, which needs
    ``autoadapt[postgresql]``; the password is a reference to an environment variable. By default the file `study.db` of
    the run folder."""
    storage_timeout_s: float = Field(default=1800, ge=0)
    """Longest outage of that database in seconds that a search waits for before it ends; running jobs go on
    meanwhile."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of everything random."""

    @field_validator("storage")
    @classmethod
    def _possible_storage(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not NAME.fullmatch(value) or value.split(".")[0].lower() in RESERVED:
            raise ValueError(
                "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit, "
                "and no reserved device name"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _metric_of_extraction(cls, value: Any) -> Any:
        if isinstance(value, dict) and (value.get("task") or value.get("schema")) and "metric" not in value:
            return {**value, "metric": EXTRACTING}
        return value

    @model_validator(mode="after")
    def _schema_of_extraction(self) -> "Task":
        if self.task == "extract" and self.schema_file is None:
            raise PlacedError(("task",), "extract needs the schema of the answers; give schema: FILE.json")
        if self.schema_file is not None and self.task is None:
            raise PlacedError(("schema",), "it is that of answers that are JSON objects; give task: extract, too")
        return self

    @model_validator(mode="after")
    def _nothing_by_the_clock(self) -> "Task":
        limits = [name for name in ("hours", "device_hours", "usd") if getattr(self.budget, name) is not None]
        if self.search.deterministic and limits:
            raise ValueError(
                f"search.deterministic: budget.{limits[0]} ends a search by the clock; give budget.trials alone"
            )
        if self.search.deterministic and self.compute.slots not in (1, "auto"):
            raise ValueError("search.deterministic: several slots end by the clock; set compute.slots to 1")
        return self

    @model_validator(mode="after")
    def _taught_rows_given(self) -> "Task":
        if self.data.unlabelled is None and self.teacher != TeacherSettings():
            raise PlacedError(("teacher",), "there is nothing to label; give data.unlabelled: FILE, or remove it")
        return self

    @model_validator(mode="after")
    def _limited_is_measured(self) -> "Task":
        if self.constraints.robustness_points is not None and not self.evaluation.robustness:
            message = "needs evaluation.robustness: true; without it no option would satisfy the limit"
            raise PlacedError(("constraints", "robustness_points"), message)
        return self

    @field_validator("models", "methods", "objectives")
    @classmethod
    def _no_repeats(cls, value: list[str]) -> list[str]:
        if repeated := sorted({v for v in value if value.count(v) > 1}):
            raise ValueError(f"names {', '.join(repeated)} more than once")
        return value
