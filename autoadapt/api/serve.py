"""Serve: a bundle behind HTTP until it is told to end; what ``autoadapt serve`` calls."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from autoadapt.bundle.description import BundleDescription
from autoadapt.bundle.loaded import Bundle
from autoadapt.bundle.serving.limits import Address, Limits, in_url
from autoadapt.bundle.versions import VersionRegistry, located
from autoadapt.errors import Exit, UserError
from autoadapt.files import home_path, output_target

if TYPE_CHECKING:
    from autoadapt.bundle.serving.answer_queue import AnswerQueue
    from autoadapt.bundle.serving.server import BundleServer

logger = logging.getLogger(__name__)
DRAIN_SECONDS = 5.0
"""Beyond the time limit of a request, which the last ones have to end in."""
BACKLOG = 2048
"""Connections that wait to be accepted."""
FOLLOW_SECONDS = 1.0
"""Between looks at what an alias points to."""
WARM_UP = ("What is this?", "12")
"""Texts that the option answers before the first request: they have in common what all prompts share."""


def serve(
    bundle: str | Path,
    *,
    address: Address | None = None,
    limits: Limits | None = None,
    log: str | Path | None = None,
    on_start: Callable[[str, BundleDescription], None] = lambda url, description: None,
) -> None:
    """Answers HTTP requests by a bundle; SIGTERM or SIGINT end it when all that came before are answered.

    Args:
        bundle: its folder, or a version of the registry. Of an alias, such as ``registry:support@production``, it
            follows what that points to, without refusing a request.
        address: where it listens; None: at port 8000, for this machine alone.
        limits: of requests; None: the usual ones.
        log: a file to which every input and its answer are appended; None: none is.
        on_start: called with the URL when it answers.

    Raises:
        UserError: the bundle is damaged, an extra is missing, the address is taken, or the log cannot be written.
    """
    try:
        from autoadapt.bundle.serving.server import BundleServer
    except ImportError as error:
        raise UserError("serving needs packages: pip install 'autoadapt[serve]'", Exit.ENVIRONMENT) from error
    address, limits = address or Address(), limits or Limits()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listening(address))
        log_file = None if log is None else stack.enter_context(_appended(home_path(log)))
        folder, version = located(bundle)
        loaded = _loaded(folder)
        server = BundleServer(loaded, version.number if version else None, limits, address.token, log_file)
        url = f"http://{in_url(address.host)}:{listening.getsockname()[1]}"
        started = functools.partial(on_start, url, loaded.description)
        alias = None if version is None or version.fixed(str(bundle)) else str(bundle)
        asyncio.run(_run(server, listening, limits.seconds, started, alias))


async def _run(
    server: "BundleServer", listening: socket.socket, seconds: float, started: Callable[[], None], alias: str | None
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Tells when it answers, and leaves signals to this module: uvicorn raises them again when it has ended."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        server.app(),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=int(seconds + DRAIN_SECONDS),
    )
    http = Server(config)

    def end() -> None:
        http.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    following = None if alias is None else asyncio.create_task(_follow(server.queue, alias))
    await http.serve(sockets=[listening])
    if following is not None:
        following.cancel()


async def _follow(queue: "AnswerQueue", alias: str) -> None:
    """Lets the version that an alias points to answer; where it cannot be loaded, the present one goes on."""
    failed: int | None = None
    said = ""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            version = await asyncio.to_thread(VersionRegistry().resolve, alias)
            said = ""
            if version.number in (queue.version, failed):
                continue
            failed = version.number
            bundle = await asyncio.to_thread(_loaded, version.bundle)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with another version, this one answers
            if str(error) != said:  # once, not every second
                said = str(error)
                logger.error("%s: version %s goes on: %s", alias, queue.version, said)
            continue
        failed = None
        queue.replace(bundle, version.number)
        logger.warning("%s: version %d answers from now on", alias, version.number)


def _loaded(folder: Path) -> Bundle:
    """A bundle whose first request need not wait for memory, or for the prefix that all prompts share."""
    bundle = Bundle.load(folder)
    columns = bundle.description.columns.input
    if all(part.kind != "remote" for part in bundle.description.parts):  # whose requests are billed
        bundle.predict([{column: text for column in columns} for text in WARM_UP])
    return bundle


@contextlib.contextmanager
def _listening(address: Address) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listening = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
        # connections inherit it; without it the second packet of an answer waits 40 ms for the first one's receipt, and
        # asyncio sets it only where a socket states its protocol
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen at {address.host}, port {address.port} ({why}); choose another --port", Exit.ENVIRONMENT
        ) from error
    with listening:
        yield listening


@contextlib.contextmanager
def _appended(file: Path) -> Iterator[TextIO]:
    """A log that its owner alone may read, because it holds what users have asked."""
    file = output_target(file)
    try:
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(f"--log {file}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error
    with os.fdopen(number, "a", encoding="utf-8") as opened:
        yield opened
