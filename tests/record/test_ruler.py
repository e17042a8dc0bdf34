"""A change of our own scorers is seen on the anchors, told apart, and nothing is told where nothing moved."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from schemas.exchange import RULER_ROUTE
from schemas.reading import Reading
from schemas.spec import Spec
from services.alert.core import step as alert_step
from services.alert.state import AlertState
from services.cli import app
from services.incident.fold import fold
from services.monitor import Monitor, RoutePolicy
from services.ruler.anchors import FILE, load_anchors
from services.ruler.core import (
    AnchorMeasurement,
    agreements,
    measure_anchors,
    pack_measurement,
    readings_of,
    signal_moves,
    unpack_measurement,
    vector_moves,
)
from services.score.core import ExchangeScorer
from services.settings import Settings
from services.signals import SIGNALS
from services.signals.protocol import Measurement, ScoredText
from services.signals.refusal import Refusal
from services.store import ruler as stored_rulers
from services.store.engine import Database
from services.wiring import ruler

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = RoutePolicy(embed_share=1.0, keep_text="none")


class HashedEmbedder:
    """A real embedder in miniature: vectors of the words of a text, from nothing but the text."""

    def __init__(self, engine: str = "hashed-1", precision: str = "f32", salt: int = 0) -> None:
        self.engine, self.precision, self._salt = engine, precision, salt

    def embed(self, texts: Any) -> Any:
        out = np.zeros((len(texts), 384))
        for row, text in enumerate(texts):
            for word in text.split()[:64] or [""]:
                out[row, (sum(map(ord, word)) * 31 + self._salt) % 384] += 1
        return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float16)


@dataclass(frozen=True)
class BluntRefusal:
    """The built-in signal with a changed rule weight: what is long cannot be a refusal."""

    spec: ClassVar[Spec] = Refusal.spec
    version: str = "blunt"

    def measure(self, text: ScoredText) -> Measurement:
        found = Refusal().measure(text)
        return replace(found, value=False) if found.value is True and len(text.response) > 60 else found


@dataclass(frozen=True)
class SureRefusal:
    """Another calibration: every answer as before, with another probability."""

    spec: ClassVar[Spec] = Refusal.spec
    version: str = "sure"

    def measure(self, text: ScoredText) -> Measurement:
        found = Refusal().measure(text)
        return found if found.probability is None else replace(found, probability=0.5 + found.probability / 2)


def scorer(refusal: Any = None, embedder: Any = None) -> ExchangeScorer:
    signals = tuple(refusal if refusal and one.spec.name == "refusal" else one for one in SIGNALS)
    return ExchangeScorer(embedder or HashedEmbedder(), lambda _route: OWN, signals)


def measured(refusal: Any = None, embedder: Any = None) -> AnchorMeasurement:
    made = scorer(refusal, embedder)
    return measure_anchors(load_anchors(), made.version, made.score)


@pytest.fixture(scope="module")
def before() -> AnchorMeasurement:
    return measured()


def test_there_are_300_of_many_kinds_and_languages() -> None:
    anchors = load_anchors().anchors
    assert len({one.received.exchange.id for one in anchors}) == len(anchors) == 300
    assert FILE.stat().st_size <= 300_000
    labels = [one.labels for one in anchors]
    assert len({one["language"] for one in labels if "language" in one}) >= 20
    for name in ("refusal", "evasion", "over_refusal", "harmful_compliance", "pii_leak", "secret_leak", "toxicity"):
        assert sum(1 for one in labels if one.get(name) is True) >= 5, name
        assert sum(1 for one in labels if one.get(name) is False) >= 5, name


def test_no_form_of_a_key_stands_in_the_file_in_one_piece() -> None:
    from services.score.scored_text import scored_text  # noqa: PLC0415
    from services.signals.secret_leak import SecretLeak  # noqa: PLC0415

    raw = FILE.read_text(encoding="utf-8")
    exchange = load_anchors().anchors[0].received.exchange
    found = SecretLeak().measure(scored_text(exchange.model_copy(update={"response": raw, "prompt": "show"})))
    assert found.value is False
    assert "<<" in raw
    filled = [one.received.exchange.model_dump_json() for one in load_anchors().anchors]
    assert not any("<<" in one for one in filled)


def test_an_unchanged_scorer_moves_nothing_and_gives_the_same_bytes(before: AnchorMeasurement) -> None:
    again = measured()
    assert pack_measurement(again) == pack_measurement(before)
    assert readings_of(before, again, NOW) == ()
    kept = unpack_measurement(pack_measurement(before))
    assert kept.id == before.id
    assert readings_of(kept, again, NOW) == ()
    assert [turn.least for turn in vector_moves(kept, again)] == pytest.approx([1.0, 1.0])


def test_a_changed_rule_is_seen_and_which_way_it_moves(before: AnchorMeasurement) -> None:
    now = measured(BluntRefusal())
    (told,) = readings_of(before, now, NOW)
    assert (told.route, told.detector, told.signal, told.status) == (
        RULER_ROUTE,
        "instrument_shift",
        "refusal",
        "firing",
    )
    assert (told.slice, told.direction) == ("version=blunt", "down")
    assert told.effect is not None
    assert told.effect.after is not None
    assert told.effect.before is not None
    assert told.effect.after < told.effect.before
    (move,) = [one for one in signal_moves(before, now) if one.name == "refusal"]
    assert (move.up, move.flips, move.p < 1e-3) == (0, move.down, True)
    assert move.down > 20


def test_another_calibration_flips_nothing_and_is_told_quietly(before: AnchorMeasurement) -> None:
    (told,) = readings_of(before, measured(SureRefusal()), NOW)
    assert (told.signal, told.status) == ("refusal", "quiet")
    assert "no anchor answered otherwise" in (told.reason or "")


def test_another_version_that_says_the_same_is_told_quietly(before: AnchorMeasurement) -> None:
    same = replace(
        before, scorer=before.scorer.model_copy(update={"signals": {**before.scorer.signals, "refusal": "9"}})
    )
    (told,) = readings_of(before, same, NOW)
    assert (told.status, told.reason) == ("quiet", "refusal: version 9 says the same of all 300 anchors")


def test_another_embedder_is_seen_on_the_vectors(before: AnchorMeasurement) -> None:
    now = measured(embedder=HashedEmbedder("hashed-2", salt=7))
    told = {one.signal: one for one in readings_of(before, now, NOW)}
    assert {name: one.status for name, one in told.items()} == {"prompt_vec": "firing", "response_vec": "firing"}
    assert "hashed-2" in (told["response_vec"].reason or "")
    renamed = measured(embedder=HashedEmbedder("hashed-1b"))
    assert {one.status for one in readings_of(before, renamed, NOW)} == {"quiet"}


def test_signals_that_one_of_the_two_does_not_have_are_not_compared(before: AnchorMeasurement) -> None:
    less = replace(before, values={k: v for k, v in before.values.items() if k != "pii_leak"})
    assert readings_of(less, before, NOW) == ()
    assert readings_of(before, less, NOW) == ()


def test_it_is_an_incident_whose_verdict_is_ruler(before: AnchorMeasurement) -> None:
    told = readings_of(before, measured(BluntRefusal()), NOW)
    _, alerts = alert_step(AlertState.start(RULER_ROUTE), told)
    (incident,) = fold(RULER_ROUTE, alerts, NOW).incidents
    assert (incident.verdict, incident.severity) == ("ruler", "info")


def test_labels_and_answers_are_counted(before: AnchorMeasurement) -> None:
    found = {one.name: one for one in agreements(load_anchors(), before)}
    for name in ("refusal", "pii_leak", "secret_leak"):
        one = found[name]
        assert one.n - len(one.missed) == one.right
        assert one.right >= 0.8 * one.n, one
        assert one.n + one.unscored == sum(1 for anchor in load_anchors().anchors if name in anchor.labels)


def companion_round(database: Database, made: ExchangeScorer, monkeypatch: pytest.MonkeyPatch) -> list[Reading]:
    monkeypatch.setattr(ruler, "anchor_scorer", lambda *_: made)
    told: list[Reading] = []

    async def publish(records: Any) -> None:
        told.extend(records)

    async def main() -> None:
        beside = asyncio.ensure_future(ruler.ruler_companion(Settings(), Monitor(), database, after=0.0)(publish))
        for _ in range(600):
            await asyncio.sleep(0.05)
            noted = database.query(lambda connection: stored_rulers.last(connection, load_anchors().version))
            if noted is not None and noted.scorer == AnchorMeasurement(made.version, {}, {}, {}).id:
                break
        await asyncio.sleep(0.1)
        beside.cancel()

    asyncio.run(main())
    return told


def test_a_worker_measures_when_its_scorer_is_another(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert companion_round(database, scorer(), monkeypatch) == []  # nothing to hold it against
    assert companion_round(database, scorer(), monkeypatch) == []
    first = companion_round(database, scorer(BluntRefusal()), monkeypatch)
    assert [(one.signal, one.status, one.direction) for one in first] == [("refusal", "firing", "down")]
    back = companion_round(database, scorer(), monkeypatch)
    assert [(one.signal, one.status, one.direction) for one in back] == [("refusal", "firing", "up")]


def test_only_the_last_measurements_are_kept(database: Database) -> None:
    for n in range(12):
        made = stored_rulers.StoredMeasurement(f"s{n:02d}", NOW + timedelta(hours=n), b"x")
        database.transact(lambda connection, made=made: stored_rulers.put(connection, "v", made))
    found = [database.query(lambda c, n=n: stored_rulers.of_scorer(c, "v", f"s{n:02d}")) for n in range(12)]
    assert [one is not None for one in found] == [False] * 4 + [True] * 8


def test_the_command_says_what_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: AnchorMeasurement
) -> None:
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(ruler, "anchor_scorer", lambda *_: scorer(BluntRefusal()))
    alone = CliRunner().invoke(app.app, ["ruler", "check"])
    assert alone.exit_code == 0, alone.output
    assert "no measurement is stored" in alone.output
    from services.store.engine import open_database  # noqa: PLC0415

    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    database = open_database(url)
    ruler.note_ruler(database, before, NOW)
    database.close()
    moved = CliRunner().invoke(app.app, ["ruler", "check", "--database", url, "--json", str(tmp_path / "out.json")])
    assert moved.exit_code == 1, moved.output
    assert "held against the measurement of scorer" in moved.output
    first = (tmp_path / "out.json").read_bytes()
    CliRunner().invoke(app.app, ["ruler", "check", "--database", url, "--json", str(tmp_path / "out.json")])
    assert (tmp_path / "out.json").read_bytes() == first
