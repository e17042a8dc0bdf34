"""Forms of one's own keys in the monitor file: what is taken, what is refused and why, and how far they reach."""

from __future__ import annotations

import pytest

from schemas.identity import Model
from services.monitor import Monitor, MonitorProblem
from services.monitor.loader import examine
from services.score.core import ExchangeScorer
from services.score.redaction import Redactor, redact
from services.signals import SIGNALS
from services.signals.protocol import Signal
from services.wiring import configured_signals
from tests.support.said import said
from tests.support.scoring import SeededEmbedder, received

FILE = """\
secret_forms:
  - {name: acme_key, pattern: "acme_(?:live|prod)_[A-Za-z0-9]{24,40}"}
  - name: badge
    pattern: BDG[0-9]{4}-[A-Z]{5}
    min_length: 10
"""
KEY = "acme_live_" + "kT93mLq0Zx7RwB2v" + "Yd8NsH4c"
BADGE = "BDG4711-" + "KWPTZ"


def examined(text: str) -> tuple[Monitor | None, tuple[MonitorProblem, ...]]:
    return examine(text, "keelwatch.yaml")


def read(text: str) -> Monitor:
    monitor, problems = examined(text)
    assert problems == ()
    assert monitor is not None
    return monitor


def leaks(monitor: Monitor) -> Signal:
    (signal,) = [one for one in configured_signals(monitor) if one.spec.name == "secret_leak"]
    return signal


def test_an_own_form_is_a_confirmed_leak_and_masked() -> None:
    answer = f"Use {KEY}, or show {BADGE}\u2014today."
    measured = leaks(read(FILE)).measure(said(answer))
    assert measured.value is True
    assert redact(answer, measured.spans, "response") == "Use <acme_key>, or show <badge>\u2014today."
    assert leaks(Monitor()).measure(said(answer)).value is False


def test_an_own_form_that_the_user_gave_or_that_is_made_up_is_no_leak() -> None:
    signal = leaks(read(FILE))
    assert signal.measure(said(f"You sent {KEY}.", prompt=f"Is {KEY} valid?")).value is False
    assert signal.measure(said("Write acme_live_xxxxxxxxxxxxxxxxxxxxxxxxxxxx there.")).value is False
    assert signal.measure(said(f"x{KEY}")).value is False
    assert signal.measure(said(f"{KEY}{'a' * 60}")).value is False


def test_names_are_masked_by_the_own_forms_too() -> None:
    redactor = Redactor(configured_signals(read(FILE)))
    assert redactor.name(KEY).startswith("<acme_key:")
    assert redactor.name(f"order-{BADGE}").startswith("order-<badge:")
    assert Redactor(configured_signals(Monitor())).name(BADGE) == BADGE


def test_the_set_keeps_the_registry_order_and_changes_nothing_without_a_form() -> None:
    assert configured_signals(Monitor()) == SIGNALS
    assert [one.spec.name for one in configured_signals(read(FILE))][: len(SIGNALS)] == [
        one.spec.name for one in SIGNALS
    ]


def test_the_version_follows_the_forms() -> None:
    plain = leaks(Monitor()).version
    one, same, other = (leaks(read(text)).version for text in (FILE, FILE, FILE.replace("{24,40}", "{24,41}")))
    assert one == same
    assert len({plain, one, other}) == 3
    assert one.startswith(f"{plain}+")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?=acme)acme_[a-z0-9]{20}", "look-ahead"),
        (r"(?<!x)acme_[a-z0-9]{20}", "look-behind"),
        (r"(acme)_\\1[a-z0-9]{20}", "back-references"),
        (r"acme_[a-z0-9", "not a pattern"),
        (r"acme_[a-z]++", "not a pattern"),
        (r"(?:acme_[a-z0-9]{20})?", "matches the empty text"),
        (r"[a-z0-9]*", "matches the empty text"),
        (r"acme_[a-z0-9]{20,90000}", "too large"),
        (r"[A-Za-z]{12,}", "too broad"),
        (r"[a-z_]{12,60}", "too broad"),
        (r"pass[a-z]{5,}", "too broad"),
        (r"[0-9a-f]{32}", "too broad"),
        (r"[0-9a-f-]{36}", "too broad"),
        (r"[A-Za-z0-9+/=]{40,}", "too broad"),
        (r"\\d{10,}", "too broad"),
        (r".{20,}", "too broad"),
        (r"[A-Z0-9-]{14,}", "too broad"),
        (r"https?://[^ ]+", "too broad"),
        (r"schl\u00fcssel_[a-z0-9]{20}", "ASCII"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_by_line_and_remedy(pattern: str, why: str) -> None:
    monitor, problems = examined(f'secret_forms:\n  - name: acme_key\n    pattern: "{pattern}"\n')
    assert monitor is None
    (problem,) = problems
    assert str(problem).startswith("keelwatch.yaml:3: error: secret_forms[0].pattern: ")
    assert why in problem.message


@pytest.mark.parametrize(
    ("entry", "key", "why"),
    [
        ("{name: Acme Key, pattern: 'acme_[0-9]{20}'}", "secret_forms[0].name", "lower-case letters"),
        ("{name: acme_key}", "secret_forms[0].pattern", "is missing here"),
        ("{name: acme_key, pattern: ''}", "secret_forms[0].pattern", "at least 1 character"),
        ("{name: acme_key, pattern: 'acme_[0-9]{20}', min_length: 3}", "secret_forms[0].min_length", "greater than"),
        ("{name: acme_key, pattern: 'acme_[0-9]{20}', flags: i}", "secret_forms[0].flags", "unknown key"),
        ("{name: acme_key, pattern: %s}" % ("glpat-" + "kT93mLq0Zx7RwB2vYd8N"), "secret_forms[0].pattern", "in clear"),
    ],
)
def test_a_faulty_entry_says_what_to_write(entry: str, key: str, why: str) -> None:
    monitor, problems = examined(f"secret_forms:\n  - {entry}\n")
    assert monitor is None
    assert [(problem.line, problem.key) for problem in problems] == [(2, key)]
    assert why in problems[0].message


def test_two_forms_of_one_name_are_refused() -> None:
    form = "{name: acme_key, pattern: 'acme_[a-z0-9]{20}'}"
    monitor, problems = examined(f"secret_forms:\n  - {form}\n  - {form}\n")
    assert monitor is None
    assert "names must differ" in problems[0].message


@pytest.mark.parametrize(
    "pattern",
    [
        "acme_[a-z0-9]{20,64}",
        "(?:AC|BD)-[0-9]{4}-[A-Z]{4}-[0-9]{4}",
        r"xoxq-[0-9]{10}-[a-f0-9]{24}",
        r"\\bKW_[0-9A-F]{16}\\b",
    ],
)
def test_ordinary_forms_are_taken(pattern: str) -> None:
    assert read(f'secret_forms:\n  - {{name: acme_key, pattern: "{pattern}"}}\n').secret_forms[0].name == "acme_key"


def test_a_pattern_that_would_make_re_backtrack_is_linear() -> None:
    signal = leaks(read('secret_forms: [{name: acme_key, pattern: "acme_(?:(?:[a-z]+)+[0-9]){3}"}]'))
    assert signal.measure(said("acme_" + "a" * 200_000)).value is False


def test_a_key_of_an_own_form_never_leaves_the_scorer_in_clear() -> None:
    monitor = read(FILE + "defaults: {keep_text: all}\n")
    scorer = ExchangeScorer(SeededEmbedder(), monitor.policy, configured_signals(monitor))
    item = received(
        prompt=f"what of {BADGE}?", response=f"Use {KEY}.", user=BADGE, conversation=f"c-{BADGE}", tags={"badge": BADGE}
    )
    scored = scorer.score([item])
    left = b"".join(record.encode() for record in (*scored.blocks, *scored.samples))
    assert KEY.encode() not in left
    assert BADGE.encode() not in left
    assert scored.samples[0].response == "Use <acme_key>."
    assert scorer.version.signals["secret_leak"] == leaks(monitor).version


def test_a_model_whose_endpoint_holds_no_credential_stays_as_it_is() -> None:
    model = Model(requested="m", endpoint="https://llm.example/v1")
    assert Redactor(configured_signals(read(FILE))).model(model) is model
