"""VersionRegistry: bundles of several tasks in one folder, numbered, with names that point to one of them.

```
registry/support/versions/3/bundle/        a bundle as it was exported
registry/support/versions/3/version.json   when it was added, and the hash of its content
registry/support/aliases.json              {"aliases": {"production": [1, 3]}}: what each pointed to, the last is now
```

A version appears whole and is never changed. An alias changes by one rename, so that whoever reads it finds the version
before or the one after.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from autoadapt.bundle.description import BUNDLE_FILE, BundleDescription
from autoadapt.bundle.loaded import read_bundle, read_bundle_file
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError, did_you_mean
from autoadapt.files import home_path, read_whole, why_unwritable, write_folder, write_json

FOLDER_VARIABLE = "AUTOADAPT_REGISTRY"
DEFAULT_FOLDER = "registry"
REFERENCE = "registry:"
"""Begins the name of a bundle that is taken from the registry, such as ``registry:support@production``."""
PRODUCTION = "production"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
VERSION_FILE, ALIASES_FILE = "version.json", "aliases.json"


class VersionRecord(StrictModel):
    """What is known of a version beside its bundle."""

    number: int
    sha256: str
    """Of the bundle's option.json, which lists the hashes of all other files."""
    added: datetime


class _Aliases(StrictModel):
    aliases: dict[str, list[int]] = Field(default={})
    """Versions that each has pointed to, the present one last."""


@dataclass(frozen=True)
class Version:
    """One version of a name."""

    name: str
    record: VersionRecord
    bundle: Path
    aliases: tuple[str, ...]

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return self.record.number

    def fixed(self, reference: str) -> bool:
        """Whether a reference to it names its number, so that it always means this one."""
        return reference.rpartition("@")[2] == str(self.number)

    @property
    def description(self) -> BundleDescription:
        """Its ``option.json``."""
        return read_bundle_file(self.bundle)


class VersionRegistry:
    """A registry folder.

    Args:
        folder: of the registry; None: that of the environment variable ``AUTOADAPT_REGISTRY``, else ``registry`` here.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = home_path(folder or os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)

    def names(self) -> list[str]:
        """Names that have a version."""
        found = self.folder.iterdir() if self.folder.is_dir() else []
        return sorted(place.name for place in found if NAME.fullmatch(place.name) and (place / "versions").is_dir())

    def versions(self, name: str) -> list[Version]:
        """The versions of a name, the oldest first.

        Raises:
            UserError: there is no such name, or a file of the registry is damaged.
        """
        self._check_name(name)
        return [self._version(name, number) for number in self._numbers(name)]

    def add(self, bundle: Path, name: str | None = None) -> tuple[Version, bool]:
        """Copies a bundle as the next version, and whether it is new: the same content is added once.

        Args:
            bundle: its folder.
            name: under which; None: that of its task.

        Raises:
            UserError: the bundle is damaged, other versions of the name belong to another task, or the registry cannot
                be written.
        """
        description = read_bundle(bundle)
        name = name or re.sub(r"[^A-Za-z0-9._-]+", "-", description.task).strip("-.") or "option"
        if not NAME.fullmatch(name):
            raise UserError(f"--name {name}: write letters, digits, dots, dashes and underscores")
        digest = hashlib.sha256((bundle / BUNDLE_FILE).read_bytes()).hexdigest()
        with self._alone(name):
            for known in [self._version(name, number) for number in self._numbers(name)]:
                if known.record.sha256 == digest:
                    return known, False
                _check_same_task(known, description)
            number = max(self._numbers(name), default=0) + 1
            record = VersionRecord(number=number, sha256=digest, added=datetime.now(UTC).replace(microsecond=0))

            def fill(folder: Path) -> None:
                shutil.copytree(bundle, folder / "bundle")
                write_json(folder / VERSION_FILE, record)

            with _written(self.folder):
                write_folder(self._place(name, number), fill)
        return self._version(name, number), True

    def promote(self, name: str, number: int, alias: str = PRODUCTION) -> int | None:
        """Lets an alias point to a version; returns the version it pointed to, None: it is new.

        Raises:
            UserError: there is no such version, its bundle is damaged, or the registry cannot be written.
        """
        if not NAME.fullmatch(alias) or alias.isdigit():
            raise UserError(f"--alias {alias}: write a name, such as {PRODUCTION} or candidate")
        read_bundle(self._numbered(name, number).bundle)
        with self._alone(name):
            aliases = self._aliases(name)
            past = aliases.get(alias, [])
            if not past or past[-1] != number:
                self._write_aliases(name, {**aliases, alias: [*past, number]})
        return past[-1] if past else None

    def roll_back(self, name: str, alias: str = PRODUCTION) -> tuple[int, int]:
        """Lets an alias point to what it pointed to before; returns the version before and the one now.

        Raises:
            UserError: there is no such alias, or it has not pointed to another version.
        """
        self._check_name(name)
        with self._alone(name):
            aliases = self._aliases(name)
            if alias not in aliases:
                raise UserError(f"{name} has no alias '{alias}': {did_you_mean(alias, aliases)}")
            past = aliases[alias]
            if len(past) < 2:
                raise UserError(f"{name}@{alias} has pointed to version {past[-1]} alone; promote another one")
            self._write_aliases(name, {**aliases, alias: past[:-1]})
        return past[-1], past[-2]

    def resolve(self, reference: str) -> Version:
        """The version that ``support@production``, ``support@3`` or ``support`` (its production) names.

        Raises:
            UserError: there is none.
        """
        name, _, which = reference.removeprefix(REFERENCE).partition("@")
        self._check_name(name)
        if which.isdigit():
            return self._numbered(name, int(which))
        aliases, alias = self._aliases(name), which or PRODUCTION
        if alias not in aliases:
            raise UserError(f"{name} has no alias '{alias}': {did_you_mean(alias, aliases)}")
        return self._numbered(name, aliases[alias][-1])

    def _numbered(self, name: str, number: int) -> Version:
        self._check_name(name)
        known = self._numbers(name)
        if number not in known:
            raise UserError(f"{name} has no version {number}. Known: {', '.join(map(str, known)) or 'none'}.")
        return self._version(name, number)

    def _version(self, name: str, number: int) -> Version:
        place = self._place(name, number)
        record = read_whole(place / VERSION_FILE, VersionRecord)
        if record is None:
            raise UserError(
                f"{place / VERSION_FILE} is missing or damaged; remove the folder of this version", Exit.STORAGE
            )
        aliases = sorted(alias for alias, past in self._aliases(name).items() if past[-1] == number)
        return Version(name, record, place / "bundle", tuple(aliases))

    def _check_name(self, name: str) -> None:
        if name not in self.names():
            raise UserError(f"{self.folder}: there is no '{name}': {did_you_mean(name, self.names())}")

    def _numbers(self, name: str) -> list[int]:
        folder = self.folder / name / "versions"
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []

    def _place(self, name: str, number: int) -> Path:
        return self.folder / name / "versions" / str(number)

    def _aliases(self, name: str) -> dict[str, list[int]]:
        file = self.folder / name / ALIASES_FILE
        if not file.exists():
            return {}
        found = read_whole(file, _Aliases)
        if found is None:  # not set aside: whoever follows an alias goes on with what it has
            raise UserError(f"{file} is damaged; remove it, and promote versions again", Exit.STORAGE)
        return {alias: past for alias, past in found.aliases.items() if past}

    def _write_aliases(self, name: str, aliases: dict[str, list[int]]) -> None:
        with _written(self.folder):
            write_json(self.folder / name / ALIASES_FILE, _Aliases(aliases=aliases))

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """While entered, no other process changes what belongs to a name."""
        with _written(self.folder):
            place = self.folder / name
            place.mkdir(parents=True, exist_ok=True)
            lock = (place / ".lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _check_same_task(known: Version, description: BundleDescription) -> None:
    """Raises a UserError where clients of a name could not ask a new version as they ask the known ones."""
    before = known.description
    if (before.task, before.columns.input) != (description.task, description.columns.input):
        raise UserError(
            f"{known.name} holds options of the task '{before.task}' that read {', '.join(before.columns.input)}; this "
            f"one is of '{description.task}' and reads {', '.join(description.columns.input)}. Give it another --name"
        )


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = why_unwritable(error)
        raise UserError(f"{folder}: the registry cannot be written ({why})", Exit.ENVIRONMENT) from error


def located(bundle: str | Path) -> tuple[Path, Version | None]:
    """The folder of a bundle that is named by its folder, or by a version of the registry.

    Raises:
        UserError: the registry has no such version.
    """
    if not str(bundle).startswith(REFERENCE):
        return home_path(bundle), None
    version = VersionRegistry().resolve(str(bundle))
    return version.bundle, version
