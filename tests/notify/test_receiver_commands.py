"""`keelwatch receiver`: a test message goes the way of notifications, and what was answered is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services import wiring
from services.monitor import load
from services.notify.receivers.pagerduty import PagerDuty
from services.notify.receivers.webhook import Webhook
from services.settings import Settings
from tests.support.fake_programs import ROUTING_KEY, SECRET
from tests.support.programs import FakePrograms

FILE = """\
allow_hosts: [127.0.0.1]
routes:
  support-bot/*: {{notify: [hook, pager]}}
receivers:
  hook: {{webhook: {{url_env: KW_TEST_URL, secret_env: KW_TEST_SECRET, headers: {{X-Team: {{env: KW_TEST_TEAM}}}}}}}}
  ops: {{opsgenie: {{url: "{opsgenie}", api_key_env: KW_TEST_KEY}}}}
  chat: {{teams: {{url_env: KW_TEST_TEAMS}}}}
  pager: {{severity: error, pagerduty: {{url: "{pagerduty}", routing_key_env: KW_TEST_KEY}}}}
"""


@pytest.fixture
def config(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    given = {"URL": programs.url("webhook"), "SECRET": SECRET, "KEY": ROUTING_KEY, "TEAM": "safety"}
    given["TEAMS"] = programs.url("teams")
    for name, value in given.items():
        monkeypatch.setenv(f"KW_TEST_{name}", value)
    file = tmp_path / "k.yaml"
    file.write_text(
        FILE.format(pagerduty=programs.url("pagerduty"), opsgenie=programs.url("opsgenie")), encoding="utf-8"
    )
    return str(file)


def test_a_test_message_goes_out_and_what_was_answered_is_shown(keelwatch, programs, config) -> None:
    code, said, _ = keelwatch("receiver", "test", "hook", "--config", config)
    assert (code, said) == (0, "hook: accepted (204 with no content type)\n")
    code, said, _ = keelwatch("receiver", "test", "pager", "--config", config, "--json", "-")
    assert code == 0
    assert json.loads(said)["answer"] == "202 with application/json: Event processed"
    hook, trigger, resolve = programs.calls()
    assert hook["body"]["event"] == "test"
    assert "no incident is behind it" in hook["body"]["text"]
    assert hook["headers"]["x-team"] == "safety"
    assert trigger["body"]["dedup_key"] == resolve["body"]["dedup_key"] == json.loads(said)["id"]


def test_json_is_alone_on_stdout_though_the_receiver_is_a_terminal(keelwatch) -> None:
    code, said, told = keelwatch("receiver", "test", "default", "--json", "-")
    assert (code, json.loads(said)["accepted"]) == (0, True)
    assert "Test of receiver default" in told


@pytest.mark.parametrize(("name", "answer"), [("ops", "202 with application/json"), ("chat", "202 with ")])
def test_each_kind_is_tried_alike(keelwatch, programs, config, name, answer) -> None:
    code, said, told = keelwatch("receiver", "test", name, "--config", config)
    assert (code, told) == (0, "")
    assert said.startswith(f"{name}: accepted ({answer}")
    assert programs.calls()


def test_what_is_not_accepted_is_said_with_exit_code_1(keelwatch, programs, config) -> None:
    programs.script("403")
    code, said, told = keelwatch("receiver", "test", "hook", "--config", config)
    assert (code, said) == (1, "")
    assert told == "hook: not accepted: it answers 403 with application/json; check its secret, and what it may\n"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("KW_TEST_SECRET", "", "receivers.hook.webhook.secret_env: KW_TEST_SECRET is not set"),
        ("KW_TEST_SECRET", " \n", "receivers.hook.webhook.secret_env: KW_TEST_SECRET is blank"),
        ("KW_TEST_TEAM", "\t", "receivers.hook.webhook.headers.X-Team: KW_TEST_TEAM is blank"),
        ("KW_TEST_SECRET", "s\udce9", "receivers.hook.webhook.secret_env: KW_TEST_SECRET is no UTF-8"),
        ("KW_TEST_URL", "http://10.0.0.1/x", "receivers.hook.webhook.url_env: http://10.0.0.1: is no address"),
        ("KW_TEST_TEAM", "two\nlines", "receivers.hook.webhook.headers.X-Team: its variable holds nothing"),
    ],
)
def test_what_is_missing_or_cannot_be_used_is_named(keelwatch, config, monkeypatch, variable, value, words) -> None:
    monkeypatch.setenv(variable, value)
    code, _, told = keelwatch("receiver", "test", "hook", "--config", config)
    assert code == 2
    assert words in told


def test_a_receiver_that_is_none_is_refused_with_those_that_there_are(keelwatch, config) -> None:
    code, _, told = keelwatch("receiver", "test", "pagr", "--config", config)
    assert (code, told) == (2, "keelwatch: no receiver pagr; there are chat, default, hook, ops, pager\n")


def test_receivers_are_listed_with_their_routes(keelwatch, programs, config) -> None:
    assert json.loads(keelwatch("receiver", "list", "--config", config, "--json", "-")[1]) == [
        {"receiver": "chat", "kind": "teams", "severity": "info", "routes": []},
        {"receiver": "hook", "kind": "webhook", "severity": "info", "routes": ["support-bot/*"]},
        {"receiver": "ops", "kind": "opsgenie", "severity": "warning", "routes": []},
        {"receiver": "pager", "kind": "pagerduty", "severity": "error", "routes": ["support-bot/*"]},
    ]
    assert "pagerduty" in keelwatch("receiver", "list", "--config", config)[1]
    assert "names no receiver" in keelwatch("receiver", "list")[1]
    assert programs.calls() == []


def test_the_sender_has_the_receivers_of_the_file(config) -> None:
    made = wiring.notifiers(Settings(), load(Path(config)), print)
    assert made.of("support-bot/prod") == ("hook", "pager")
    hook, pager = made.by_name["hook"], made.by_name["pager"]
    assert (type(hook.channel), hook.severity) == (Webhook, "info")
    assert (type(pager.channel), pager.severity) == (PagerDuty, "error")
