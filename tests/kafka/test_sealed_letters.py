"""What workers bury on Apache Kafka is sealed, also by one without a database; erasing somebody makes it unreadable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from schemas.dead_letter import DeadLetter
from schemas.topics import EXCHANGES
from services.stream.broker import Broker
from services.stream.letter_keys import published
from services.wording import dead_letters as words
from tests.support.streams import Worker, publish, read_all, running, until

DEAD = EXCHANGES.dead("score")
SECRET = "555-0199"


def poison(i: int) -> tuple[bytes, bytes]:
    return b"a/prod", json.dumps({"route": "a/prod", "prompt": f"call {SECRET}", "response": i}).encode()


def test_letters_of_a_worker_without_a_database_are_sealed_once_one_with_it_has_told_the_key(
    broker: Broker, tmp_path: Path, keelwatch: Callable[..., tuple[int, str, str]]
) -> None:
    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    alone = Worker(tmp_path / "score", broker, "score", "sqlite:////nowhere/at/all.db")
    with_database = replace(alone, folder=tmp_path / "record", only="record", database=url)
    for one in (alone, with_database):
        one.folder.mkdir()

    def letters() -> list[DeadLetter]:
        return [DeadLetter.decode(one.value) for one in read_all(broker, DEAD)]

    def content() -> list[str | None]:
        where = ("--bootstrap", broker.bootstrap, "--topic", DEAD, "--database", url)
        code, said, _ = keelwatch("dead", "list", *where, "--show-content", "--json", "-")
        assert code == 0
        return [row["content"] for row in json.loads(said)]

    with running(alone):
        publish(broker, EXCHANGES.name, [poison(0)])
        until(lambda: len(letters()) == 1, "the first is buried")
        assert [one.withheld for one in letters()] == ["no_key"]
        with running(with_database):
            until(lambda: len(asyncio.run(published(broker))) == 2, "today's and tomorrow's keys are told")
            sent = [1]

            def is_sealed() -> bool:
                publish(broker, EXCHANGES.name, [poison(sent[0])])
                sent[0] += 1
                return letters()[-1].sealed is not None

            until(is_sealed, "what is buried now is sealed", seconds=30)
        until(lambda: len(letters()) == sent[0], "all are buried")

    on_topic = b"".join(one.value for one in read_all(broker, DEAD))
    assert SECRET.encode() not in on_topic
    assert {one.raw for one in letters()} == {""}
    readable = [text for text in content() if text is not None]
    assert readable
    assert all(SECRET in text for text in readable)

    assert keelwatch("erase", "--user", "somebody", "--database", url, "--dry-run")[0] == 0
    assert [text for text in content() if text is not None] == readable
    code, said, _ = keelwatch("erase", "--user", "somebody", "--database", url)
    assert (code, "keys of dead letters" in said) == (0, True)
    assert set(content()) == {None}
    replay = ("dead", "replay", "--bootstrap", broker.bootstrap, "--topic", DEAD, "--database", url)
    _, said, _ = keelwatch(*replay)
    assert said.splitlines()[0] == "0 dead letters sent again"
    assert f"{len(readable)} left: {words.FORGOTTEN}" in said
