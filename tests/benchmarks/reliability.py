"""How often what was said with each confidence was right, and the picture of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.incident import Confidence

SCALE: Final[tuple[Confidence, ...]] = ("suspected", "likely", "very sure", "certain")
"""From the least sure to the surest."""
_Z: Final = 1.96


@dataclass(frozen=True)
class Claim:
    """One thing that was said, how surely, and whether it was right."""

    confidence: str
    right: bool


@dataclass(frozen=True)
class Realised:
    """Of `n` claims of one confidence, `right` were; the share lies between `low` and `high` (95%, Wilson)."""

    confidence: str
    n: int
    right: int
    low: float
    high: float


def realised(claims: Iterable[Claim]) -> tuple[Realised, ...]:
    """The realised frequency of each confidence that was ever given, least sure first."""
    said = list(claims)
    found = []
    for word in SCALE:
        some = [one.right for one in said if one.confidence == word]
        if some:
            found.append(Realised(word, len(some), sum(some), *_wilson(sum(some), len(some))))
    return tuple(found)


def _wilson(hits: int, n: int) -> tuple[float, float]:
    rate, room = hits / n, _Z * _Z / n
    middle, half = (rate + room / 2) / (1 + room), _Z * ((rate * (1 - rate) + room / 4) / n) ** 0.5 / (1 + room)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def diagram(found: Sequence[Realised]) -> str:
    """The reliability diagram as SVG: one bar of the realised share a word, its interval, and how many there were."""
    left, top, width, height = 60, 20, 110, 200
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width * len(SCALE) + 20} {top + height + 60}" '
        'role="img" aria-label="How often verdicts of each confidence were right" '
        'font-family="sans-serif" font-size="12">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - share)
        parts.append(f'<line x1="{left}" x2="{left + width * len(SCALE)}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ccc"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end" fill="#555">{share:.0%}</text>')
    for place, word in enumerate(SCALE):
        middle = left + width * (place + 0.5)
        parts.append(f'<text x="{middle}" y="{top + height + 18}" text-anchor="middle" fill="#222">{word}</text>')
        one = next((one for one in found if one.confidence == word), None)
        told = "never said" if one is None else f"{one.right} of {one.n}"
        parts.append(f'<text x="{middle}" y="{top + height + 36}" text-anchor="middle" fill="#555">{told}</text>')
        if one is not None:
            tall = height * one.right / one.n
            parts.append(
                f'<rect x="{middle - 25}" y="{top + height - tall:.1f}" width="50" height="{tall:.1f}" fill="#4a7ebb"/>'
            )
            ends = [top + height * (1 - end) for end in (one.low, one.high)]
            parts.append(f'<line x1="{middle}" x2="{middle}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}" stroke="#222"/>')
    return "\n".join((*parts, "</svg>", ""))
