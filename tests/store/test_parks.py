"""Parks: in order, each record once, bounded, and gone when they are empty."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.store import parks, routes
from services.store.engine import Conflict, Database
from services.store.parks import ParkBounds, ParkedRecord, ParkFault, Parking

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
FAULT = ParkFault("ValueError in services.vectors, line 25", "1")
ROUTE = "support-bot/prod"


def record(offset: int, value: bytes = b"v") -> ParkedRecord:
    return ParkedRecord("keelwatch.scores", 0, offset, NOW, value)


def write(database: Database, parking: Parking, route: str = ROUTE) -> None:
    with database.write() as connection:
        parks.write(connection, "detect", route, parking, NOW)


def standing(database: Database) -> parks.ParkedRoute | None:
    return database.query(parks.standing, "detect", [ROUTE]).get(ROUTE)


def waiting(database: Database, most: int = 100, size: int = 1000) -> list[int]:
    park = standing(database)
    assert park is not None
    return [one.offset for _, one in database.query(parks.waiting, park, most, size).records]


def test_records_wait_in_the_order_in_which_they_came_and_each_once(database: Database) -> None:
    write(database, Parking(FAULT, (record(7), record(8))))
    write(database, Parking(records=(record(8), record(3), record(9))))
    assert waiting(database) == [7, 8, 3, 9]
    assert waiting(database, most=2) == [7, 8]
    assert waiting(database, size=1) == [7]
    park = standing(database)
    assert park is not None
    assert (park.n, park.size, park.since, park.tries, park.retry) == (4, 4, NOW, 1, False)
    assert database.query(routes.exists, ROUTE)


def test_one_place_of_a_topic_that_was_made_anew_is_another_record(database: Database) -> None:
    write(database, Parking(FAULT, (record(7), record(7, b"another"))))
    assert waiting(database) == [7, 7]


def test_what_was_taken_leaves_and_an_empty_park_is_gone(database: Database) -> None:
    write(database, Parking(FAULT, tuple(record(n) for n in range(4))))
    write(database, Parking(through=1))
    assert waiting(database) == [2, 3]
    park = standing(database)
    assert park is not None
    assert park.tries == 0  # what is first now has never failed
    write(database, Parking(through=3))
    assert standing(database) is None


def test_a_park_that_another_process_has_emptied_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict):
        write(database, Parking(records=(record(1),)))
    assert standing(database) is None


def test_it_is_due_when_somebody_asks_or_another_release_runs(database: Database) -> None:
    write(database, Parking(FAULT, (record(7),)))
    assert database.query(parks.due, "detect", "1") is None
    assert database.query(parks.due, "detect", "2") is not None
    assert database.query(parks.due, "record", "2") is None
    with database.write() as connection:
        [asked] = parks.ask_again(connection, ROUTE)
    assert (asked.step, asked.n) == ("detect", 1)
    assert database.query(parks.due, "detect", "1") is not None
    write(database, Parking(ParkFault("KeyError", "1")))  # it failed again
    assert database.query(parks.due, "detect", "1") is None
    park = standing(database)
    assert park is not None
    assert (park.reason, park.n) == ("KeyError", 1)


def test_room_is_by_records_by_bytes_and_by_the_bytes_of_all_routes(database: Database) -> None:
    write(database, Parking(FAULT, (record(0), record(1))))
    write(database, Parking(FAULT, (record(0, b"x" * 50),)), "other/prod")
    some = [record(1), record(2, b"22"), record(3), record(1)]

    def fits(bounds: ParkBounds, coming: tuple[ParkedRecord, ...] = ()) -> tuple[list[int], list[int]]:
        found = database.query(parks.room, "detect", ROUTE, some, coming, bounds)
        return [one.offset for one in found.fitting], [one.offset for one in found.beyond]

    assert fits(ParkBounds()) == ([1, 2, 3, 1], [])
    assert fits(ParkBounds(records=3)) == ([1, 2, 1], [3])
    assert fits(ParkBounds(bytes=3)) == ([1, 1], [2, 3])  # a smaller one does not overtake
    assert fits(ParkBounds(step_bytes=54)) == ([1, 2, 1], [3])
    assert fits(ParkBounds(records=3), (record(9),)) == ([1, 1], [2, 3])


def test_what_found_no_room_stays_counted(database: Database) -> None:
    write(database, Parking(FAULT, (record(0),), beyond=2))
    write(database, Parking(records=(record(1),), beyond=3))
    park = standing(database)
    assert park is not None
    assert park.beyond == 5
