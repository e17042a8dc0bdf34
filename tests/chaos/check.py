"""What every disturbed run must show in the end, and the story that it plays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from services.demo.support_bot import Script
from services.store.scores import KEPT_ROWS
from services.stream.broker import Broker
from tests.support.oracle import expected_of, seen_dead, seen_ids, text
from tests.support.streams import seen
from tests.support.traffic import ROUTES

SCRIPT = Script(before=300, after=100_000, leak=0.03)
MONITOR = "defaults: {baseline: {size: 250, min_size: 100}}\n"


def configured(folder: Path) -> Path:
    """The monitor file of a run."""
    (config := folder / "keelwatch.yaml").write_text(MONITOR)
    return config


def check(broker: Broker, database: str, config: Path, accepted: Sequence[str]) -> None:
    """What was accepted is in the database once, as an undisturbed replay of the topic tells it, and nothing else is.

    Raises:
        AssertionError: if not.
    """
    ids = seen_ids(database)
    most = max(Counter(id.rpartition("#")[0] for id in accepted).values())
    assert most <= KEPT_ROWS, f"{most} exchanges of one route: it went on for so long that rows were pruned"
    lost = sorted(set(accepted) - set(ids))
    assert lost == [], f"{len(lost)} of {len(accepted)} lost: {lost[:5]}"
    assert sorted(set(ids) - set(accepted)) == [], "invented"
    assert [id for id, n in ids.items() if n > 1] == [], "counted twice"
    assert seen_dead(database) == {}, "a good exchange is in a dead letter"
    expected = expected_of(broker, config)
    for route in ROUTES:
        told = difference(text(expected[route]), text(seen(database, route)))
        assert told == "", f"{route}: told otherwise than by replay\n{told}"
        assert expected[route].incidents, f"{route}: the story has come to no incident, and shows nothing"


def difference(expected: str, found: str) -> str:
    """The lines in which two reports differ, with some around them; nothing when they are the same."""
    return "\n".join(unified_diff(expected.splitlines(), found.splitlines(), "replay", "stream", lineterm=""))
