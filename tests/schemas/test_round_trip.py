"""Every record survives encode and decode, whatever the schema allows in it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import canonical, hash16, iso
from schemas.decision import Decision
from schemas.exchange import Exchange
from tests.support.contract import JSON, RECORDS, random_records


@pytest.mark.parametrize("name", list(RECORDS))
@settings(max_examples=50)
@given(data=st.data())
def test_record_survives(name: str, data: st.DataObject) -> None:
    record = data.draw(random_records(RECORDS[name]))
    encoded = record.encode()
    again = RECORDS[name].decode(encoded)
    assert again == record
    assert again.encode() == encoded
    assert json.loads(encoded)["schema_version"] == RECORDS[name].model_fields["schema_version"].default


@settings(max_examples=50)
@given(free=st.dictionaries(st.text(), JSON, max_size=4))
def test_what_publishers_add_survives(free: dict[str, Any]) -> None:
    fields = {"route": "a", "model": {"requested": "m"}, "prompt": "p", "response": "r", "extra": free}
    record = Exchange.decode(json.dumps(fields).encode())
    assert Exchange.decode(record.encode()) == record
    assert record.extra == free


@given(value=JSON)
def test_canonical_json_is_json_and_does_not_know_the_order_of_keys(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(_reversed(value)) == canonical(value)


def test_canonical_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        hash16([math.nan])


@given(decision=random_records(Decision))
def test_the_same_decision_delivered_twice_is_one(decision: Decision) -> None:
    assert Decision.decode(decision.encode()).id == decision.id
    assert decision.model_copy(update={"reason": decision.reason + "."}).id != decision.id
    assert iso(decision.ts).endswith("Z")


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value
