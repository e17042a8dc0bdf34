"""Slack as an adapter: what is accepted, what each refusal means, and that nothing is repeated behind our back."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import InputError
from services.notify.channel import MessageRef, NotAccepted
from services.notify.message import RenderedMessage, of_entry
from services.notify.receivers.slack import SlackBot, SlackWebhook, answer
from tests.support.fake_slack import TOKEN
from tests.support.records import at
from tests.support.slack import FakeSlack

MESSAGE = of_entry("refusal <!channel> fell", at(0))


def bot(slack: FakeSlack, token: str = TOKEN, channel: str = "#safety") -> SlackBot:
    return SlackBot(token, channel, slack.url, seconds=0.5)


def trouble(work) -> NotAccepted:
    with pytest.raises(NotAccepted) as caught:
        asyncio.run(work)
    return caught.value


def test_a_message_is_posted_updated_and_answered(slack: FakeSlack) -> None:
    async def talk() -> MessageRef:
        channel = bot(slack)
        place = await channel.post(MESSAGE)
        await channel.update(place, MESSAGE)
        await channel.reply(place, MESSAGE, broadcast=True)
        return place

    place = asyncio.run(talk())
    post, update, reply = slack.accepted()
    assert (place.channel, update["channel"], reply["channel"]) == ("CSAFETY",) * 3
    assert update["ts"] == reply["thread_ts"] == place.ts
    assert reply["reply_broadcast"] is True
    assert all(body["parse"] == "none" and body["link_names"] is False for body in (post, update, reply))
    assert all(body["unfurl_links"] is body["unfurl_media"] is body["mrkdwn"] is False for body in (post, reply))


@pytest.mark.parametrize(
    ("mode", "reach", "after", "slow", "words"),
    [
        ("limited", "receiver", 3.0, False, "429"),
        ("error", "receiver", None, False, "may have arrived"),
        ("late", "receiver", None, False, "may have arrived"),
        ("hang", "receiver", None, False, "may have arrived"),
        ("lost", "receiver", None, False, "may have arrived"),
        ("garbage", "receiver", None, False, "may have arrived"),
        ("invalid_blocks", "form", None, True, "invalid_blocks"),
        ("not_in_channel", "closed", None, True, "invite the app"),
        ("invalid_auth", "closed", None, True, "the token is wrong"),
        ("restricted_action", "mention", None, True, "an admin of the workspace forbids it"),
        ("some_new_error", "message", None, True, "some_new_error"),
        ("\x00<!channel>\ud800" + "x" * 500, "message", None, True, "channel" + "x" * 53),
        ("internal_error", "receiver", None, False, "internal_error"),
        ("message_not_found", "gone", None, True, "message_not_found"),
    ],
)
def test_what_a_bot_hears_says_what_to_do(slack, mode, reach, after, slow, words) -> None:
    slack.script(mode, after=3)
    said = trouble(bot(slack).post(MESSAGE))
    assert (said.reach, said.after, said.slow) == (reach, after, slow)
    assert words in str(said)
    assert len(slack.calls()) == 1, "a call was repeated behind our back"


@pytest.mark.parametrize(
    ("mode", "reach", "after", "slow"),
    [
        ("limited", "receiver", 3.0, False),
        ("error", "receiver", None, False),
        ("hang", "receiver", None, False),
        ("lost", "receiver", None, False),
        ("invalid_blocks", "form", None, True),
        ("no_service", "closed", None, True),
    ],
)
def test_what_a_webhook_hears_says_what_to_do(slack, mode, reach, after, slow) -> None:
    slack.script(mode, after=3)
    said = trouble(SlackWebhook(slack.webhook, slack.url, seconds=0.5).post(MESSAGE))
    assert (said.reach, said.after, said.slow) == (reach, after, slow)
    assert len(slack.calls()) == 1


def test_wrong_token_channel_and_absent_server_are_told_apart(slack: FakeSlack) -> None:
    assert "the token is wrong" in str(trouble(bot(slack, token="xoxb-other").post(MESSAGE)))
    assert "name a channel that exists" in str(trouble(bot(slack, channel="#missing").post(MESSAGE)))
    assert "cannot be reached" in str(trouble(SlackBot(TOKEN, "#a", "http://127.0.0.1:9").post(MESSAGE)))
    assert trouble(bot(slack).update(MessageRef("CSAFETY", "1.0"), MESSAGE)).reach == "gone"


def test_slack_refuses_what_breaks_its_limits(slack: FakeSlack) -> None:
    huge = RenderedMessage(({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},), "x")
    assert trouble(bot(slack).post(huge)).reach == "form"


def test_the_environments_proxy_is_not_used(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asyncio.run(bot(slack).post(MESSAGE))
    asyncio.run(SlackWebhook(slack.webhook, slack.url).post(MESSAGE))
    asyncio.run(answer(slack.webhook, "too late", slack.url))
    assert [call["method"] for call in slack.calls()] == ["chat.postMessage", "secret", "secret"]
    assert slack.accepted()[-1] == {"response_type": "ephemeral", "replace_original": False, "text": "too late"}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com.evil.example/services/T/B/x",
        "https://hooks.slack.com@127.0.0.1/services/T/B/x",
        "https://127.0.0.1/",
        "https://hooks.slack.com:8443/x",
        "file:///etc/passwd",
        "https://[",
    ],
)
def test_only_slacks_own_addresses_are_called(url: str) -> None:
    with pytest.raises(InputError, match="KEELWATCH_SLACK_WEBHOOK_URL"):
        SlackWebhook(url)
    assert trouble(answer(url, "x")).reach == "message"
    assert SlackWebhook("https://hooks.slack.com/services/T/B/x")
