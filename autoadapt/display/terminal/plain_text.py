"""Text of users, data and models on a terminal."""

from rich.text import Text

from autoadapt.display.text import printable


def plain(text: str) -> Text:
    """Text without markup, with every control and invisible character replaced by ?."""
    return Text(printable(text))
