"""What `keelwatch ingest explain` says of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from services.wording import numbers

_MOST: Final = 10


def report(
    form: str, records: int, exchanges: int, routes: Mapping[str, int], not_monitored: Mapping[str, int]
) -> Iterator[str]:
    """The records of one format, and what became of them."""
    yield f"{form}: {numbers.count(records, 'record')}, {numbers.count(exchanges, 'exchange')}"
    if routes:
        named = sorted(routes, key=lambda name: (-routes[name], name))
        more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
        yield f"  routes: {', '.join(named[:_MOST])}{more}"
    for kind, n in sorted(not_monitored.items()):
        yield f"  not monitored: {kind} in {numbers.count(n, 'exchange')}"


def faults(found: Mapping[str, int]) -> Iterator[str]:
    """Why records were refused, the most frequent reason first."""
    ordered = sorted(found, key=lambda reason: (-found[reason], reason))
    for reason in ordered[:_MOST]:
        yield f"  refused, {found[reason]:,} x: {reason}"
    if len(ordered) > _MOST:
        yield f"  and {len(ordered) - _MOST} other reasons; --json shows all"


def costs(found: Mapping[str, tuple[int, str]], exchanges: int) -> Iterator[str]:
    """What is missing, and what that costs."""
    for name, (n, what) in found.items():
        yield f"  missing in {'all' if n == exchanges else f'{n:,} of {exchanges:,}'}: {name}: {what}"
