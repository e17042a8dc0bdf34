"""What one detector says of one stream now."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from schemas.base import Hash16, NonNegative, Part, Record, Text, Timestamp, hash16
from schemas.exchange import ToldRoute
from schemas.position import Position

ReadingStatus = Literal["learning", "quiet", "firing", "blind"]
Direction = Literal["up", "down"]
Unit = Literal["pp", "sd", "ratio"]
Questions = Literal["same", "alike", "other", "few"]
"""What the questions since a change are to those of the baseline.

`same`: they return, in these or other words; `alike`: each is new, and as a whole they are like them; `other`: they are
not; `few`: new ones, and too few to tell."""


class Effect(Part):
    """How far a stream moved. `low` and `high` bound the change `after - before`, in `unit`.

    `pp`: before and after are rates in percent; before is what the baseline leads to expect of these very prompts,
    `baseline_rate` the share that was counted in it, whatever was asked. `sd`: distances in standard deviations of
    the baseline.
    """

    name: Text
    before: float | None = None
    after: float | None = None
    baseline_rate: float | None = None
    low: float | None = None
    high: float | None = None
    unit: Unit


class Evidence(Part):
    """How sure we are. The stream fires when `log_e` reaches `threshold` (both natural logarithms).

    `n` counts the stream's rows since its baseline was pinned or a person zeroed its evidence; `baseline` is an id.
    """

    log_e: float | None = None
    threshold: float | None = None
    n: NonNegative = 0
    baseline: Hash16 | None = None


class ChangePoint(Part):
    """Since when: the exchange at which a stream seems to have moved, with a 90% interval.

    The event indexes count the route's exchanges, the times are theirs; `low` is the earlier end. An alarm is later
    than what it tells of, and the estimate is refined as exchanges come.
    """

    event_index: NonNegative
    low: NonNegative
    high: NonNegative
    ts: Timestamp
    ts_low: Timestamp
    ts_high: Timestamp


Figure = Annotated[float, AfterValidator(lambda value: round(value, 6) + 0.0)]
"""A number that people compare: six digits after the point, in records as in reports."""


class Movement(Part):
    """One thing that moved within what a stream watches: a style feature of the answers, a topic, a slice, a signal.

    `kind` says what `name` names. `before` is of the baseline, `after` of the exchanges since the change, both in
    `unit`: `share` (0 to 1), `per answer` (a mean count or length), `ratio` (after over before).
    """

    kind: Literal["style", "topic", "slice", "signal"]
    name: Text
    before: Figure
    after: Figure
    unit: Literal["share", "per answer", "ratio"]


class ChangedAgain(Part):
    """That behaviour changed once more while an alarm stands, held against what came after that alarm.

    The baseline has no part in it: effects against that stay what they are.

    Attributes:
        reference: id of what it is held against, `n` exchanges that followed exchange `after`, the alarm, of time
            `ts_after`.
        detector, signal, slice, direction: what changed, and which way, as of a reading.
        effect: from the reference to what is now. evidence: that of the reading. change_point: since when.
    """

    reference: Hash16
    after: NonNegative
    ts_after: Timestamp
    n: NonNegative
    detector: Text
    signal: Text | None = None
    slice: Text | None = None
    direction: Direction | None = None
    effect: Effect | None = None
    floor: float | None = None
    evidence: Evidence
    change_point: ChangePoint | None = None
    movements: tuple[Movement, ...] = ()


class Reading(Record):
    """One detector's word on one stream, at the exact exchange `event_index`.

    `counterparts` are the nearest exchanges of the baseline, one for each of `exemplars`, None where there is none.
    One that carries `again` says nothing of the baseline: what changed, and how far, stands in that part.
    """

    id: Hash16
    route: ToldRoute
    identity: Hash16 | None = None
    detector: Text
    signal: Text | None = None
    hazard: Text | None = None
    slice: Text | None = None
    direction: Direction | None = None
    status: ReadingStatus
    effect: Effect | None = None
    floor: float | None = None
    evidence: Evidence
    event_index: NonNegative
    ts: Timestamp
    source: Position
    exemplars: tuple[Text, ...] = ()
    counterparts: tuple[Text | None, ...] = ()
    change_point: ChangePoint | None = None
    movements: tuple[Movement, ...] = ()
    questions: Questions | None = None
    again: ChangedAgain | None = None
    reason: Text | None = None


def reading_id(
    route: str,
    identity: str | None,
    detector: str,
    signal: str | None,
    slice: str | None,
    direction: str | None,
    baseline: str | None,
    n: int,
    status: str,
) -> str:
    """The id of a reading: the same input gives the same id, so a redelivered one is an upsert."""
    return hash16([route, identity, detector, signal, slice, direction, baseline, n, status])
