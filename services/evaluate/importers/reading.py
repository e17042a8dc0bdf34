"""A foreign file or folder as JSON values and rows: the only part of importing that touches a disk.

Bounded in bytes, entries and lines. Nothing is unpacked to disk, no link inside a folder is followed, and names in
archives are only names.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import cramjam

from schemas.base import EARLIEST, LATEST
from services.errors import InputError
from services.evaluate.importers.foreign import MOST_ANSWERS, REMEDY, Content, foreign_json
from services.evaluate.importers.tables import MAGIC, read_tables

MOST_BYTES: Final = 256 * 1024 * 1024
"""Of a file, of all files of a folder, and of all that an archive unpacks to."""
MOST_VALUES: Final = 8_000_000
"""Lists, objects, numbers and texts of all that: 80 of each of 100,000 answers. 3 bytes of text become 80 of memory."""
MOST_ENTRIES: Final = MOST_ANSWERS + 1_000
MOST_FILES: Final = 1_000
_ZSTD: Final = 93
_LOCAL_HEAD: Final = struct.Struct("<4s5H3I2H")
_QUOTED: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_WHAT: Final = "name a file or folder of a tool that `keelwatch eval import --help` lists"


def read_content(path: Path) -> Content:
    """What a file or folder holds.

    Raises:
        InputError: if it cannot be read, is too large, or holds neither JSON, JSON lines, a zip archive of these nor
            an SQLite database.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return _folder(path, found.st_mtime)
        raw = _bytes_of(path, MOST_BYTES)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'no path'}; {_WHAT}") from None
    return _content(path, raw, found.st_mtime)


def _content(path: Path, raw: bytes, modified: float) -> Content:
    name = str(path)
    sha256, written = hashlib.sha256(raw).hexdigest(), _time(modified)
    if raw.startswith(MAGIC):
        return Content(name, sha256, written, {}, read_tables(raw, name))
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Content(name, sha256, written, _archive(raw, name), {})
    room = _ValueRoom()
    parts, rows = _json(raw, name, room)
    beside: dict[str, Any] = {}
    if rows and _wants_neighbours(rows):
        beside = _neighbours(path, room)
    return Content(name, sha256, written, {**({} if parts is None else {"": parts}), **beside}, rows)


def _time(seconds: float) -> datetime:
    """When a file was written; what the file system dates before 2000 was dated by no clock."""
    return min(max(datetime.fromtimestamp(seconds, UTC), EARLIEST), LATEST - timedelta(days=1))


def _wants_neighbours(rows: dict[str, tuple[Any, ...]]) -> bool:
    """Samples of lm-eval say of themselves neither who was asked nor what for; the results beside them do."""
    first = rows[""][0] if rows[""] else None
    return isinstance(first, dict) and {"doc_id", "filtered_resps"} <= first.keys()


def _neighbours(path: Path, room: _ValueRoom) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = MOST_BYTES
    for one in _beside(path):
        try:
            raw = _bytes_of(one, left)
            text = _text(raw, str(one))
            room.take(text, str(one))
            found[one.name] = foreign_json(text, str(one))
        except (InputError, OSError):  # nobody named this file: it may be anybody's, and closed to us
            continue
        left -= len(raw)
    return found


def _beside(path: Path) -> list[Path]:
    """The JSON files beside a file; none in a folder whose files may be opened and not listed."""
    try:
        found = sorted(path.parent.iterdir())[:MOST_FILES]
        return [one for one in found if one.suffix == ".json" and not one.is_symlink() and one.is_file()]
    except OSError:
        return []


def _folder(path: Path, modified: float) -> Content:
    """The JSON and JSON lines that lie in a folder, its own files alone."""
    parts: dict[str, Any] = {}
    rows: dict[str, tuple[Any, ...]] = {}
    digest, left, room = hashlib.sha256(), MOST_BYTES, _ValueRoom()
    names = sorted(one.name for one in path.iterdir())
    if len(names) > MOST_FILES:
        raise InputError(f"{path}: holds more than {MOST_FILES:,} files; name the folder of one run")
    for name in names:
        one = path / name
        if one.is_symlink() or not one.is_file() or one.suffix not in (".json", ".jsonl"):
            continue
        raw = _bytes_of(one, left)
        left -= len(raw)
        digest.update(hashlib.sha256(name.encode("utf-8", "replace")).digest() + hashlib.sha256(raw).digest())
        value, lines = _json(raw, f"{path}: {name}", room)
        if value is not None:
            parts[name] = value
        if lines:
            rows[name] = lines[""]
    if not parts and not rows:
        raise InputError(f"{path}: holds no JSON; {_WHAT}")
    return Content(str(path), digest.hexdigest(), _time(modified), parts, rows)


def _bytes_of(path: Path, most: int) -> bytes:
    """A whole file, if it is an ordinary one: a pipe would be waited for, and a device has no end."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{path}: no ordinary file; {_WHAT}")
        raw = file.read(most + 1)
    if len(raw) > most:
        raise InputError(f"{path}: larger than {MOST_BYTES // 1024**2} MiB; split the run into several")
    return raw


class _ValueRoom:
    """How many JSON values may still be read of a file or folder; they are counted before any is built."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def take(self, text: str, place: str) -> None:
        """Count the values of a text.

        Raises:
            InputError: if they are too many.
        """
        count = _marks(text, 0, len(text)) + 1
        self._left -= count if count <= self._left else _values(text, self._left)
        if self._left < 0:
            raise InputError(f"{place}: holds more than {MOST_VALUES:,} values; split the run into several")


def _marks(text: str, start: int, end: int) -> int:
    return text.count(",", start, end) + text.count("[", start, end) + text.count("{", start, end)


def _values(text: str, most: int) -> int:
    """How many values stand in a text, whose own texts hold commas too; counted until they are more than `most`."""
    count, at = 1, 0
    for number, found in enumerate(_QUOTED.finditer(text)):
        count += _marks(text, at, found.start())
        at = found.end()
        if count > most or number > 2 * most:  # a key and a text for each value
            return most + 1
    return count + _marks(text, at, len(text))


def _text(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: byte {error.start:,}: not UTF-8; {_WHAT}") from None


def _json(raw: bytes, place: str, room: _ValueRoom) -> tuple[Any, dict[str, tuple[Any, ...]]]:
    """One JSON value, or else the rows of JSON lines; a file of one line that is an object is a value."""
    text = _text(raw, place)
    if not text.strip():
        raise InputError(f"{place}: is empty; {_WHAT}")
    first, _, rest = text.lstrip().partition("\n")
    several = bool(rest.strip())
    if several:
        room.take(first, place)
    if not (several and _is_json(first)):
        room.take(text, place)
        return foreign_json(text, place), {}
    found = []
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            room.take(line, f"{place}:{number}")
            found.append(foreign_json(line, f"{place}:{number}"))
    return None, {"": tuple(found)}


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, one after the other: a list of them may be many times as large as it."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _is_json(line: str) -> bool:
    try:
        foreign_json(line, "")
    except InputError:
        return False
    return True


def _archive(raw: bytes, name: str) -> dict[str, Any]:
    """The JSON that a zip archive holds, unpacked in memory and counted while that goes on."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError, OverflowError) as error:
        raise InputError(f"{name}: no whole zip archive ({error}); {REMEDY}") from None
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"{name}: holds more than {MOST_ENTRIES:,} entries; split the run into several")
    parts: dict[str, Any] = {}
    left, room = MOST_BYTES, _ValueRoom()
    for entry in entries:
        place = f"{name}: {entry.filename[:120]}"
        if entry.filename.startswith("_journal/") or not entry.filename.endswith(".json"):
            continue
        if entry.filename in parts:
            raise InputError(f"{place}: stands twice in the archive; {REMEDY}")
        unpacked = _unpacked(raw, entry, left, place)
        left -= len(unpacked)
        text = _text(unpacked, place)
        room.take(text, place)
        parts[entry.filename] = foreign_json(text, place)
    if not parts:
        raise InputError(f"{name}: holds no JSON; {_WHAT}")
    return parts


def _unpacked(raw: bytes, entry: zipfile.ZipInfo, left: int, place: str) -> bytes:
    """One entry; Inspect packs by zstd, which zipfile does not know."""
    if entry.flag_bits & 1:
        raise InputError(f"{place}: is encrypted; {REMEDY}")
    if entry.file_size > left:
        raise InputError(f"{place}: unpacks to more than {MOST_BYTES // 1024**2} MiB; split the run into several")
    try:
        head = _LOCAL_HEAD.unpack_from(raw, entry.header_offset)
        start = entry.header_offset + _LOCAL_HEAD.size + head[-2] + head[-1]
        packed = raw[start : start + entry.compress_size]
        found = _by_method(packed, entry.compress_type, entry.file_size)
    except (struct.error, zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise InputError(f"{place}: cannot be unpacked ({str(error)[:80]}); {REMEDY}") from None
    if len(found) != entry.file_size or zlib.crc32(found) != entry.CRC:
        raise InputError(f"{place}: is damaged; {REMEDY}")
    return found


def _by_method(packed: bytes, method: int, size: int) -> bytes:
    """What `packed` holds, which is not more than the archive says."""
    if method == zipfile.ZIP_STORED:
        return packed
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    if method == _ZSTD:
        room = bytearray(size + 1)
        return bytes(memoryview(room)[: cramjam.zstd.decompress_into(packed, room)])
    raise ValueError(f"packed by method {method}")
