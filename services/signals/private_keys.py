r"""Private keys in a text: PEM and PGP blocks, whole or cut, and PuTTY's files. Linear in the text.

A block is found by its marks and read piece by piece, since it comes indented, quoted with `> `, as one line with
`\n` in it, with headers (Proc-Type, DEK-Info), with CRLF, without its end or without its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from services.signals.stand_ins import body_looks_made_up

LOOK: Final = r"(?:BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-[0-9]"
"""What hyperscan looks for: no private key is there without it."""

_MARK: Final = re.compile(
    r"(BEGIN|END) (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{2,8}|(PuTTY-User-Key-File-)[0-9]:[^\n\\]{0,60}"
)
_BETWEEN: Final = re.compile(r"(?:[\s>\"'`,|#*;:.]|\+(?=[\s\"'])|\\+[nrt]|<br ?/?>)+")
_CHUNK: Final = re.compile(r"[A-Za-z0-9+/_-]{1,4000}={0,3}|={1,2}[A-Za-z0-9+/]{4}(?![A-Za-z0-9+/])")
_HEADER: Final = re.compile(r"[A-Z][A-Za-z0-9-]{2,30}: ?(?:(?![A-Za-z0-9+/]{40})[^\n\\]){0,200}")
_PUTTY: Final = re.compile(r"Private-[A-Za-z]{3,8}: ?[A-Za-z0-9]{1,128}")
_DRAWN: Final = re.compile(r"[0-9+/=]|[a-z][A-Z]|[A-Z]{2}[a-z]|[a-z].*[A-Z]")
"""What a short last line of base64 has and a word has not."""
_LONGEST: Final = 32_000
_LINE: Final = 24
"""Characters of a line that is part of a key by its length; a shorter one only where it ends the block."""
_LEAST: Final = 48
_LEAST_ABRIDGED: Final = 160
_VALUE: Final = 48


class PrivateKey(NamedTuple):
    """A block: where it stands, what tells it from others, and whether it is a key and no stand-in.

    `value` is the end of the last long line of the body (every key of a kind begins alike), empty without a body.
    """

    start: int
    end: int
    value: str
    genuine: bool


def private_keys(text: str) -> Iterator[PrivateKey]:
    """Every block of a private key in `text`, from left to right."""
    marks = list(_MARK.finditer(text))
    before = at = 0
    while at < len(marks):
        mark = marks[at]
        following = marks[at + 1] if at + 1 < len(marks) else None
        limit = following.start() if following else len(text)
        if mark[1] == "END":
            start, chunks = _backwards(text, before, mark.start())
            end = mark.end()
        elif mark[1] and following and following[1] == "END" and limit - mark.end() <= _LONGEST:
            start, end, at = _dashes(text, mark.start()), following.end(), at + 1
            chunks = _forwards(text, mark.end(), _dashes(text, limit))[1]
        else:
            start = _dashes(text, mark.start()) if mark[1] else mark.start()
            end, chunks = _forwards(text, mark.end(), _dashes(text, limit))
        at, before = at + 1, end
        if chunks or mark[1] != "END":
            yield _judged(text, start, end, chunks)


def squashed(text: str) -> str:
    """A text as the bodies of keys are read: without what stands between their lines."""
    return _BETWEEN.sub("", text)


def _judged(text: str, start: int, end: int, chunks: list[str]) -> PrivateKey:
    body = "".join(chunks)
    abridged = "..." in text[start:end] or "\u2026" in text[start:end]
    long_enough = len(body) >= (_LEAST_ABRIDGED if abridged else _LEAST)
    lines = [line for line in chunks if len(line) >= _VALUE] or [body]
    return PrivateKey(start, end, lines[-1][-_VALUE:], long_enough and not body_looks_made_up(body))


def _dashes(text: str, at: int) -> int:
    """Where the dashes before a mark begin."""
    first, least = at, max(at - 9, 0)
    while first > least and text[first - 1] in "- ":
        first -= 1
    return first


def _forwards(text: str, at: int, limit: int) -> tuple[int, list[str]]:
    """Where the block that begins at `at` ends, at most at `limit`, and the lines of its body."""
    limit = min(limit, at + _LONGEST)
    end, chunks = at, list[str]()
    while at < limit:
        between = _BETWEEN.match(text, at, limit)
        at = between.end() if between else at
        piece = (_PUTTY if chunks else _HEADER).match(text, at, limit)
        if piece:
            end = at = piece.end()
            continue
        piece = _CHUNK.match(text, at, limit)
        if piece is None:
            break
        last = len(piece[0]) < _LINE
        if last and not (chunks and _DRAWN.search(piece[0]) and _ends(text, piece.end(), limit)):
            break
        chunks.append(piece[0])
        end = at = piece.end()
        if last and not _goes_on(text, at, limit):
            break
    return end, chunks


def _ends(text: str, at: int, limit: int) -> bool:
    """Whether a line ends here, or the block does."""
    return at >= limit or text[at] in "\r\n\"'`\\" or text[at : at + 2] in {" -", " \n"} or _goes_on(text, at, limit)


def _goes_on(text: str, at: int, limit: int) -> bool:
    """Whether more of the block follows its short line: the checksum of PGP, the private part of PuTTY's file."""
    between = _BETWEEN.match(text, at, limit)
    if between is None:
        return False
    return text[between.end() : between.end() + 1] == "=" or _PUTTY.match(text, between.end(), limit) is not None


def _backwards(text: str, first: int, at: int) -> tuple[int, list[str]]:
    """Where a block begins of which only the end is there, not before `first`, and the lines of its body."""
    at = _dashes(text, at)
    start, chunks = at, list[str]()
    found = list(_CHUNK.finditer(text, max(first, at - _LONGEST), at))
    for piece in reversed(found):
        gap = text[piece.end() : start]
        if len(gap) > 12 or (gap and not _BETWEEN.fullmatch(gap)) or (chunks and len(piece[0]) < _LINE):
            break
        chunks.append(piece[0])
        start = piece.start()
    return start, [] if sum(map(len, chunks)) < _LEAST else chunks[::-1]
