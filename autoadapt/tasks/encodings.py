"""How a text file is encoded: by its first bytes, by whether it is valid UTF-8, or as the user says.

Nothing is guessed from statistics of letters, which takes French for Latvian. A csv file that is not UTF-8 is read as
Windows-1252, which Excel writes in western Europe and America, with a note that shows a word; one that cannot be that
is refused until its encoding is named.
"""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from autoadapt.errors import Exit, UserError

CHUNK = 1 << 20
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
OTHER_FILES = {
    b"PK\x03\x04": "an Excel workbook or an archive; give it its own ending, .xlsx, or save it as csv",
    b"\xd0\xcf\x11\xe0": "an old or protected Office file; save it as .xlsx without a password, or as csv",
    b"\x1f\x8b": "compressed; unpack it",
    b"PAR1": "parquet; give it its own ending, .parquet",
}
"""First bytes of files that are no text -> what they are and what to do."""
WESTERN = "cp1252"
UTF8 = ("utf-8", "utf-8-sig")
NAMES = {
    **dict.fromkeys(UTF8, "UTF-8"),
    WESTERN: "Windows-1252",
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be"), "UTF-16"),
}
"""Encodings as people call them."""
MOST_FOREIGN = 0.3
"""Share of letters outside ASCII above which a text is not western European: French and German have about 0.05."""
SAVE_AS = (
    "save it as UTF-8 (in Excel: CSV UTF-8), or name its encoding: autoadapt init --encoding cp1251, in a task file "
    "data: {encoding: cp1251}"
)


@dataclass(frozen=True)
class Encoding:
    """The encoding of a text file."""

    name: str
    """As Python calls it."""
    note: str | None = None
    """What a reader should know of it."""


def encoding_of(path: Path, named: str | None = None, may_be_western: bool = True) -> Encoding:
    """The encoding of a text file.

    Args:
        path: the file.
        named: its encoding, where the user has named it.
        may_be_western: whether a file that is not UTF-8 may be Windows-1252; JSON never is.

    Raises:
        UserError: exit code 3: it is no text, or in no encoding that may be assumed.
    """
    if named is not None:
        return Encoding("utf-8-sig" if named == "utf-8" else named)
    with path.open("rb") as file:
        head = file.read(4096)
    for magic, what in OTHER_FILES.items():
        if head.startswith(magic):
            raise UserError(f"{path}: is no text but {what}", Exit.DATA)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return Encoding(encoding)
    if (wide := _utf16_without_mark(head)) is not None:
        return Encoding(wide)
    broken = _first_not_utf8(path)
    if broken is None:
        return Encoding("utf-8")
    if not may_be_western:
        raise UserError(f"{path}: not UTF-8 (byte {broken}); save it as UTF-8", Exit.DATA)
    return _western(path, broken)


def not_decoded(path: Path, encoding: str, error: UnicodeError) -> UserError:
    """The error that a file is not in the encoding that was named, or that its first bytes state."""
    reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
    return UserError(f"{path}: not valid {NAMES.get(encoding, encoding)} ({reason}); {SAVE_AS}", Exit.DATA)


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 by its zero bytes, of which western text has one in every other place; None: it is not."""
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs >= 4 and max(even, odd) > 0.4 * pairs and min(even, odd) < 0.05 * pairs:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _first_not_utf8(path: Path) -> int | None:
    """The place of the first byte that is not UTF-8; None: there is none."""
    decoder, read = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return read - pending + error.start
            if not chunk:
                return None
            read += len(chunk)


def _western(path: Path, broken: int) -> Encoding:
    """Windows-1252, where the bytes around the first one that is not UTF-8 may be that.

    Raises:
        UserError: most of them are UTF-8, or they are no western European text.
    """
    with path.open("rb") as file:
        file.seek(max(0, broken - CHUNK))
        around = file.read(4 * CHUNK)
    as_utf8 = around.decode("utf-8", errors="replace")
    bad = as_utf8.count("\ufffd")
    if sum(ord(c) > 127 for c in as_utf8) - bad > bad:
        raise UserError(
            f"{path}: byte {broken} is not UTF-8, and the text around it is; the file is damaged, or was put together "
            "from two encodings: save it again as UTF-8",
            Exit.DATA,
        )
    try:
        text = around.decode(WESTERN)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: neither UTF-8 (byte {broken}) nor Windows-1252; {SAVE_AS}", Exit.DATA) from error
    letters = sum(c.isascii() and c.isalpha() for c in text)
    foreign = sum(ord(c) > 127 for c in text)
    if foreign > MOST_FOREIGN * (letters + foreign):
        raise UserError(
            f"{path}: not UTF-8 (byte {broken}), and no western European text in Windows-1252 either; {SAVE_AS}",
            Exit.DATA,
        )
    # the word lies in the first line that has one, so that it can be found in the file
    word = next(iter(re.findall(r"[A-Za-z]*[\x80-\U0010ffff][\w'-]*", text)), "")[:30]
    return Encoding(
        WESTERN,
        f"{path.name}: not UTF-8; read as Windows-1252 (western Europe), such as '{word}'. If that word is wrong, name "
        "the encoding: autoadapt init --encoding cp1250, in a task file data: {encoding: cp1250}",
    )
