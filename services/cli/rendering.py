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
from services.wording import commands as words
from services.wording.decisions import unheard
from services.wording.incidents import headline_in_full
from services.wording.numbers import short_moment
from services.wording.unseen import escaped_unseen, on_one_line

_COLOURS: Final = {"info": "blue", "warning": "yellow", "error": "red", "critical": "bold red"}


def route_table(states: Sequence[DetectState]) -> Table:
    """A line a route: where it stands and how far it has learned."""
    table = Table(*words.ROUTE_COLUMNS, box=None, pad_edge=False, header_style="dim")
    for state in states:
        spots = [(stream_key_parts(key), why) for key, why in sorted(state.watch.blind.items())]
        blind = words.not_monitored([(detector, signal, why) for (detector, _, signal, _), why in spots])
        table.add_row(state.route, state.status, f"{state.intake.count:,}", f"{state.learned:,}", blind)
    return table


def mute_line(route: str, mute: Mute) -> Text:
    """One mute of a route: muted is never the same as quiet."""
    told = unheard(mute.kind, mute.actor, mute.reason, mute.since, mute.until)
    return Text(on_one_line(words.unheard(route, told)))


def volatile_line(route: str, field: str) -> Text:
    """A field that tells no models of a route apart: people would look for the changes that it hides."""
    return Text(words.volatile(route, field))


def incident_panel(found: Incident, verbose: bool = False) -> Panel:
    """One incident: what happened, who changed and why, timeline; with `verbose` the numbers and ids behind it."""
    head = Text()
    head.append(f"{escaped_unseen(headline_in_full(found))}\n\n", style="bold")
    for name, value in words.incident_rows(found, verbose):
        head.append(f"{name}: ", style="dim")
        head.append(f"{escaped_unseen(value)}\n", style=_COLOURS.get(found.severity if name == "severity" else "", ""))
    title = Text(f"incident {found.id}  {found.route}", style=_COLOURS[found.severity])
    return Panel(Group(head, _timeline(found.timeline, verbose)), title=title, title_align="left")


def _timeline(entries: Sequence[TimelineEntry], verbose: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=False, expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(ratio=1)
    for entry in entries:
        text = Text(on_one_line(entry.text))
        if verbose and entry.details:
            text.append(f"\n{escaped_unseen(entry.details)}", style="dim")
        table.add_row(short_moment(entry.ts), text)
    return table


def print_incidents(found: Sequence[Incident]) -> None:
    """Print every incident, or that there is none."""
    for one in found:
        OUT.print(incident_panel(one))
    if not found:
        OUT.print(words.NO_INCIDENT)


def incident_list(found: Sequence[Incident]) -> Group:
    """Two lines an incident, for lists: what it is, then what happened."""
    lines: list[Text | Padding] = []
    for one in found:
        head = Text(f"{one.id}  ").append(one.severity, style=_COLOURS[one.severity])
        head.append(f"  {words.listed(one)}")
        lines += [head, Padding(Text(on_one_line(headline_in_full(one))), (0, 0, 0, 4))]
    return Group(*lines)
