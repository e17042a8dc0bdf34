"""`python -m tests.architecture.map`: the rooms of the product, what each is for, and who imports whom.

A room is a package, or a module beside the packages. It stands on a floor above all that it imports. `--svg FILE`
draws the same, without the arrows that others imply; `--figures` counts files, lines, functions and class names.
"""

from __future__ import annotations

import argparse
import ast
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median, quantiles
from xml.sax.saxutils import escape

from tests.support.source import PACKAGES, functions, imports, modules

PICTURE = Path(__file__).resolve().parents[2] / "infra" / "pictures" / "architecture.svg"
WIDTH, BOX, GAP, LINE = 1400, 96, 44, 14
_INK, _PAPER, _EDGE, _ARROW = "#1d2733", "#ffffff", "#8492a6", "#b8c2cf"


@dataclass(frozen=True, slots=True)
class Room:
    """One room.

    Attributes:
        purpose: the first line of its docstring. floor: 1 is the ground. uses: rooms that it imports.
    """

    name: str
    purpose: str
    files: int
    lines: int
    floor: int
    uses: frozenset[str]


def room_of(module: str) -> str:
    """The room in which a module or an imported name stands."""
    parts = module.split(".")
    return parts[0] if parts[0] != "services" or len(parts) == 1 else f"services/{parts[1]}"


@cache
def rooms() -> tuple[Room, ...]:
    """Every room, from the highest floor down, then by name."""
    uses: dict[str, set[str]] = {}
    purpose: dict[str, str] = {}
    files, lines = Counter[str](), Counter[str]()
    for module in modules():
        if module.name == "services":
            continue
        room = room_of(module.name)
        known = {room_of(name) for name in imports(module) if name.split(".")[0] in PACKAGES and name != "services"}
        uses.setdefault(room, set()).update(known - {room, "services"})
        files[room] += 1
        lines[room] += module.lines
        if module.name in (room.replace("/", "."), room):
            purpose[room] = (ast.get_docstring(module.tree) or "").split("\n")[0]
    made = [
        Room(name, purpose[name], files[name], lines[name], _floor(name, uses), frozenset(uses[name])) for name in uses
    ]
    return tuple(sorted(made, key=lambda room: (-room.floor, room.name)))


def _floor(name: str, uses: Mapping[str, set[str]], above: tuple[str, ...] = ()) -> int:
    if name in above:
        raise ValueError(f"rooms import each other in a circle: {' -> '.join((*above, name))}")
    return 1 + max((_floor(one, uses, (*above, name)) for one in uses[name]), default=0)


def direct(room: Room) -> frozenset[str]:
    """The rooms that it uses and that no other room which it uses leads to."""
    by_name = {one.name: one for one in rooms()}

    @cache
    def reached(name: str) -> frozenset[str]:
        return frozenset().union(*({one} | reached(one) for one in by_name[name].uses))

    return room.uses - frozenset().union(*(reached(one) for one in room.uses))


def text() -> str:
    """The map in words."""
    told = []
    for room in rooms():
        size = f"{room.files:3} files {room.lines:6,} lines"
        told.append(f"{room.floor:2}  {room.name:<24} {size}  {room.purpose}")
        if room.uses:
            told += textwrap.wrap(
                f"-> {', '.join(sorted(room.uses))}", 118, initial_indent="    ", subsequent_indent="       "
            )
    return "\n".join(told)


def figures() -> str:
    """What the house measures."""
    files = [module.lines for module in modules()]
    lengths = [(one.end_lineno or one.lineno) - one.lineno + 1 for module in modules() for one in functions(module)]
    classes = Counter(n.name for module in modules() for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef))
    twice = sum(n > 1 for n in classes.values())

    def spread(counted: list[int]) -> str:
        return f"median {median(counted):.0f}, p90 {quantiles(counted, n=10)[-1]:.0f}, most {max(counted)}"

    return "\n".join(
        (
            f"Python files              {len(files):,}",
            f"lines                     {sum(files):,}",
            f"lines a file              {spread(files)}",
            f"files under 60 lines      {sum(n < 60 for n in files)}",
            f"lines a function          {spread(lengths)}",
            f"class names               {len(classes)}, of which {twice} twice or more",
        )
    )


def svg() -> str:
    """The map as a picture: a floor a row, the ground at the bottom. Modules beside the packages are left out."""
    shown = [room for room in rooms() if room.files > 1]
    floors: dict[int, list[Room]] = {}
    for room in shown:
        floors.setdefault(room.floor, []).append(room)
    height = len(floors) * (BOX + GAP) + GAP
    places: dict[str, tuple[float, float, float]] = {}
    for row, floor in enumerate(sorted(floors, reverse=True)):
        beside = floors[floor]
        width = min(260.0, (WIDTH - 24) / len(beside) - 12)
        left = (WIDTH - len(beside) * (width + 12) + 12) / 2
        for i, room in enumerate(beside):
            places[room.name] = (left + i * (width + 12), GAP / 2 + row * (BOX + GAP), width)
    arrows = [
        _arrow(places[room.name], places[used]) for room in shown for used in sorted(direct(room)) if used in places
    ]
    boxes = [_box(room, *places[room.name]) for room in shown]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            ' font-family="Lato, Helvetica, Arial, sans-serif" role="img" aria-label="The rooms of Keelwatch">',
            f'<rect width="{WIDTH}" height="{height}" fill="{_PAPER}"/>',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{_ARROW}"/></marker></defs>',
            *arrows,
            *boxes,
            "</svg>\n",
        )
    )


def _arrow(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x, y = start[0] + start[2] / 2, start[1] + BOX
    to, down = end[0] + end[2] / 2, end[1] - 2
    middle = (y + down) / 2
    path = f"M{x:.0f} {y:.0f}C{x:.0f} {middle:.0f} {to:.0f} {middle:.0f} {to:.0f} {down:.0f}"
    return f'<path d="{path}" fill="none" stroke="{_ARROW}" stroke-width="1.3" marker-end="url(#head)"/>'


def _box(room: Room, x: float, y: float, width: float) -> str:
    frame = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="6" fill="{_PAPER}" stroke="{_EDGE}"'
    heading = f'x="{x + 10:.0f}" y="{y + 19:.0f}" font-size="13" font-weight="bold" fill="{_INK}"'
    wrapped = textwrap.wrap(room.purpose, max(12, int((width - 18) / 5.9)), max_lines=4, placeholder=" ...")
    lines = [
        f'<text x="{x + 10:.0f}" y="{y + 36 + i * LINE:.0f}" font-size="11" fill="{_INK}">{escape(line)}</text>'
        for i, line in enumerate(wrapped)
    ]
    return "\n".join(
        (
            f"<rect {frame}/>",
            f"<text {heading}>{escape(room.name.removeprefix('services/'))}</text>",
            *lines,
        )
    )


def main() -> None:
    """Print the map, or draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path, metavar="FILE", help=f"draw it; README's is {PICTURE.name}")
    parser.add_argument("--figures", action="store_true", help="count files, lines, functions and class names")
    given = parser.parse_args()
    if given.svg is not None:
        given.svg.write_text(svg(), encoding="utf-8")
        return
    print(text())
    if given.figures:
        print(f"\n{figures()}")


if __name__ == "__main__":
    main()
