"""Records unpacked from what a broker sends: one that is malformed costs neither its neighbours nor the consumer.

aiokafka raises for a whole fetch, drops what it had unpacked of it, and asks for the same again for ever. A header
whose key is not UTF-8 is enough, which brokers take from anybody; a broker that does not look into compressed batches
lets more through. Here such a key is read with U+FFFD, as all hostile text is, and what cannot be unpacked at all
comes as one record of raw bytes, with the reason, which every step makes a dead letter of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, SupportsIndex, overload

from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint_py

from services.errors import InputError
from services.stream import fetch_bounds
from services.stream.fetch_bounds import BatchTooLarge

try:
    import cramjam
except ImportError:  # what cannot be read without it is said: see `check_codecs`
    cramjam = None  # type: ignore[assignment]

_LENGTH_AT: Final = 8  # of a batch: its first offset, then how long the rest is
_HEAD: Final = 12
_CODECS: Final = {
    "gzip": (codec.gzip_encode, codec.gzip_decode),
    "snappy": (codec.snappy_encode, codec.snappy_decode),
    "lz4": (codec.lz4_encode, codec.lz4_decode),
    "zstd": (codec.zstd_encode, codec.zstd_decode),
}


class UnreadableBytes(bytes):
    """What stands in place of a record that cannot be unpacked: the raw bytes of its batch, and why."""

    reason: str

    @classmethod
    def of(cls, raw: bytes, reason: str) -> UnreadableBytes:
        """The bytes with their reason, which is for people."""
        made = cls(raw)
        made.reason = reason
        return made


def missing_codecs() -> list[str]:
    """The codecs of Kafka that cannot be read here: each is tried, not only looked for."""
    return [name for name, (pack, unpack) in _CODECS.items() if not _reads(pack, unpack)]


def check_codecs() -> None:
    """Check that records of every codec can be read, before one that cannot stops everything.

    Raises:
        InputError: if not.
    """
    if missing := missing_codecs():
        loaded = "" if cramjam is not None else ": cramjam is not there"
        raise InputError(
            f"records compressed by {', '.join(missing)} cannot be read{loaded}; install Keelwatch's dependencies again"
        )


def install() -> None:
    """Have every consumer of this process unpack so, and within bounds."""
    fetcher.MemoryRecords = RecordBatches
    fetch_bounds.install()


class RecordBatches:
    """The batches of one fetch, in place of aiokafka's class of the same use."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self._batches = MemoryRecords(raw)

    def size_in_bytes(self) -> int:
        """How much was fetched."""
        return len(self._raw)

    def has_next(self) -> bool:
        """Whether there is another batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> _UnpackedBatch:
        """The next batch."""
        start, (length,) = self._at, struct.unpack_from(">i", self._raw, self._at + _LENGTH_AT)
        self._at += _HEAD + length
        return _UnpackedBatch(self._batches.next_batch(), self._raw, slice(start, self._at))


@dataclass(frozen=True, slots=True)
class _UnreadRecord:
    """A place on the topic whose record cannot be unpacked, with the attributes of aiokafka's records."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: UnreadableBytes
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None


class _UnpackedBatch:
    """One batch: what aiokafka makes of it, and then what is left."""

    def __init__(self, batch: Any, raw: bytes, place: slice) -> None:
        self._batch = batch
        self._raw, self._place = raw, place
        self._left: Iterator[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        following = self._batch.base_offset
        for records in (self._batch, self._leniently()):
            try:
                for record in records:
                    if record.offset >= self._batch.next_offset:
                        raise CorruptRecordException(f"offset {record.offset} is outside its batch")
                    if record.offset >= following:
                        yield record
                        following = record.offset + 1
            except Exception as error:
                _keep_missing_codec(error, self._batch)
                reason = error
            else:
                return
        if following < self._batch.next_offset:  # else only what follows the last record is malformed
            yield self._unread(following, reason)

    def __next__(self) -> Any:
        return next(self._batch)

    def _leniently(self) -> Iterator[Any]:
        if isinstance(self._batch, DefaultRecordBatch):  # older forms have no headers
            yield from _LenientBatch(self._raw[self._place])

    def _unread(self, offset: int, error: Exception) -> _UnreadRecord:
        batch = self._batch
        many = batch.next_offset - offset
        what = "the record" if many == 1 else f"{many} records of one batch"
        if isinstance(error, BatchTooLarge):
            reason = f"record: {what} would unpack to {error}"
        else:
            reason = f"record: {what} cannot be unpacked ({type(error).__name__}); look at the program that sent it"
        stamp = getattr(batch, "max_timestamp", None) or -1
        return _UnreadRecord(offset, stamp, 0, UnreadableBytes.of(self._raw[self._place], reason))


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """aiokafka's reader in Python, which reads any key of a header."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _LenientText(self._buffer)

    def _read_msg(self) -> Any:
        return super()._read_msg(decode_varint_py)  # the compiled one reads past the end of malformed bytes: a crash


class _LenientText(bytearray):
    """Bytes of a batch whose slices read as text whatever they are."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...

    @overload
    def __getitem__(self, index: slice, /) -> bytearray: ...

    def __getitem__(self, index: Any, /) -> Any:
        found = super().__getitem__(index)
        return _LenientText(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")


def _keep_missing_codec(error: Exception, batch: Any) -> None:
    """A codec that is not installed is a fault of this machine: no record of it is given up for that."""
    if isinstance(error, UnsupportedCodecError) and missing_codecs():
        raise error


def _reads(pack: Any, unpack: Any) -> bool:
    try:
        return bytes(unpack(pack(b"keelwatch"))) == b"keelwatch"
    except Exception:
        return False
