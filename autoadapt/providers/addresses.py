"""What a request can be sent to, and with which key: checked before any is sent."""

from urllib.parse import urlsplit

from autoadapt.errors import UserError
from autoadapt.shown_text import printable

EXAMPLE = "http://127.0.0.1:8000/v1"


def checked_url(url: str, password: str) -> str:
    """The URL of a server, if requests can be sent there.

    Args:
        url: as it was written.
        password: what to do in place of writing a password into it.

    Raises:
        UserError: it is no URL of a server, or holds a password, which is not shown.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"the URL of the server cannot be read ({error}); write it as {EXAMPLE}") from error
    if "@" in parts.netloc:
        raise UserError(f"the URL holds a password: {password}")
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(f"{url}: give a URL with http:// or https://, such as {EXAMPLE}")
    if port == 0 or printable(url) != url or any(c.isspace() for c in url):
        raise UserError(f"{url}: has a port or a character that no URL has; write it as {EXAMPLE}")
    return url


def checked_key(key: str, variable: str) -> str:
    """An API key, if a request can carry it.

    Args:
        key: of a server; it is not shown.
        variable: the environment variable that holds it.

    Raises:
        UserError: it holds a character that a header cannot.
    """
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(
            f"the environment variable {variable} holds a character that no key has, such as a line break or a space; "
            "set it to the key alone"
        )
    return key
