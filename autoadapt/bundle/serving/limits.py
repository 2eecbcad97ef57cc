"""Limits of a server, and where it may listen."""

from dataclasses import dataclass

from autoadapt.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def in_url(host: str) -> str:
    """A host as URLs and the header ``Host`` write it."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may take."""

    body_bytes: int = 1_000_000
    seconds: float = 30.0
    """From the arrival of a request to its answer."""
    waiting: int = 1_000
    """Texts that wait."""
    together: int = 64
    """Texts of a batch; the load test of a search measures batches up to this size."""


@dataclass(frozen=True)
class Address:
    """Where a server listens, and for whom.

    Raises:
        UserError: other machines could reach it without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    """0: any that is free."""
    token: str | None = None
    """That requests must carry as a bearer token; None: requests from this machine alone are answered."""

    def __post_init__(self) -> None:
        if self.token is None and self.host not in LOOPBACK:
            raise UserError(
                f"--host {self.host}: other machines could reach it without a token; name an environment variable "
                "that holds one by --token-env, or leave --host out"
            )
