"""Option, Recommendation: what the outcomes of a study come to."""

from typing import Literal

from pydantic import Field

from autoadapt.domain.candidate import Params
from autoadapt.domain.load import Load
from autoadapt.domain.robustness import Robustness
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.usage import Usage

Role = Literal["floor", "baseline", "default", "taught", "part"]
"""Why an option is shown although it is dominated: it is the best of the simple methods, the untuned prompt, the best
of the candidates that the study began with, or a part of a cascade that is shown."""
CASCADE_NUMBERS = 1_000_000
"""Numbers of cascades begin here; those of trials end below."""


def cascade_number(first: int, second: int) -> int:
    """The number by which a cascade of two trials is known wherever options are known by the number of their trial."""
    return CASCADE_NUMBERS * (first + 1) + second


def trials_of(number: int) -> tuple[int, ...]:
    """The trial of that number, or the two parts of a cascade."""
    first, second = divmod(number, CASCADE_NUMBERS)
    return (first - 1, second) if first else (number,)


def number_text(number: int) -> str:
    """``7`` of a trial, ``3 > 12`` of a cascade of two."""
    return " > ".join(map(str, trials_of(number)))


def trial_name(number: int) -> str:
    """``trial 7``, or ``cascade 3 > 12``."""
    return f"{'trial' if number < CASCADE_NUMBERS else 'cascade'} {number_text(number)}"


class Cascade(StrictModel):
    """How a cascade answers: its first part where that one's calibrated confidence is high enough, else its second."""

    first: int
    second: int
    """Trials."""
    first_method: str
    second_method: str
    temperature: float
    """By which the first part's confidences are calibrated."""
    threshold: float
    """Calibrated confidence from which the first part's answer is taken; chosen on validation rows."""
    kept_validation: float
    kept: float
    """Share of the rows that the first part answers, on validation and on test rows; costs are computed from the
    latter."""
    difference: float
    difference_low: float
    difference_high: float
    """Quality minus that of the second part, with its 95 % interval, on test rows."""
    under_load: bool
    """Whether both parts were measured under load, so that its latency is computed from that."""
    saved: float
    """Share of the cost of the second part that is saved under the task's own economics; below 0: it costs more."""


class Calibration(StrictModel):
    """How far an option's confidences can be taken for probabilities."""

    trial: int
    temperature: float
    """Of its confidences, fitted on validation rows (see `verdict.calibration.temperature`)."""
    validation_rows: int
    test_rows: int
    error_before: float
    """Expected calibration error on test rows as the model states its confidences, from 0 to 1."""
    error: float
    """The same after calibration."""
    error_by_chance: float
    """What perfectly calibrated confidences show on as many rows on average."""


class OnnxServing(StrictModel):
    """How an option of a serving class answers in ONNX beside PyTorch; the class is served so."""

    of_trial: int
    """That was tried."""
    torch_ms: float
    """Median of single requests."""
    onnx_ms: float
    torch_rows_per_s: float
    """In batches of 32."""
    onnx_rows_per_s: float
    largest_difference: float | None
    """Of a log-probability of a label; None: they are not known of sets of labels."""
    bytes: int
    """Size of the model in ONNX, which is deployed in place of the base model."""

    @property
    def single_ratio(self) -> float:
        """Time of a single request over that in PyTorch."""
        return self.onnx_ms / self.torch_ms

    @property
    def row_ratio(self) -> float:
        """Time of a row in a batch over that in PyTorch."""
        return self.torch_rows_per_s / self.onnx_rows_per_s


class Scored(StrictModel):
    """One way to adapt, with its quality: what is the same under any economics."""

    trial: int
    """Its number; of a cascade see `cascade_number`."""
    method: str
    model: str
    params: Params
    floor: bool = False
    """Whether it is one of the simple methods that every other one is compared with."""
    quality: float
    """On validation rows, which the search chose by, so that it is a little too high on average."""
    quality_ci: tuple[float, float]
    """95 % interval."""
    quality_expected: float
    """The same, corrected by what similar candidates showed where the sampler models them: a lucky measurement stands
    out less. It decides what is on the frontier; without such a sampler it equals `quality`."""
    test_quality: float | None = None
    """On test rows the search never saw."""
    test_quality_ci: tuple[float, float] | None = None
    test_rows: int = 0
    shortlist_recall: float | None = None
    """Share of validation rows whose right label was among those that their prompt offered; None: all labels are."""
    retrieval_recall: float | None = None
    """Share of validation rows that the task's documents answer for which the passages that were found hold an accepted
    answer word for word; None: its prompts show no passages."""
    robustness: Robustness | None = None
    """Under other wordings of its prompt and other spellings of rows; None: it was not scored so, as no cascade is."""
    train_seconds: float
    artifact_bytes: int
    peak_memory_bytes: int
    values: dict[str, float]
    """Every objective of the task by name, as measured on validation rows."""
    latency_p50_ms: float
    """Single requests, one after the other."""
    latency_p95_ms: float | None
    """None: fewer than 59 samples, too few to state a 95th percentile."""
    cascade: Cascade | None = None
    """None: it is a trial."""
    serving_class: str = ""
    """What computes its answers; options of one class cost and take the same for the same tokens, their training apart,
    and are modelled together (`economics.serving_classes`). Empty: a cascade."""
    cost_error: float = 0.0
    """Standard error of the device time of an answer, as a share of it."""
    latency_error: float = 0.0
    """That of the latency of single requests."""
    p95_high: float = Field(default=1.0, ge=1)
    """95 % upper bound of its p95 latency over that p95, by which limits are judged."""
    onnx: OnnxServing | None = None
    """How much faster it is in ONNX, in which its times are stated; None: they are those of its own library."""
    network: bool = False
    """Whether latencies are those that a client of a server saw, with the network and the server's queue in them."""

    def named(self, note: str = "") -> str:
        """``trial 7 (lora)``, or ``cascade 3 > 12``, with a note in the brackets."""
        inside = ", ".join(part for part in ("" if self.cascade is not None else self.method, note) if part)
        return trial_name(self.trial) + (f" ({inside})" if inside else "")

    @property
    def name(self) -> str:
        """``trial 7 (lora)``, or ``cascade 3 > 12``."""
        return self.named()

    @property
    def title(self) -> str:
        """Its name as a sentence begins with it."""
        return self.name[0].upper() + self.name[1:]

    @property
    def best_known_quality(self) -> tuple[float, tuple[float, float]]:
        """Quality and its 95 % interval: on test rows where it was re-scored, else on validation rows."""
        if self.test_quality is not None and self.test_quality_ci is not None:
            return self.test_quality, self.test_quality_ci
        return self.quality, self.quality_ci


class RawOption(Scored):
    """Raw figures of one trial at full fidelity, from ``results.json``; all scenarios are priced from them."""

    hardware: str
    devices: int
    """Held while training; answers are given by one."""
    training: Usage
    """What training the option used, in all, and what writing its instruction used where a proposer has written it."""
    answering: Usage
    """What answering `rows` in batches used."""
    inference_seconds: float
    """Wall-clock, to answer `rows` in batches."""
    rows: int
    tokens_in: int
    """Of all rows together, as this model counts them."""
    tokens_shared: int
    """Of each row's input tokens, those that all rows begin with: a provider's cache would hold them."""
    tokens_out: int
    tokens_in_ci: tuple[float, float]
    """95 % bootstrap interval over rows of the mean per row."""
    tokens_out_ci: tuple[float, float]
    free_text: bool
    """Whether answers are written, so that their length can grow; labels are chosen."""
    decode_share: float
    """Share of a request's time that grows with the length of its answer (0 for labels)."""
    load: Load | None = None
    """Under load, alone on its device; None: not measured."""
    shares_base: bool
    """Whether many such options can be served on one copy of the base model."""
    on_frontier: bool
    """Of the task's own economics."""
    weights_kept: bool
    """False: its weights were deleted when others dominated it, or its files are damaged; it cannot be deployed."""
    files_damaged: bool = False
    """Whether what an earlier run has written of it was found damaged when the search was resumed."""
    parts_latency_ms: tuple[list[float], list[float]] | None = None
    """Of a cascade: single requests to its first and to its second part."""
    parts: "tuple[RawOption, RawOption] | None" = Field(default=None, exclude=True)
    """Of a cascade: its parts, from which it is priced; files refer to them by their trials."""


class Option(Scored):
    """One way to adapt, measured at full fidelity, under some economics: a row of ``frontier.json``.

    Its `latency_p95_ms` is that under load, at the busiest rate expected, where that was measured.
    """

    cost_usd_per_1k: float
    inference_usd_per_1k: float
    """Part of the cost: device time of answering."""
    training_usd: float
    """What training this option cost, in all."""
    latency_p95_high_ms: float | None = None
    """95 % upper bound of `latency_p95_ms`, whose waits for cold starts are as they are."""
    on_frontier: bool = True
    """False only for options that are shown for another reason, see `shown_as`."""
    shown_as: Role | None = None
    """Why it is shown although it is dominated; None: it is on the frontier."""
    requests_per_s: float | None = None
    """Greatest measured rate at which one replica meets the latency target (without one: keeps up); None: not
    measured under load, or not even the lowest rate did."""
    within_target: float | None = None
    """Share of requests within the latency target at the busiest rate expected, cold starts included; None: there is no
    target, or it was not measured under load."""


class Recommendation(StrictModel):
    """What is advised, and why, in one sentence."""

    scenario: str
    trial: int | None
    """None: no option satisfies the constraints."""
    reason: str
    meets_constraints: bool
    best_quality: int | None
    cheapest: int | None
    fastest: int | None
    baseline: int | None
    """The untuned zero-shot prompt."""
    floor: int | None = None
    """The best of the simple methods that every other one is compared with; None: none was measured."""
    tied: list[int] = Field(default=[])
    """Options that are as good as the best that satisfies the constraints, as far as rows can tell, that one apart."""
    cheaper_equivalent: int | None = None
    """The recommended option where it is not the best but a cheaper one, shown to lose no more than may be given up."""


class Spent(StrictModel):
    """What a study has cost so far, over all its runs."""

    trials: int = 0
    """Candidates tried, cached answers apart."""
    usd: float = 0.0
    device_seconds: float = 0.0
    lost_seconds: float = 0.0
    """Of the device-seconds, those of jobs that gave nothing: they failed, or were ended with the budget."""
    fit_measure_seconds: float = 0.0
    """Of the device-seconds, those that all other jobs spent fitting and measuring."""
    wall_seconds: float = 0.0
    idle_seconds: float = 0.0
    """Device-seconds in which slots had no job, while the search ran: wall time on all slots, by their present number,
    less what jobs held. No budget counts them, and a rented machine bills them."""
    idle_usd: float = 0.0
    """The same at the task's price, in addition to `usd`."""
