"""Labels in texts and in probabilities."""

import math

import pytest

from autoadapt.domain.remote import RemoteModel
from autoadapt.errors import UserError
from autoadapt.models.remote.labels import lacking, mentioned, read_label
from autoadapt.models.remote.names import is_remote, is_this_machine, reference_of
from autoadapt.providers.dialects import constrained_choice
from autoadapt.providers.features import Features
from autoadapt.providers.replies import Reply, TokenScore

LABELS = ["card", "card_lost", "top up"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("card", "card"),
        ("Card.", "card"),
        ("**card_lost**", "card_lost"),
        ("The label is: Card Lost", "card_lost"),
        ("It is about a top-up.", "top up"),
        ("either card or top up", None),
        ("cards", None),
        ("", None),
        ("discard", None),
    ],
)
def test_the_only_label_that_a_text_mentions(text: str, label: str | None) -> None:
    assert mentioned(text, LABELS) == label


@pytest.mark.parametrize(
    ("text", "choice"),
    [('{"label": "a"}', "a"), ("a", "a"), ('"a"', "a"), ("the a", None), ('{"label": 1}', None), ("[]", None)],
)
def test_a_constrained_choice(text: str, choice: str | None) -> None:
    assert constrained_choice(text, ("a", "b")) == choice


def test_letters_that_did_not_come_back_have_almost_no_probability() -> None:
    score = TokenScore(
        token=" B", logprob=math.log(0.6), others={" B": math.log(0.6), "b": math.log(0.1), "A": math.log(0.2)}
    )
    found = read_label("logprobs", Reply(text=" B", scores=[score]), LABELS)
    assert found.text == "card_lost"
    # a dict of alternatives names the token itself again: it counts once
    assert found.confidence == pytest.approx(0.7 / 0.9)
    assert sum(math.exp(x) for x in found.log_probs) == pytest.approx(1.0, abs=1e-6)
    assert found.log_probs[2] < -20
    assert read_label("logprobs", Reply(text="no"), LABELS).unusable


def test_a_refused_decision_is_unusable() -> None:
    assert read_label("decisions", Reply(text="", refused=True), LABELS).unusable


def test_how_many_labels_a_way_takes() -> None:
    features = Features(ways=("decisions", "logprobs", "text"), writes=True, alternatives=5)
    many = [str(i) for i in range(300)]
    assert "5 labels at most" in (lacking("logprobs", many[:6], features) or "")
    assert "2 to 255" in (lacking("decisions", many, features) or "")
    assert lacking("decisions", many[:255], features) is None
    assert "label_way: schema" in (lacking("schema", many[:2], features) or "")


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    hosted = reference_of("openai:gpt-5-mini")
    assert hosted.location == "https://api.openai.com/v1"
    assert RemoteModel.model_validate(hosted.settings).key == "${OPENAI_API_KEY}"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    assert reference_of("openai:gpt-5-mini").place == "http://gateway/v1"
    own = reference_of("server:org/model@v2@http://10.0.0.1:8000/v1")
    assert own.location == "http://10.0.0.1:8000/v1"
    assert own.settings["model"] == "org/model@v2"
    for wrong in ("server:m", "server:@http://h/v1", "server:m@ftp://h", "openai:", "server:m@http://user:secret@h/v1"):
        with pytest.raises(UserError) as raised:
            reference_of(wrong)
        assert "secret" not in str(raised.value)
    assert is_remote("groq:llama")
    assert not is_remote("org/model")
    assert not is_remote("openai")
    assert is_this_machine("http://127.0.0.1:8000/v1")
    assert is_this_machine("http://[::1]:1/v1")
    assert not is_this_machine("http://example.org/v1")
