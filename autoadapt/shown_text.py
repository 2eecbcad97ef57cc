"""Texts made fit to be shown: without control characters, without secrets, without words of thousands of characters."""

import re

INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control and invisible characters, and halves of a surrogate pair, which no output can encode."""
SECRET = re.compile(
    r"(sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"
    r"|AKIA[A-Z0-9]{12,}|AIza[A-Za-z0-9_-]{16,}|(?:gsk|r8)_[A-Za-z0-9]{16,}|(?:nvapi|glpat|xox[abprs])-[A-Za-z0-9_-]{16,})"
)
"""Keys as providers write them."""
PASSWORD = re.compile(r"(://[^/\s:@]*:)(?!\$\{\w+\}@)[^/\s@]+@")
"""In an address; a reference to an environment variable is none."""
LONG_WORD = re.compile(r"\S{300,}")
SHORTEST_CONCEALED = 6
"""Characters; values of variables that are shorter are words such as `true`, which are no secrets."""
_concealed: dict[str, str] = {}


def printable(text: str) -> str:
    """The text with every control and invisible character replaced by ?."""
    return INVISIBLE.sub("?", text)


def inert_json(text: str) -> str:
    """JSON whose control and invisible characters are written as escapes: its values stay what they are."""
    return INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def conceal(name: str, value: str) -> None:
    """From now on messages show ``${name}`` in place of the value of an environment variable."""
    if len(value) >= SHORTEST_CONCEALED:
        _concealed[value] = f"${{{name}}}"


def fit_to_show(text: str) -> str:
    """A message as a person may see it.

    What looks like a key is replaced, the value of a reference ``${NAME}`` by that reference, a control character by ?;
    words of 300 characters or more are cut.
    """
    for value in sorted(_concealed, key=len, reverse=True):
        text = text.replace(value, _concealed[value])
    text = SECRET.sub("(a secret)", PASSWORD.sub(r"\1***@", text))
    return LONG_WORD.sub(lambda word: f"{word[0][:100]}...", printable(text))
