"""What people read of a replay and of an incident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.incident import Incident, TimelineEntry
from services.alert.state import Mute
from services.cli.output import OUT
from services.detect.readings import stream_key_parts
from services.detect.state import DetectState

_COLOURS: Final = {"info": "blue", "warning": "yellow", "error": "red", "critical": "bold red"}


def route_table(states: Sequence[DetectState]) -> Table:
    """A line a route: where it stands and how far it has learned."""
    table = Table("route", "status", "exchanges", "learned", "cannot see", box=None, pad_edge=False, header_style="dim")
    for state in states:
        spots = {stream_key_parts(key): why for key, why in sorted(state.watch.blind.items())}
        said = dict.fromkeys(f"{signal or detector} ({why})" for (detector, _, signal, _), why in spots.items())
        blind = ", ".join(said) or "-"
        table.add_row(state.route, state.status, f"{state.intake.count:,}", f"{state.learned:,}", blind)
    return table


def mute_line(route: str, mute: Mute) -> Text:
    """One mute of a route: muted is never the same as quiet."""
    until = f"at the latest until {mute.until:%Y-%m-%d %H:%M} UTC"
    return Text(f"muted on {route}: {mute.fingerprint}, {until} ({mute.actor}: {mute.reason})")


def volatile_line(route: str, field: str) -> Text:
    """A field that tells no identities of a route apart: people would look for the changes that it hides."""
    return Text(f"volatile on {route}: model.{field} changes all the time and no longer counts towards identity")


def incident_panel(found: Incident) -> Panel:
    """One incident: what moved, the verdict and why, exemplars, timeline."""
    head = Text()
    head.append(f"{found.headline}\n\n", style="bold")
    for name, value in (
        ("verdict", found.verdict),
        ("because", found.verdict_reason),
        ("severity", found.severity),
        ("state", found.state),
        ("exemplars", ", ".join(found.exemplars) or "none"),
    ):
        head.append(f"{name}: ", style="dim")
        head.append(f"{value}\n", style=_COLOURS.get(value, ""))
    title = Text(f"incident {found.id}  {found.route}", style=_COLOURS[found.severity])
    return Panel(Group(head, _timeline(found.timeline)), title=title, title_align="left")


def _timeline(entries: Sequence[TimelineEntry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=False, expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for entry in entries:
        who = f" ({entry.actor})" if entry.actor else ""
        table.add_row(f"{entry.ts:%m-%d %H:%M}", entry.kind.replace("_", " "), Text(entry.text + who))
    return table


def print_incidents(found: Sequence[Incident]) -> None:
    """Print every incident, or that there is none."""
    for one in found:
        OUT.print(incident_panel(one))
    if not found:
        OUT.print("no incident")


def incident_list(found: Sequence[Incident]) -> Group:
    """Two lines an incident, for lists: what it is, then what happened."""
    lines: list[Text | Padding] = []
    for one in found:
        head = Text(f"{one.id}  ").append(one.severity, style=_COLOURS[one.severity])
        head.append(f"  {one.state}  {one.verdict}  {one.opened_at:%Y-%m-%d %H:%M}  {one.route}")
        lines += [head, Padding(Text(one.headline), (0, 0, 0, 4))]
    return Group(*lines)
