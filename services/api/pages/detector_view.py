"""What each detector says of a route, with its evidence against the threshold. Pure: words and numbers, no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.identity import Model
from schemas.reading import Reading, ReadingStatus
from services.api.pages import words
from services.charts import Chart, evidence_bar

STATUSES: Final[Mapping[ReadingStatus, str]] = {
    "firing": "moved",
    "blind": "blind",
    "learning": "learning",
    "quiet": "quiet",
}
MOST: Final = 24
_ORDER: Final[tuple[ReadingStatus, ...]] = ("firing", "blind", "learning", "quiet")
_SUBJECTS: Final[Mapping[str, str]] = {
    "model_shift": "answers to like prompts",
    "user_shift": "what users ask",
    "blind": "watching",
    "volatile": "volatile fields",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One stream: its evidence as a bar where it has a threshold, and how far it moved."""

    name: str
    where: str | None
    who: str | None
    status: ReadingStatus
    word: str
    bar: Chart | None
    n: int
    size: str | None
    change: str | None
    reason: str | None
    ts: datetime


def rows(readings: Sequence[Reading], models: Mapping[str, Model]) -> tuple[Row, ...]:
    """All streams: what moved first, then what is blind; the whole route before its slices, strong evidence first."""
    return tuple(_row(one, models) for one in sorted(readings, key=_rank))


def subject(one: Reading) -> str:
    """What a stream is about, for example `refusal rate`."""
    named = (one.signal or one.detector).replace("_", " ")
    if one.detector == "events":
        return f"{named} in an answer"
    return _SUBJECTS.get(one.detector) or (f"{named} rate" if one.signal else named)


def name_of(identity: str, models: Mapping[str, Model]) -> str:
    """The model's name, and the beginning of the identity, which tells it from others of that name."""
    model = models.get(identity)
    return identity[:8] if model is None else f"{model.served or model.requested} ({identity[:8]})"


def _rank(one: Reading) -> tuple[int, bool, float, str, str, str]:
    found = one.evidence
    share = (found.log_e or 0.0) / found.threshold if found.threshold else 0.0
    return (_ORDER.index(one.status), one.slice is not None, -share, subject(one), one.slice or "", one.identity or "")


def _row(one: Reading, models: Mapping[str, Model]) -> Row:
    found = one.evidence
    return Row(
        name=subject(one),
        where=one.slice,
        who=None if one.identity is None else name_of(one.identity, models),
        status=one.status,
        word=STATUSES[one.status],
        bar=None if found.threshold is None else evidence_bar(found.log_e, found.threshold, subject(one)),
        n=found.n,
        size=_size(one),
        change=_change(one),
        reason=one.reason,
        ts=one.ts,
    )


def _size(one: Reading) -> str | None:
    effect = one.effect
    if one.detector == "events":
        return None if one.status == "blind" or effect is None or effect.after is None else f"{effect.after:,.0f} seen"
    if effect is None or effect.after is None:
        return None
    after = words.level(effect.after, effect.unit)
    return after if effect.before is None else f"{words.level(effect.before, effect.unit)} to {after}"


def _change(one: Reading) -> str | None:
    effect = one.effect
    if one.detector == "events":  # counted, and one is enough
        return None
    if effect is None or effect.low is None or effect.high is None:
        return "change not known"
    return f"change {words.change(effect.low, effect.high, effect.unit)} (95% interval)"
