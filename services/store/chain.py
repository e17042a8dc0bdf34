"""The hash chain of a journal: salted commitments, so that a fact can be erased and the chain still verifies.

commitment = sha256(salt || payload), hash = sha256(previous hash || commitment || meta), meta = canonical JSON of
(route, seq, kind, fact, ts). The number and hash of the last entry are kept beside the journal. An erased entry has
neither payload nor salt, and a later entry of kind `erasure` says so: without one, a missing payload is tampering.
Whoever can write the whole database can make a new chain: it shows edits of single rows, not a rewritten history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.base import canonical, iso

ERASURE: Final = "erasure"
SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a journal; `payload` and `salt` are None once erased."""

    route: str
    seq: int
    kind: str
    fact: str
    ts: datetime
    payload: str | None
    salt: bytes | None
    commitment: str
    hash: str


def commitment_of(salt: bytes, payload: str) -> str:
    """Binds the entry to its payload; without the salt nobody can test a guess of an erased one."""
    return hashlib.sha256(salt + payload.encode()).hexdigest()


def hash_of(previous: str, commitment: str, meta: tuple[str, int, str, str, datetime]) -> str:
    """Binds the entry to its place and to all before it."""
    *place, ts = meta
    return hashlib.sha256(previous.encode() + commitment.encode() + canonical([*place, iso(ts)])).hexdigest()


def problems(entries: Sequence[Entry], head: tuple[int, str]) -> tuple[str, ...]:
    """What is wrong with a route's chain, in words; empty when it is whole.

    Args:
        entries: the route's entries by `seq`.
        head: number and hash of the last entry as kept beside the journal.
    """
    erased = _erased(entries)
    found: list[str] = []
    previous = ""
    for seq, entry in enumerate(entries, start=1):
        if entry.seq != seq:
            return (*found, f"entry {seq} is missing")
        found += _faults(entry, previous, entry.seq in erased)
        previous = entry.hash
    if (len(entries), previous) != head:
        found.append(f"the journal ends at entry {len(entries)}, its head says {head[0]}, or with another hash")
    return tuple(found)


def _faults(entry: Entry, previous: str, erased: bool) -> Iterable[str]:
    meta = (entry.route, entry.seq, entry.kind, entry.fact, entry.ts)
    if entry.hash != hash_of(previous, entry.commitment, meta):
        yield f"entry {entry.seq} was changed, moved or follows another one than when it was written"
    if entry.payload is None and entry.salt is None:
        if not erased:
            yield f"the payload of entry {entry.seq} is gone and no erasure says so"
    elif entry.payload is None or entry.salt is None or erased:
        yield f"entry {entry.seq} is half erased, or has come back after its erasure"
    elif len(entry.salt) != SALT_BYTES or entry.commitment != commitment_of(entry.salt, entry.payload):
        yield f"the payload of entry {entry.seq} is not the one that was written"


def _erased(entries: Iterable[Entry]) -> frozenset[int]:
    """The numbers of the entries whose content must be gone: facts, and what earlier erasures put in their place."""
    gone: set[int] = set()
    standing: dict[int, int] = {}
    for entry in entries:
        target = erased_seq(entry.kind, entry.fact)
        if target is not None:
            gone.add(standing.get(target, target))
            standing[target] = entry.seq
    return frozenset(gone)


def erased_seq(kind: str, fact: str) -> int | None:
    """The number of the fact that an entry erases, from its `fact` of the form `number/how often`; None for a fact."""
    number = fact.partition("/")[0]
    return int(number) if kind == ERASURE and number.isdecimal() else None
