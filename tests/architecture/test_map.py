"""The map of the rooms: each says what it is for, none stands in a circle, README's picture shows today's."""

from __future__ import annotations

from tests.architecture.map import PICTURE, direct, rooms, svg, text
from tests.support.source import ROOT


def test_every_room_says_what_it_is_for() -> None:
    assert [room.name for room in rooms() if not room.purpose.endswith(".")] == []
    assert all(room.purpose in text() for room in rooms())


def test_a_room_stands_above_all_that_it_imports() -> None:
    floors = {room.name: room.floor for room in rooms()}
    assert [(room.name, used) for room in rooms() for used in room.uses if floors[used] >= room.floor] == []
    assert all(direct(room) <= room.uses for room in rooms())


def test_the_picture_shows_the_rooms_of_today() -> None:
    """To draw it again: python -m tests.architecture.map --svg infra/pictures/architecture.svg"""
    assert PICTURE.read_text(encoding="utf-8") == svg()
    assert PICTURE.relative_to(ROOT).as_posix() == "infra/pictures/architecture.svg"
