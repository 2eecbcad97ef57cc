"""What options are called by what they are, such as ``LoRA on embedded, 4 epochs``; trial numbers stand beside that."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoadapt.display.text import MINOR_PARAMETERS, value_text
from autoadapt.domain.option import Option, RawOption, Scored
from autoadapt.shown_text import printable

METHOD_NAMES = {
    "prompt": "prompt",
    "head": "classifier",
    "lora": "LoRA",
    "full": "full fine-tuning",
    "ia3": "(IA)3",
    "contrastive": "contrastive tuning",
    "tfidf": "counts of words or letters",
    "majority": "most frequent answer",
    "nearest": "nearest training row",
}
"""Names of methods in a sentence; others are called by their name in a task."""
WITHOUT_MODEL = ("tfidf", "majority", "nearest")
"""Methods whose model is always the same, so that it says nothing."""
CLASSIFIERS = {"linear_svm": "SVM", "logistic_regression": "logistic"}
COUNTED = {"words": "word counts", "characters": "letter counts", "both": "word and letter counts"}
ARTICLES = {"prompt": "a ", "head": "a ", "majority": "the ", "nearest": "the "}
SHORT = {
    "learning_rate": "learning rate",
    "num_train_epochs": "epochs",
    "batch_size": "batch",
    "target_modules": "modules",
    "max_seq_length": "length",
}
"""Names of parameters beside a value."""


def method_name(method: str) -> str:
    """A method in a sentence."""
    return METHOD_NAMES.get(method, method)


def with_article(method: str, name: str) -> str:
    """A name as it stands in a sentence."""
    return ARTICLES.get(method, "") + name


def option_names(options: Iterable[Option | RawOption]) -> dict[int, str]:
    """A name for each option by its number; options that would be called alike are told apart by their parameters."""
    every = list(options)
    plain = {o.trial: plain_name(o) for o in every}
    alike = Counter(plain.values())
    groups: dict[str, list[Scored]] = {}
    for option in every:
        groups.setdefault(plain[option.trial], []).append(option)
    return {
        o.trial: plain[o.trial]
        if alike[plain[o.trial]] == 1
        else _told_apart(o, groups[plain[o.trial]], plain[o.trial])
        for o in every
    }


def plain_name(option: Scored) -> str:
    """Method, model, and the parameter that says most of it."""
    cascade = option.cascade
    if cascade is not None:
        return f"{method_name(cascade.first_method)}, then {method_name(cascade.second_method)} when unsure"
    model = "" if option.method in WITHOUT_MODEL else f" on {short_model(option.model)}"
    if option.method == "head":
        model += " features"
    counted, detail = COUNTED.get(str(option.params.get("units"))), _detail(option.params)
    method = counted if option.method == "tfidf" and counted else method_name(option.method)
    return printable(f"{method}{model}{f', {detail}' if detail else ''}")


def short_model(model: str) -> str:
    """A model without the folder or the owner that its name begins with."""
    return model.rstrip("/").rsplit("/", 1)[-1][:40] or model


def _detail(params: Mapping[str, Any]) -> str:
    epochs, shots = params.get("num_train_epochs"), params.get("shots")
    if epochs is not None:
        return f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    if shots is not None:
        examples = "no examples" if not shots else f"{shots} example{'' if shots == 1 else 's'}"
        return examples + (", with reasoning" if params.get("reasoning") == "steps" else "")
    classifier = params.get("classifier")
    return "" if classifier is None else str(CLASSIFIERS.get(str(classifier), classifier))


def _told_apart(option: Scored, group: Sequence[Scored], name: str) -> str:
    """The name with the first parameter by which it differs from the others of its group, else with its trial."""
    for parameter in option.params:
        values = [o.params.get(parameter) for o in group]
        distinct = len({value_text(v) for v in values}) == len(group)
        if parameter not in MINOR_PARAMETERS and distinct:
            return printable(f"{name}, {SHORT.get(parameter, parameter)} {value_text(option.params[parameter])}")
    return f"{name} (trial {option.trial})" if option.cascade is None else name
