"""What of a decoding a server can do, by what its test requests have shown."""

from collections.abc import Sequence

from autoadapt.domain.method import Decoding
from autoadapt.domain.remote import LabelWay
from autoadapt.models.remote.labels import lacking
from autoadapt.providers.features import Features

WITH_PROBABILITIES: tuple[LabelWay, ...] = ("logprobs", "decisions")
"""Ways of asking for labels that give a probability of each."""
DEFAULT_TEMPERATURE = 1.0
"""At which servers draw that are told none."""
STOPS = {"line": "\n", "blank_line": "\n\n"}


def way_of(decoding: Decoding, labels: Sequence[str], features: Features) -> LabelWay:
    """The way in which labels are asked for, of a decoding that the server can do."""
    if decoding.reasons:
        return "text"
    if decoding.label_way != "auto":
        return decoding.label_way
    ways = [way for way in features.ways if decoding.label_score != "calibrated" or way in WITH_PROBABILITIES]
    return next(way for way in ways if way == "text" or lacking(way, labels, features) is None)


def unable(decoding: Decoding, labels: Sequence[str], features: Features) -> str | None:
    """Why a server cannot do what a decoding asks for; None: it can.

    Args:
        decoding: how an answer is read off.
        labels: to choose from; empty for free text.
        features: of the server.
    """
    if decoding.reasons and not features.writes:
        return "its server answers typed questions alone and writes no reasoning"
    if decoding.temperature not in (0.0, DEFAULT_TEMPERATURE) and "temperature" in features.refused:
        return f"its server takes no temperature, and draws at {DEFAULT_TEMPERATURE}"
    if decoding.top_p < 1 and "top_p" in features.refused:
        return "its server takes no top_p"
    if not labels:
        refused = stops_of(decoding) and "stop" in features.refused
        return "its server takes no stop" if refused else None
    return _unable_labels(decoding, labels, features)


def _unable_labels(decoding: Decoding, labels: Sequence[str], features: Features) -> str | None:
    if decoding.label_way != "auto" and (reason := lacking(decoding.label_way, labels, features)) is not None:
        return reason
    if decoding.label_score == "calibrated":
        ways = [way for way in features.ways if lacking(way, labels, features) is None]
        known = [way for way in ways if decoding.label_way in ("auto", way) and way in WITH_PROBABILITIES]
        if not known or decoding.reasons:
            return "label_score: calibrated needs probabilities of labels, by label_way: logprobs or decisions"
    if decoding.logit_bias > 0 and not features.letters:
        return "its server does not tell the tokens of letters, or obeys no logit_bias"
    return None


def stops_of(decoding: Decoding) -> tuple[str, ...]:
    """Texts that end an answer, as a server is told them."""
    return () if decoding.stop in ("auto", "none") else (STOPS.get(decoding.stop, decoding.stop),)
