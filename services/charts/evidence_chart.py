"""The evidence of an incident over time: each sign's, as a share of what it takes to fire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.alert import Alert
from schemas.base import hash16
from schemas.incident import Incident
from services.charts import axis
from services.charts.drawing import Drawing, cleaned
from services.charts.frame import Frame, grid
from services.charts.values import Chart, Picture
from services.store import baselines, readings
from services.store.incidents import IncidentDetails
from services.wording import explanations as words
from services.wording.explanations import Explanation
from services.wording.numbers import percent, short_moment

_MOST_LINES: Final = 3
_BEFORE: Final = timedelta(hours=24)
_LONGEST: Final = timedelta(days=14)
_CUT: Final = 2.0
"""Evidence goes on growing after an alert; beyond twice what it takes nothing more is to be seen."""
_MOST_ROWS: Final = 24


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One sign: (time, evidence over the threshold) of each reading, in order."""

    name: str
    points: tuple[tuple[datetime, float], ...]

    @property
    def greatest(self) -> float:
        """The most evidence that it had."""
        return max((share for _, share in self.points), default=0.0)


def read_evidence(connection: Connection, incident: Incident, alerts: Sequence[Alert]) -> tuple[EvidenceLine, ...]:
    """The kept readings behind the alerts of an incident, from a day before it opened on, the strongest first."""
    since, until = incident.opened_at - _BEFORE, incident.opened_at + _LONGEST
    lines = []
    for alert in alerts:
        threshold = alert.evidence.threshold
        if alert.evidence.log_e is None or not threshold:
            continue
        kept = readings.history(connection, alert.route, _stream(alert), None, readings.KEPT_READINGS)
        told = [*((one.ts, one.evidence.log_e) for one in kept), (alert.ts, alert.evidence.log_e)]
        points = {ts: max(log_e, 0.0) / threshold for ts, log_e in told if log_e is not None and since <= ts <= until}
        lines.append(EvidenceLine(words.evidence_line(alert), tuple(sorted(points.items()))))
    lines.sort(key=lambda line: -line.greatest)
    return tuple(lines)


def explained(connection: Connection, found: IncidentDetails) -> tuple[Explanation, tuple[EvidenceLine, ...]]:
    """An incident in words, and its evidence over time."""
    held = next((one.evidence.baseline for one in found.alerts if one.evidence.baseline is not None), None)
    pinned = None if held is None else baselines.pinning_of(connection, held)
    return (
        words.explain(found.incident, found.alerts, pinned),
        read_evidence(connection, found.incident, found.alerts),
    )


def evidence_chart(lines: Sequence[EvidenceLine], opened: datetime) -> Chart | None:
    """For a page: the lines with the level at which each fires; None where nothing is kept."""
    drawn = _drawn(lines, opened)
    if drawn is None:
        return None
    rows = [(ts, line.name, share) for line in lines for ts, share in line.points]
    rows.sort(key=lambda row: (row[0], row[1]))
    table = tuple((short_moment(ts), name, percent(share)) for ts, name, share in rows[-_MOST_ROWS:])
    return Chart((drawn.for_page(),), _summary(lines), words.EVIDENCE_HEAD, table)


def evidence_picture(lines: Sequence[EvidenceLine], opened: datetime) -> Picture | None:
    """For a file; None where nothing is kept."""
    drawn = _drawn(lines, opened, ground=True)
    return None if drawn is None else Picture(drawn.for_picture(), _summary(lines))


def _summary(lines: Sequence[EvidenceLine]) -> str:
    return words.evidence_summary((line.name, line.greatest) for line in lines)


def _drawn(lines: Sequence[EvidenceLine], opened: datetime, *, ground: bool = False) -> Drawing | None:
    times = [ts for line in lines for ts, _ in line.points]
    if not times:
        return None
    since, until = min(times), max(*times, min(times) + timedelta(minutes=10))
    most = min(max(line.greatest for line in lines), _CUT)
    frame = Frame(54, 560, 14, 194, since, until, tuple(axis.rates(max(most, 1.0) * 1.1)))
    says = _summary(lines)
    drawing = Drawing(760, 234, cleaned(words.EVIDENCE, 60), says, "chart-evidence-course")
    if ground:
        drawing.rect("c-ground", 0, 0, drawing.width, drawing.height)
    grid(drawing, frame)
    drawing.path("c-baseline", f"M{frame.left:.1f} {frame.y(1.0):.1f}H{frame.right:.1f}")
    drawing.text("c-base", frame.right + 8, frame.y(1.0) + 4, words.FIRES)
    at = frame.x(opened)
    drawing.path("c-incident", f"M{at:.1f} {frame.top:.1f}V{frame.bottom:.1f}")
    for place, line in enumerate(lines[:_MOST_LINES]):
        _line(drawing, frame, line, place)
    return drawing


def _line(drawing: Drawing, frame: Frame, line: EvidenceLine, place: int) -> None:
    at = [(frame.x(ts), frame.y(min(share, frame.top_rate))) for ts, share in line.points]
    if len(at) > 1:
        drawing.path("c-line", "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at))
    for x, y in at[-1:]:
        drawing.dot("c-dot", x, y, 3)
    drawing.text("c-text", frame.right + 8, frame.top + 40 + 18 * place, f"{cleaned(line.name, 24)}")


def _stream(alert: Alert) -> str:
    """The stream of the readings behind an alert, as the store names it."""
    who = alert.identities[0] if alert.identities else None
    return hash16([alert.route, who, alert.family, alert.signal, alert.hazard, alert.slice])
