"""Faults as a careless change would make them, one promise each: where, and what is planted for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlantedFault:
    """One careless change.

    Attributes:
        promise: what it breaks, in a few words.
        old, new: a piece of text that stands once in `path`, and what is planted in its place.
        first: tests that a person would run first; all others of a tier follow.
    """

    name: str
    promise: str
    path: str
    old: str
    new: str
    first: tuple[str, ...]


FAULTS = (
    PlantedFault(
        "acknowledge before handling",
        "what is accepted is scored, whatever dies",
        "services/stream/step_loop.py",
        "        await self._handle(mine)\n        self.taken",
        "        for event in mine:\n            event.ack()\n        await self._handle(mine)\n        self.taken",
        ("tests/stream/test_step.py",),
    ),
    PlantedFault(
        "fence off by one",
        "what is delivered again counts once",
        "services/intake/core.py",
        "if offset > state.fence.get(",
        "if offset >= state.fence.get(",
        ("tests/intake", "tests/detect"),
    ),
    PlantedFault(
        "silence ignored",
        "a silenced alert tells nobody",
        "services/notify/silencing.py",
        "if silence.covers(one.fingerprint)), None)",
        "if False), None)",
        ("tests/notify/test_silences.py",),
    ),
    PlantedFault(
        "wrong interval",
        "a rate's interval holds 95 times in 100",
        "detectors/stats/intervals.py",
        "NORMAL95: Final = 1.959964",
        "NORMAL95: Final = 1.644854",
        ("tests/detectors",),
    ),
    PlantedFault(
        "scope leak",
        "a key sees the routes of its globs alone",
        "services/store/tables.py",
        "return or_(*(_fits_glob(route, glob) for glob in wanted)) if wanted else ~true()",
        "return true()",
        ("tests/api/test_scope.py",),
    ),
    PlantedFault(
        "CSRF off",
        "no other site's page decides anything",
        "services/api/auth/csrf.py",
        "if not (_TOKEN.fullmatch(known) and secrets.compare_digest(known.encode(), sent.encode())):",
        "if not known:",
        ("tests/api/test_foreign.py", "tests/api/test_login.py"),
    ),
    PlantedFault(
        "missing redaction",
        "no personal value leaves the scoring process in clear",
        "services/score/redaction.py",
        "[span for span in spans if span.where == where]",
        '[span for span in spans if span.where == where and where == "prompt"]',
        ("tests/score",),
    ),
    PlantedFault(
        "a revoked key stays good",
        "a key counts until it is revoked",
        "services/store/api_keys.py",
        ".values(revoked=now)",
        ".values(used=now)",
        ("tests/api/test_denied.py", "tests/access"),
    ),
    PlantedFault(
        "a forged press is obeyed",
        "only Slack's signed presses decide",
        "services/notify/receivers/slack_actions.py",
        "if not is_signed(self.secret, body, timestamp, signature, now):",
        "if not signature:",
        ("tests/notify/test_actions.py",),
    ),
    PlantedFault(
        "a failed scorer says safe",
        "unscored is never the same as false",
        "services/score/core.py",
        "Measurement(None, reason=NO_RESPONSE)",
        "Measurement(False, reason=NO_RESPONSE)",
        ("tests/score", "tests/signals"),
    ),
    PlantedFault(
        "told before it is accepted",
        "a message counts as sent when the vendor has it",
        "services/store/deliveries.py",
        'values = {"state": SENT, "sent": now, "error": None, "next_attempt": None, **place}',
        'values = {"state": SENT, "sent": None, "error": None, "next_attempt": None, **place}',
        ("tests/notify",),
    ),
    PlantedFault(
        "a lost lease is not noticed",
        "a run is written by the one who holds its lease",
        "services/store/evaluation_queue.py",
        '"token": one.token + 1}',
        '"token": one.token}',
        ("tests/store/test_claims.py", "tests/evaluate"),
    ),
    PlantedFault(
        "the journal's chain skips the payload",
        "an edit of a single row is found",
        "services/store/hash_chain.py",
        "return hashlib.sha256(salt + payload.encode()).hexdigest()",
        "return hashlib.sha256(salt).hexdigest()",
        ("tests/store/test_journal.py",),
    ),
    PlantedFault(
        "a budget of ten pages",
        "a route pages about once a month when nothing changed",
        "services/detect/baseline.py",
        "_MONTH_DAYS: Final = 30",
        "_MONTH_DAYS: Final = 3",
        ("tests/detect",),
    ),
)
