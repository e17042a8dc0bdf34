"""Bodies of requests: read in pieces, never beyond a limit, and within a budget that all requests share."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.api.http.problems import Problem, problem_of_violation

MOST_BYTES: Final = 8 * 1024 * 1024
SMALL_BYTES: Final = 64 * 1024
BUDGET_BYTES: Final = 64 * 1024 * 1024
READ_SECONDS: Final = 30.0

M = TypeVar("M", bound=BaseModel)


class BodyBudget:
    """Bytes of bodies that may be in memory at one time, over all requests: what is beyond is refused, not queued."""

    def __init__(self, most: int = BUDGET_BYTES) -> None:
        self._free = most

    @contextmanager
    def share(self) -> Iterator[BodyShare]:
        """A request's part of it, given back at the end of the block."""
        mine = BodyShare(self)
        try:
            yield mine
        finally:
            self._free += mine.taken

    def take(self, size: int) -> None:
        """Take so many bytes.

        Raises:
            Problem: 429 if they are not free.
        """
        if size > self._free:
            raise Problem.later("too many requests at one time; send again after a pause", 429, seconds=1)
        self._free -= size


class BodyShare:
    """What one request holds of the budget."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.taken = 0

    def grow(self, size: int) -> None:
        """Take so many bytes more, as `BodyBudget.take` does."""
        self._budget.take(size)
        self.taken += size


async def read_body(request: Request, share: BodyShare, most: int = MOST_BYTES, *, packed: bool = False) -> bytes:
    """The whole body, unpacked where it may be `packed` by gzip and is.

    Raises:
        Problem: 413 as soon as it is longer than `most`, packed or not; 415 if it is compressed in another way, 422 if
            it is no gzip or ends too early, 408 if it does not arrive, 429 if the budget is spent.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and not (packed and encoding in _GZIP):
        known = "identity or gzip" if packed else "identity"
        raise Problem(415, f"content-encoding: must be {known}; send the body so")
    if int(request.headers.get("content-length", "0")) > most:
        raise _too_large(most)
    unpacking = None if encoding == "identity" else _Unpacking(share, most)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for piece in request.stream():
                if unpacking is not None:
                    pieces += unpacking.unpack(piece)
                    continue
                share.grow(len(piece))
                if share.taken > most:
                    raise _too_large(most)
                pieces.append(piece)
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {READ_SECONDS:g} s; send it again") from None
    if unpacking is not None:
        unpacking.end()
    return b"".join(pieces)


_GZIP: Final = frozenset({"gzip", "x-gzip"})
_PIECE: Final = 64 * 1024
_NO_GZIP: Final = "is no gzip, as content-encoding says, or ends too early; send it whole, or without that header"


class _Unpacking:
    """A body of gzip in pieces: both sizes are bounded; what it unpacks to is counted in the budget as it grows."""

    def __init__(self, share: BodyShare, most: int) -> None:
        self._share, self._most, self._packed, self._size = share, most, 0, 0
        self._member = zlib.decompressobj(_WITH_HEADER)
        self._begun = False

    def unpack(self, piece: bytes) -> Iterator[bytes]:
        self._packed += len(piece)  # empty members unpack to nothing, and take as long
        if self._packed > self._most:
            raise _too_large(self._most)
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_WITH_HEADER)
            self._begun = True
            try:
                made = self._member.decompress(piece, _PIECE)
            except zlib.error:
                raise Problem.of_field("body", _NO_GZIP) from None
            self._share.grow(len(made))
            self._size += len(made)
            if self._size > self._most:
                raise _too_large(self._most)
            yield made
            piece = self._member.unconsumed_tail or self._member.unused_data

    def end(self) -> None:
        if self._begun and not self._member.eof:
            raise Problem.of_field("body", _NO_GZIP)


_WITH_HEADER: Final = 16 + zlib.MAX_WBITS


async def read_model(request: Request, share: BodyShare, model: type[M]) -> M:
    """The body as one small JSON object, which may be packed by gzip.

    Raises:
        Problem: 422 names the fields that violate the schema; else as `read_body`.
    """
    raw = await read_body(request, share, SMALL_BYTES, packed=True)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            remedy = "must be one JSON object, UTF-8"
            raise Problem.of_field("body", remedy) from None
        raise problem_of_violation(error) from None


def _too_large(most: int) -> Problem:
    # What is still on its way is not read: the connection cannot be used again.
    detail = f"body: longer than {most // 1024} KiB; send less, or in several requests"
    return Problem(413, detail, headers={"connection": "close"})
