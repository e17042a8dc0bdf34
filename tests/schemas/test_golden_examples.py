"""The golden examples are what other people's programs are written against: each survives decode and encode."""

from __future__ import annotations

import hashlib
import json
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

import schemas
from schemas.alert import Alert, fingerprint_of
from schemas.base import Record
from schemas.change import Change, change_id
from schemas.decision import DecisionKind
from schemas.evaluation import EVALUATION, Comparison, Run
from schemas.exchange import Exchange
from schemas.identity import identity_of
from schemas.incident import Incident, incident_id
from schemas.reading import Reading, reading_id
from schemas.sample import MOST_SAMPLES, Sample, SampleBlock
from schemas.score import ScoreBlock
from tests.support.contract import EXAMPLES, RECORDS, examples_of

CASES = [pytest.param(name, path, id=f"{name}/{path.stem}") for name in RECORDS for path in examples_of(name)]


def _read(name: str, stem: str) -> Record:
    return RECORDS[name].decode((EXAMPLES / name / "1" / f"{stem}.json").read_bytes())


def test_every_record_has_a_name_and_examples() -> None:
    for module in pkgutil.iter_modules(schemas.__path__):
        import_module(f"schemas.{module.name}")
    ours = {one for one in Record.__subclasses__() if one.__module__.startswith("schemas.")}
    assert ours == set(RECORDS.values())
    assert {path.name for path in EXAMPLES.iterdir()} == set(RECORDS)
    assert [name for name in RECORDS if not examples_of(name)] == []


@pytest.mark.parametrize(("name", "path"), CASES)
def test_example_is_the_same_json_value_after_decode_and_encode(name: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    record = RECORDS[name].decode(text.encode())
    sent = json.loads(record.model_dump_json(by_alias=True, exclude_unset=True))
    full = json.loads(record.encode())
    assert sent == json.loads(text)
    assert full == json.loads(text) or record.__class__ is Exchange  # a publisher may leave out what has a default
    assert RECORDS[name].decode(record.encode()) == record


def test_a_sample_of_the_first_version_is_still_read() -> None:
    """Topics and databases hold them for weeks after an update."""
    for path in sorted((EXAMPLES / "sample" / "1").glob("*.json")):
        old = json.loads(path.read_bytes())
        new = json.loads(Sample.decode(path.read_bytes()).encode())
        assert (new["schema_version"], new["why"], new["signals"]) == (2, "kept", old["why"])
        kept = old.keys() - {"schema_version", "why", "reason"}
        assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    with pytest.raises(ValidationError, match="schema_version"):
        Sample.decode(path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 3'))


def test_a_sample_that_travelled_alone_is_read_as_a_block_of_one() -> None:
    """Those of before an update lie on the topic for a week."""
    for path in sorted((EXAMPLES / "sample").glob("*/*.json")):
        alone = Sample.decode(path.read_bytes())
        assert SampleBlock.decode(path.read_bytes()) == SampleBlock(route=alone.route, samples=(alone,))


def test_a_block_holds_samples_of_its_own_route_and_no_more_than_128() -> None:
    block = SampleBlock.decode((EXAMPLES / "sample_block" / "1" / "single.json").read_bytes())
    with pytest.raises(ValidationError, match=r"samples\.0 is not of the route of the block"):
        SampleBlock(route="other/prod", samples=block.samples)
    for samples in ((), block.samples * (MOST_SAMPLES + 1)):
        with pytest.raises(ValidationError, match="samples"):
            SampleBlock.decode(block.model_copy(update={"samples": samples}).encode())
    with pytest.raises(ValidationError, match=r"samples\.0\.prompt"):
        SampleBlock.decode(block.encode().replace(b'"prompt"', b'"prmpt"'))


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_an_evaluation_is_told_apart_by_its_kind(kind: str) -> None:
    for path in examples_of(kind):
        assert type(EVALUATION.validate_json(path.read_bytes())) is {"run": Run, "comparison": Comparison}[kind]


def test_every_kind_of_change_and_decision_has_an_example() -> None:
    kinds = {json.loads(path.read_bytes())["kind"] for path in examples_of("change")}
    assert kinds == {"observed", "suspected", "pinned", "provider", "share"}
    assert {path.stem for path in examples_of("decision")} == set(DecisionKind.__args__)


def test_ids_of_the_examples_are_the_hashes_of_the_contract() -> None:
    reading = _read("reading", "firing")
    assert isinstance(reading, Reading)
    assert reading.id == reading_id(
        reading.route,
        reading.identity,
        reading.detector,
        reading.signal,
        reading.slice,
        reading.direction,
        reading.evidence.baseline,
        reading.evidence.n,
        reading.status,
    )
    alert = _read("alert", "firing")
    assert isinstance(alert, Alert)
    assert alert.fingerprint == fingerprint_of(alert.route, alert.family, alert.signal, None, None, alert.direction)
    incident = _read("incident", "open")
    assert isinstance(incident, Incident)
    assert incident.id == incident_id(incident.route, alert.fingerprint, alert.identities[0], alert.event_index)
    change = _read("change", "observed")
    assert isinstance(change, Change)
    assert change.id == change_id(change.route, change.kind, change.from_identity, change.to_identity, None)


def test_identities_and_fingerprints_are_hashes_of_this_exact_text() -> None:
    """Stored baselines and other people's programs hang on these digits."""
    model = (
        b'{"endpoint":null,"guardrails_sha256":null,"provider":null,"requested":"gpt-4","served":null,'
        b'"system_prompt_sha256":null,"tools_sha256":null}'
    )
    minimal = _read("exchange", "minimal")
    assert isinstance(minimal, Exchange)
    assert identity_of(minimal.model) == hashlib.sha256(model).hexdigest()[:16] == "faa81da88e634433"
    alert = b'["support-bot/prod","model_shift",null,null,null,null]'
    assert fingerprint_of("support-bot/prod", "model_shift", None) == hashlib.sha256(alert).hexdigest()[:16]


def test_described_identities_are_keyed_by_their_hash() -> None:
    block = _read("score", "block")
    assert isinstance(block, ScoreBlock)
    assert list(block.identities) == [identity_of(model) for model in block.identities.values()]
