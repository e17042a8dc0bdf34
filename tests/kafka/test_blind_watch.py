"""A worker that hangs is noticed by what does not hang: nothing scored for ten minutes opens an incident."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from schemas.exchange import STREAM_ROUTE
from schemas.incident import Incident
from schemas.topics import EXCHANGES
from services.store import incidents
from services.store.engine import open_database
from services.stream.broker import Broker
from services.wording import blindness as words
from tests.support import quick_clock
from tests.support.oracle import seen_ids
from tests.support.streams import Worker, groups, publish, running, until

N = 40


def exchange(i: int) -> tuple[bytes, bytes]:
    fields = {"id": f"e{i}", "route": "a/prod", "prompt": f"hello {i}", "response": "hi", "model": {"requested": "m"}}
    return b"a/prod", json.dumps(fields).encode()


def told(url: str) -> list[Incident]:
    with closing(open_database(url, create=False)) as database:
        return list(database.query(incidents.find, STREAM_ROUTE))


def test_a_score_worker_that_hangs_opens_an_incident_that_is_over_when_it_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    """Real processes and topics throughout; the clock of the watch alone is turned, 60 times as fast."""
    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    folders = {name: tmp_path / name for name in ("score", "rest")}
    for folder in folders.values():
        folder.mkdir()
    score = Worker(folders["score"], broker, "score", url)
    rest = Worker(folders["rest"], broker, "alert,record", url, module=quick_clock.__name__)
    steps = ("score", "alert", "record")
    with running(score), running(rest):
        until(lambda: set(groups(broker, steps).values()) == {("Stable", 1)}, "all are at work")
        score.suspend()
        publish(broker, EXCHANGES.name, map(exchange, range(N)))
        until(lambda: [one.state for one in told(url)] == ["open"], "ten minutes of its clock, and it is told", 60)
        [incident] = told(url)
        assert (incident.families, incident.severity) == (("blind",), "warning")
        assert f"{N} exchanges" in incident.headline or str(N) in incident.timeline[0].text, incident
        score.resume()
        until(lambda: len(seen_ids(url)) == N, "they are scored")
        until(lambda: [one.state for one in told(url)] == ["resolved"], "and that is told", 60)
    [over] = told(url)
    assert (over.id, words.SCORED_AGAIN in over.timeline[-1].text) == (incident.id, True)
