"""What the doctor makes of what it sees on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from sqlalchemy import create_engine, text

from services.doctor import core, local
from services.errors import InputError
from services.store.engine import parse_url
from tests.support.brokers import unused_ports

GIB = 1024 * core.MIB


def outcome(finding: core.DoctorFinding) -> tuple[str, str]:
    assert bool(finding.remedy) == (finding.state in {"wrong", "warning"})
    return finding.state, finding.cause


@pytest.mark.parametrize(
    ("alert", "without", "with_ours"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "own_missing", "own_missing"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "own_missing", "own_refused"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "tls_alert", "own_refused"),
        ("TLSV1_ALERT_UNKNOWN_CA", "tls_alert", "own_refused"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "own_missing", "tls_alert"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tls_alert", "tls_alert"),
        ("TLSV1_UNRECOGNIZED_NAME", "tls_alert", "tls_alert"),
    ],
)
def test_only_an_alert_about_a_certificate_that_we_show_blames_it(alert: str, without: str, with_ours: str) -> None:
    found = [
        core.broker("SSL", core.Contact("h:1", "talk", "SSLError", alert=alert, shows_certificate=shown))
        for shown in (False, True)
    ]
    assert [one.cause for one in found] == [without, with_ours]
    assert all((one.cause == "tls_alert") == (alert in one.message) for one in found)
    ended = core.Contact("h:1", "talk", "SSLError", alert=alert, shows_certificate=True, certificate_ended=True)
    assert core.broker("SSL", ended).cause == with_ours.replace("own_refused", "own_ended")


@pytest.mark.parametrize(
    ("free", "writable", "said"),
    [
        (5 * GIB, True, ("ok", "ok")),
        (500 * core.MIB, True, ("warning", "full")),
        (core.MIB, True, ("wrong", "full")),
        (5 * GIB, False, ("wrong", "not_writable")),
        (None, True, ("skipped", "unknown")),
    ],
)
def test_disk(free: int | None, writable: bool, said: tuple[str, str]) -> None:
    assert outcome(core.disk("/data", free, writable)) == said


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    assert outcome(local.disk(tmp_path / "a" / "b"))[0] in {"ok", "warning"}
    file = tmp_path / "file"
    file.touch()
    assert outcome(local.disk(file / "data")) == ("wrong", "not_writable")


@pytest.mark.parametrize(
    ("ahead", "uncertain", "state"),
    [(0.3, 0.1, "ok"), (-5, 0.1, "warning"), (5, 4, "ok"), (-3600, 1, "wrong"), (61.5, 1, "wrong")],
)
def test_clock(ahead: float, uncertain: float, state: str) -> None:
    found = core.clock("the broker's", ahead, uncertain)
    assert outcome(found)[0] == state
    assert ("behind" in found.message) == (state != "ok" and ahead < 0)


def test_several_workers_on_sqlite_are_wrong_and_on_postgresql_are_not() -> None:
    crowd = {"keelwatch.detect": 2, "keelwatch.record": 1}
    found = core.workers("sqlite:///x.db", crowd)
    assert outcome(found) == ("wrong", "sqlite")
    assert "keelwatch.detect" in found.message
    assert outcome(core.workers("postgresql://h/n", crowd)) == ("ok", "ok")
    assert outcome(core.workers("sqlite:///x.db", {"keelwatch.detect": 1})) == ("ok", "ok")
    assert outcome(core.workers("sqlite:///x.db", {})) == ("ok", "ok")


def test_topics() -> None:
    good: tuple[str, ...] = ()
    assert [outcome(one) for one in core.topics({"a": good, "b": good})] == [("ok", "ok")]
    found = core.topics({"a": ("does not exist",), "b": ("retention.ms: 1 instead of 2",), "c": good})
    assert [outcome(one) for one in found] == [("wrong", "missing"), ("wrong", "deviating")]
    assert outcome(core.topics({"a": ("partitions: 4 instead of 6",)})[0]) == ("warning", "deviating")


def test_whose_time_records_bear_is_said_and_is_no_fault() -> None:
    assert outcome(core.times({"keelwatch.exchanges": "LogAppendTime", "keelwatch.scores": ""})) == ("ok", "ok")
    theirs = core.times({"keelwatch.exchanges": "CreateTime", "keelwatch.scores": "LogAppendTime"})
    assert outcome(theirs) == ("ok", "create_time")
    assert "have publishers send ts" in theirs.message
    assert "have publishers" not in core.times({"keelwatch.scores": "CreateTime"}).message


def test_codecs() -> None:
    assert outcome(core.codecs([])) == ("ok", "ok")
    found = core.codecs(["snappy", "lz4"])
    assert outcome(found) == ("wrong", "missing")
    assert "snappy, lz4" in found.message


def test_only_a_refusal_is_about_rights() -> None:
    assert outcome(core.unanswered("topics", TopicAuthorizationFailedError())) == ("wrong", "refused")
    found = core.unanswered("workers", KafkaConnectionError())
    assert (outcome(found), "rights" in found.remedy) == (("wrong", "unanswered"), False)


def test_a_database_that_is_new_migrated_old_newer_or_none(new_url: Callable[[], str], tmp_path: Path) -> None:
    assert outcome(local.database(f"sqlite:///{tmp_path / 'new.db'}")[0]) == ("ok", "ok")
    url = new_url()
    assert outcome(local.database(url)[0]) == ("ok", "ok")
    for revision, said in (("9999_later", ("wrong", "newer")), (None, ("warning", "not_migrated"))):
        engine = create_engine(parse_url(url))
        with engine.begin() as connection:
            connection.execute(text("delete from alembic_version"))
            if revision:
                connection.execute(text("insert into alembic_version values (:it)"), {"it": revision})
        engine.dispose()
        assert outcome(local.database(url)[0]) == said
    (tmp_path / "notes.txt").write_text("these are no tables, whatever else they are" * 100)
    assert outcome(local.database(f"sqlite:///{tmp_path / 'notes.txt'}")[0]) == ("wrong", "unusable")
    assert outcome(local.database("mysql://h/n")[0]) == ("wrong", "url")
    assert not (tmp_path / "new.db").exists()


def test_a_server_that_is_away_or_unknown() -> None:
    (port,) = unused_ports(1)
    found = local.database(f"postgresql://keelwatch:hidden@127.0.0.1:{port}/keelwatch")
    assert outcome(found[0]) == ("wrong", "refused")
    assert "hidden" not in found[0].message
    assert outcome(local.database("postgresql://u@no-such-host.invalid/n")[0]) == ("wrong", "unresolved")


def test_a_real_server(postgres: object) -> None:
    url = postgres.fresh()  # type: ignore[attr-defined]
    found = local.database(url)
    assert [one.check for one in found] == ["database", "clock"]
    assert outcome(found[1]) == ("ok", "ok")
    missing = parse_url(url).set(database="no_such_database").render_as_string(hide_password=False)
    assert outcome(local.database(missing)[0]) == ("wrong", "missing")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (FileNotFoundError(2, "No such file", "model.safetensors"), "model_missing"),
        (ModuleNotFoundError("No module", name="openvino"), "model_missing"),
        (InputError("KEELWATCH_EMBEDDER=x: must be one of openvino"), "setting"),
        (RuntimeError("illegal instruction"), "start"),
    ],
)
def test_embedder(error: Exception, cause: str) -> None:
    def start() -> None:
        raise error

    assert outcome(local.embedder(start)) == ("wrong", cause)
    assert outcome(local.embedder(lambda: None)) == ("ok", "ok")


def test_monitor_file(tmp_path: Path) -> None:
    assert outcome(local.monitor_file(None)) == ("ok", "ok")
    assert outcome(local.monitor_file(tmp_path / "none.yaml")) == ("wrong", "file")
    path = tmp_path / "keelwatch.yaml"
    path.write_text("defaults: {baseline: {size: 250, min_size: 100}}\n")
    assert outcome(local.monitor_file(path))[0] in {"ok", "warning"}
    path.write_text("defaultz: {}\n")
    assert outcome(local.monitor_file(path)) == ("wrong", "file")
