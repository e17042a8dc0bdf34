"""What is published from a file comes out of the topic as `replay` takes it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.dead_letter import DeadLetter
from services.ports import Received
from services.replay.source import read_items
from services.score.blocks import blocks_of
from services.score.score_lines import parse_line
from services.stream.producer import Producer
from tests.support.blocks import block, rows
from tests.support.kafka import Cluster
from tests.support.source import ROOT
from tests.support.streams import until

BROKEN = ('{"route": "r1", ', "[1]", "text", '{"route": 7, "prompt": "p"}', '"\\ud800"')
ROUTES = 3


def exchange(i: int, **fields: object) -> dict[str, object]:
    return {"route": f"r{i % ROUTES}", "prompt": f"p{i}", "response": "yes", "model": {"requested": "m"}, **fields}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ninety exchanges of three routes, some without id and time, blank and broken lines between them."""
    own = [exchange(i, id=f"e{i}", ts=f"2026-11-24T18:00:{i % 60:02}Z") for i in range(60)]
    bare = [exchange(i) for i in range(60, 90)]
    lines = [json.dumps(one) for one in (*own, *bare)]
    for i, broken in enumerate(BROKEN):
        lines.insert(i * 9, broken + "\n")
    path = tmp_path / "exchanges.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def capture(keelwatch, cluster: Cluster, topic: str, out: Path, least: int, idle: float = 1) -> list[str]:
    """The lines of a topic, once there are so many: the embedded broker may be slower than `idle` on a busy machine."""
    where = ("--bootstrap", cluster.bootstrap, "--topic", topic, "--out", out)

    def enough() -> bool:
        code, _, said = keelwatch("capture", *where, "--from-beginning", "--until-idle", idle)
        assert code == 0, said
        return len(out.read_text().splitlines()) >= least

    until(enough, f"{least} lines are there")
    return out.read_text().splitlines()


def send(cluster: Cluster, topic: str, values: list[bytes]) -> None:
    async def work() -> None:
        producer = Producer(cluster.broker)
        await producer.start()
        await asyncio.gather(*[producer.send(topic, b"k", value) for value in values])
        await producer.stop()

    asyncio.run(work())


def test_a_published_file_is_captured_as_replay_takes_it(keelwatch, cluster: Cluster, file: Path) -> None:
    topic = cluster.topic("exchanges")
    code, said, _ = keelwatch("publish", file, "--bootstrap", cluster.bootstrap, "--topic", topic)
    assert (code, said) == (0, "sent 95, acknowledged 95, failed 0\n")

    out = file.with_name("captured.jsonl")
    lines = capture(keelwatch, cluster, topic, out, 95)
    assert sorted(line for line in lines if '"prompt":"p' not in line) == sorted(BROKEN)
    found = list(read_items(out))
    exchanges = [item.exchange for item in found if isinstance(item, Received)]
    assert (len(exchanges), sum(isinstance(item, DeadLetter) for item in found)) == (90, len(BROKEN))
    for route in range(ROUTES):
        mine = [one.prompt for one in exchanges if one.route == f"r{route}"]
        assert mine == [f"p{i}" for i in range(route, 90, ROUTES)]

    written = [json.loads(line) for line in lines if '"prompt":"p' in line]
    bare = [one for one in written if int(one["prompt"][1:]) >= 60]
    assert all(one["id"].startswith(f"k:{cluster.broker.cluster}/{topic}/") for one in bare)
    assert len({one["id"] for one in bare}) == 30
    assert all(one["ts"] > "2026-11-24T19" for one in bare)  # Kafka's timestamp
    assert {one["id"] for one in written} - {one["id"] for one in bare} == {f"e{i}" for i in range(60)}


def test_the_rules_of_the_monitor_file_give_routes_on_both_ways(keelwatch, cluster: Cluster, tmp_path: Path) -> None:
    monitor = tmp_path / "keelwatch.yaml"
    monitor.write_text('ingest: [{match: {model: "m-*"}, route: by/rule}]\n')
    file = tmp_path / "some.jsonl"
    some = [{"prompt": f"p{i}", "response": "yes", "model": {"requested": f"m-{i}"}} for i in range(5)]
    file.write_text("\n".join(map(json.dumps, some)))
    topic = cluster.topic("exchanges")
    where = ("--bootstrap", cluster.bootstrap, "--topic", topic, "--config", monitor)
    assert keelwatch("publish", file, *where)[0] == 0
    out = tmp_path / "captured.jsonl"
    assert keelwatch("capture", *where, "--out", out, "--from-beginning", "--until-idle", 1)[0] == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(one["route"], one["prompt"]) for one in found] == [("by/rule", f"p{i}") for i in range(5)]


def test_score_blocks_are_unfolded_and_fold_again(keelwatch, cluster: Cluster, tmp_path: Path) -> None:
    made = block(rows(40, signals={"refusal": True}))
    topic = cluster.topic("scores", partitions=1)
    send(cluster, topic, [made.encode(), b'{"route": 1}'])
    lines = capture(keelwatch, cluster, topic, tmp_path / "scores.jsonl", 41)
    assert lines[40:] == ['{"route": 1}']
    assert [json.loads(line)["source"] for line in lines[:40]] == [["c", "t", 0, i] for i in range(40)]
    [folded] = blocks_of(parse_line(line) for line in lines[:40])
    assert (folded.id, folded.prompt_vec, folded.response_vec) == (made.id, made.prompt_vec, made.response_vec)


def test_other_records_are_one_json_line_each(keelwatch, cluster: Cluster, tmp_path: Path) -> None:
    topic = cluster.topic(partitions=1)
    values = [b'{"schema_version": 1,\n "id": "a"}', b"\xff\n\x00", b" ", b'{"schema_version": 1, "x": "\\n"}']
    send(cluster, topic, values)
    lines = capture(keelwatch, cluster, topic, tmp_path / "out.jsonl", 4)
    assert [json.loads(line) for line in lines] == [
        {"schema_version": 1, "id": "a"},
        "\ufffd\n\x00",
        "",
        {"schema_version": 1, "x": "\n"},
    ]


def test_without_from_beginning_only_what_comes_from_now_on(keelwatch, apache: Cluster, tmp_path: Path) -> None:
    topic = apache.topic()
    send(apache, topic, [b"1", b"2"])
    where = ("--bootstrap", apache.bootstrap, "--topic", topic, "--out", tmp_path / "out", "--until-idle", 0.5)
    assert keelwatch("capture", *where)[0] == 0
    assert (tmp_path / "out").read_text() == ""


def test_the_embedded_broker_does_not_pretend_to_know_the_end(keelwatch, embedded_broker: Cluster, tmp_path) -> None:
    where = ("--bootstrap", embedded_broker.bootstrap, "--topic", embedded_broker.topic(), "--out", tmp_path / "out")
    code, _, said = keelwatch("capture", *where, "--until-idle", 0.5)
    assert code == 2
    assert "--from-beginning" in said


def test_what_the_broker_does_not_take_is_counted_and_exits_1(keelwatch, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "big.jsonl"
    file.write_text("\n".join(json.dumps(exchange(i, prompt="x" * (i * 5_000_000))) for i in range(2)) + "\n")
    where = ("--bootstrap", cluster.bootstrap, "--topic", cluster.topic())
    code, said, why = keelwatch("publish", file, *where)
    assert (code, said) == (1, "sent 2, acknowledged 1, failed 1\n")
    left = tmp_path / "big.left.jsonl"
    assert why.startswith(f"1 x MessageSizeTooLargeError\n1 line not acknowledged: written to {left}. ")
    assert left.read_bytes() == file.read_bytes().splitlines(keepends=True)[1]


def test_what_is_stopped_leaves_a_file_of_what_is_missing(
    keelwatch, embedded_broker: Cluster, file: Path, tmp_path: Path
) -> None:
    topic = embedded_broker.topic()
    left = tmp_path / "left.jsonl"
    where = ("--bootstrap", embedded_broker.bootstrap, "--topic", topic)
    listens = ("env", "--default-signal=INT")  # it is ignored by what runs behind a shell, as tests may
    process = subprocess.Popen(
        [*listens, sys.executable, "-m", "services.cli", "publish", file, *where, "--rate", "0.5", "--left", left],
        cwd=ROOT,
        env={**os.environ, "KEELWATCH_DATA_DIR": str(tmp_path / "other")},
        stdout=subprocess.PIPE,
        text=True,
    )
    capture(keelwatch, embedded_broker, topic, tmp_path / "some", 2, idle=0.2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    lines = [line for line in file.read_text().splitlines() if line]
    sent, acknowledged, failed = map(int, re.findall(r"[0-9]+", said))
    assert len(left.read_text().splitlines()) == len(lines) - acknowledged
    assert keelwatch("publish", left, *where)[0] == 0
    there = capture(keelwatch, embedded_broker, topic, tmp_path / "all", len(lines))
    assert set(re.findall(r'"id": ?"(e\d+)"', "\n".join(there))) == {f"e{i}" for i in range(60)}
    on_the_way = sent - acknowledged - failed  # when it was stopped: the broker may have it, and did not say so
    assert len(lines) <= len(there) <= len(lines) + on_the_way


def test_a_rate_is_kept(keelwatch, cluster: Cluster, file: Path) -> None:
    where = ("--bootstrap", cluster.bootstrap, "--topic", cluster.topic())
    begun = time.monotonic()
    code, said, _ = keelwatch("publish", file, *where, "--rate", 200)
    assert (code, said) == (0, "sent 95, acknowledged 95, failed 0\n")
    assert time.monotonic() - begun > 94 / 200 - 0.01


def test_mistakes_are_one_clear_line(keelwatch, kafka: Cluster, file: Path) -> None:
    where = ("--bootstrap", kafka.bootstrap)
    for code, words in (
        (2, ("publish", file, *where, "--topic", "no-such-topic")),
        (2, ("publish", file)),
        (2, ("publish", file, "--bootstrap", "nowhere")),
        (2, ("publish", file.with_name("absent"), *where)),
        (2, ("publish", file, *where, "--rate", 0)),
        (2, ("capture", *where, "--topic", "no-such-topic", "--out", "-")),
        (1, ("publish", file, "--bootstrap", "127.0.0.1:1")),
    ):
        got, said, error = keelwatch(*words)
        assert (got, said, len(error.splitlines())) == (code, "", 1), error
