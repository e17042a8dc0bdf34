"""Who is told: the monitor file's receivers, the environment's, or a console. And what a console shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services import wiring
from services.errors import InputError
from services.monitor import Monitor, check, load
from services.notify.channel import DEFAULT
from services.notify.receivers.console import Console
from services.notify.receivers.slack import SlackBot, SlackWebhook
from services.settings import Settings
from services.wording.decisions import DECISIONS
from tests.support.fake_slack import TOKEN
from tests.support.notify import Clock, opening, record, rest, sender, states, turns
from tests.support.records import ROUTE

FILE = """\
routes:
  support-bot/*: {notify: [oncall]}
receivers:
  oncall: {slack: {channel: "#llm-safety", token_env: KW_TEST_TOKEN, mention: "%s"}}
"""


def monitor(folder: Path, mention: str = "<!subteam^S123> <@U1>") -> Monitor:
    (folder / "k.yaml").write_text(FILE % mention, encoding="utf-8")
    return load(folder / "k.yaml")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, Console),
        ({"slack_token": "xoxb-1"}, Console),  # a token that the monitor file may name
        ({"slack_token": "xoxb-1", "slack_channel": "#a"}, SlackBot),
        ({"slack_webhook_url": "https://hooks.slack.com/services/T/B/x"}, SlackWebhook),
        ({"slack_token": "t", "slack_channel": "#a", "slack_webhook_url": "https://hooks.slack.com/x"}, SlackBot),
    ],
)
def test_a_route_without_receivers_has_the_environments(given: dict[str, str], kind: type) -> None:
    made = wiring.notifiers(Settings(**given), Monitor(), print)
    assert made.of("any/route") == (DEFAULT,)
    assert type(made.by_name[DEFAULT].channel) is kind


def test_the_monitor_file_names_who_is_told_of_its_routes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KW_TEST_TOKEN", "xoxb-1")
    made = wiring.notifiers(Settings(), monitor(tmp_path), print)
    assert (made.of("support-bot/prod"), made.of("other")) == (("oncall",), (DEFAULT,))
    assert made.by_name["oncall"].mention == "<!subteam^S123> <@U1>"
    assert isinstance(made.by_name["oncall"].channel, SlackBot)
    assert wiring.notifiers(Settings(), monitor(tmp_path), print, console=True).of("support-bot/prod") == (DEFAULT,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "receivers.oncall.slack.token_env: KW_TEST_TOKEN is not set"),
        ({"slack_channel": "#a"}, "KEELWATCH_SLACK_TOKEN is not"),
        ({"slack_webhook_url": "https://evil.example/services/secret"}, "KEELWATCH_SLACK_WEBHOOK_URL: must be"),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, given, words) -> None:
    monkeypatch.delenv("KW_TEST_TOKEN", raising=False)
    watched = Monitor() if given else monitor(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        wiring.notifiers(Settings(**given), watched, print)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mention", ["@oncall", "<!subteam^S123> and text", "<https://x.example|y>", "", "<@u1>"])
def test_a_mention_that_is_none_is_refused_with_its_line(tmp_path: Path, mention: str) -> None:
    (tmp_path / "k.yaml").write_text(FILE % mention, encoding="utf-8")
    (problem,) = check(tmp_path / "k.yaml")
    assert (problem.severity, problem.line) == ("error", 4)
    assert "must be mentions as Slack writes them" in str(problem)


def test_a_look_offers_what_there_is() -> None:
    look = wiring.message_look(Settings(api_url="http://127.0.0.1:8400", slack_signing_secret="s"))
    assert (look.api_url, look.buttons) == ("http://127.0.0.1:8400", True)
    assert wiring.message_look(Settings()).buttons is False


def test_the_loop_is_made_of_the_settings(database, slack, monkeypatch) -> None:
    """As a worker makes it: the environment names Slack, and what is counted is in the worker's registry."""
    given = {"slack_token": TOKEN, "slack_channel": "#safety", "slack_api_url": slack.url}
    registry = CollectorRegistry()
    one = wiring.sender(Settings(**given), Monitor(), database, "worker", print, registry=registry)
    record(database, *opening(ROUTE))
    asyncio.run(one.once())
    assert len(slack.accepted("chat.postMessage")) == 1
    assert registry.get_sample_value("keelwatch_notification_seconds_count") == 1


def test_a_console_shows_what_slack_would(database) -> None:
    clock, printed = Clock(), []
    one = sender(database, clock, Console(printed.append))
    record(database, *opening(ROUTE))
    turns(one, clock)
    record(database, *rest(ROUTE))
    turns(one, clock)
    assert states(database) == {"sent"}
    titles = [line.strip("─ ") for line in printed if line.startswith("──")]
    assert titles == ["message 1", "message 1, to the whole channel", "message 1, in its thread"]
    assert "🔵 info: support-bot/prod" in printed
    assert any(line.startswith("🟡 [warning] ") for line in printed)
    assert any(DECISIONS["acknowledge"].done in line for line in printed)
