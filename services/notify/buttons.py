"""The buttons of a message, and what a press becomes: verified, then decisions. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from schemas.base import EARLIEST, LATEST, hash16, moment
from schemas.decision import LASTS, Decision, DecisionKind
from schemas.incident import Incident
from services.notify.block_kit import cleaned
from services.wording.decisions import DECISIONS, silence_for
from services.wording.notifications import IS_RESOLVED, NOT_KNOWN, moved_on, pressed_by

PREFIX: Final = "keelwatch."
_MOVES: Final = frozenset({"opened", "acknowledged", "snoozed", "woken", "resolved", "reopened", "escalated"})


@dataclass(frozen=True, slots=True)
class Button:
    """One button; `confirm` is what a person is asked before it counts, `done` what is answered after it did."""

    kind: DecisionKind
    label: str
    done: str
    confirm: str | None = None
    style: str | None = None

    @property
    def action(self) -> str:
        """The `action_id` by which a press names its button."""
        return f"{PREFIX}{self.kind}"


def _button(kind: DecisionKind, label: str | None = None, style: str | None = None) -> Button:
    told = DECISIONS[kind]
    return Button(kind, label or told.label, told.thanks, None if label or style else told.follows, style)


BUTTONS: Final = (
    _button("acknowledge", style="primary"),
    _button("accept_baseline"),
    _button("false_alarm"),
    _button("silence", silence_for(24)),
    _button("end_silence"),
    _button("resolve"),
)


@dataclass(frozen=True, slots=True)
class ButtonValue:
    """What a button carries: of which incident it is, in which state it was shown."""

    incident: str
    version: str
    nonce: str


def version_of(incident: Incident) -> str:
    """The incident's state, and how often it has moved: a press on an older version comes too late.

    An entry that moves nothing, such as an evaluation, makes no press stale.
    """
    return f"{incident.state}-{sum(entry.kind in _MOVES for entry in incident.timeline)}"


def value_of(incident: Incident) -> str:
    """The value of the incident's buttons as it stands."""
    version = version_of(incident)
    return f"{incident.id}:{version}:{_nonce(incident.id, version)}"


def parse_value(value: str) -> ButtonValue | None:
    """What a button's value says; None if we have not made it."""
    incident, _, rest = value.partition(":")
    version, _, nonce = rest.partition(":")
    return ButtonValue(incident, version, nonce) if nonce == _nonce(incident, version) else None


def _nonce(incident: str, version: str) -> str:
    """One a version of an incident: two presses with the same one are one decision."""
    return hash16(["press", incident, version])


WINDOW: Final = timedelta(seconds=300)
SILENT_FOR: Final = LASTS
_REMEMBERED: Final = 10_000
_TS: Final = re.compile(r"\d{1,12}", re.ASCII)
_ACTION_TS: Final = re.compile(r"\d{1,11}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Press:
    """One press of one of our buttons.

    Attributes:
        user: id and name of who pressed. ts: when, as Slack says it. url: where the person can be answered.
    """

    button: Button
    value: ButtonValue
    user: str
    name: str
    ts: datetime
    url: str


def is_signed(secret: str, body: bytes, timestamp: str, signature: str, now: datetime) -> bool:
    """Whether Slack signed the raw body within the last five minutes; junk is simply not."""
    if not secret or not _TS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        return False
    said = signature.encode("utf-8", "replace")
    base = b"v0:" + timestamp.encode() + b":" + body
    return hmac.compare_digest(b"v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest().encode(), said)


def press_of(body: bytes) -> Press | None:
    """The press of one of our buttons that a form from Slack holds; None for whatever else it is.

    Raises:
        ValueError: if the body is no form of Slack's.
    """
    payload = _payload(body)
    actions = payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(actions, list) or len(actions) != 1:
        return None
    action = _mapping(actions[0])
    button = next((one for one in BUTTONS if one.action == action.get("action_id")), None)
    value = parse_value(_text(action, "value"))
    if button is None or value is None:
        return None
    user = _mapping(payload.get("user"))
    name = _text(user, "username") or _text(user, "name") or _text(user, "id")
    url = payload.get("response_url")
    return Press(button, value, _text(user, "id"), name, _moment(action), url if isinstance(url, str) else "")


def decisions_of(press: Press, incident: Incident, actor: str) -> tuple[Decision, ...]:
    """What the press decides of the incident. Made of the press alone: delivered twice, it is one decision.

    A silence is of each of the incident's alerts, for 24 h; the route's other alerts are still told. Its end is that
    of every silence of the route.
    """
    kind = press.button.kind
    fingerprints = incident.fingerprints if kind == "silence" else (None,)
    return tuple(
        Decision(
            kind=kind,
            route=incident.route,
            incident=incident.id,
            fingerprint=fingerprint,
            actor=actor,
            reason=pressed_by(cleaned(press.name, 80)),
            ts=press.ts,
            expires=press.ts + SILENT_FOR if kind == "silence" else None,
        )
        for fingerprint in fingerprints
    )


def too_late(press: Press, incident: Incident | None) -> str | None:
    """Why the press decides nothing, in words for the person; None if it does."""
    if incident is None:
        return NOT_KNOWN
    if incident.state == "resolved":
        return IS_RESOLVED
    if version_of(incident) != press.value.version:
        return moved_on(incident.state)
    return None


class RecentKeys:
    """Remembers keys for ten minutes, as long as a request can be valid: what comes again within them is known."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, datetime] = OrderedDict()

    def again(self, key: str, now: datetime) -> bool:
        """Whether the key was here before; it is from now on."""
        while self._at and (next(iter(self._at.values())) < now - 2 * WINDOW or len(self._at) >= _REMEMBERED):
            self._at.popitem(last=False)
        if key in self._at:
            return True
        self._at[key] = now
        return False

    def forget(self, key: str) -> None:
        """As if it had not been here."""
        self._at.pop(key, None)


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        form = parse_qs(body.decode("utf-8"), strict_parsing=True, max_num_fields=20)
        payload = json.loads(form["payload"][0])
    except (UnicodeDecodeError, KeyError, RecursionError) as error:
        raise ValueError("no form with a payload") from error
    if not isinstance(payload, dict):
        raise ValueError("the payload is no object")
    return payload


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _moment(action: Mapping[str, Any]) -> datetime:
    ts = _text(action, "action_ts")
    if not _ACTION_TS.fullmatch(ts):
        raise ValueError("action_ts is no time")
    when = moment(float(ts)) if float(ts) < LATEST.timestamp() else LATEST
    if not EARLIEST <= when < LATEST:
        raise ValueError("action_ts outside [2000, 2100)")
    return when
