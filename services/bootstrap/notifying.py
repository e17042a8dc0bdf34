"""Who is told of incidents, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry

from services.errors import InputError
from services.monitor import Monitor, RoutePolicy, SlackReceiver
from services.notify import slack
from services.notify.console import Console
from services.notify.message import Look
from services.notify.meters import Meters
from services.notify.receivers import DEFAULT, Receiver, Receivers
from services.notify.sender import Sender
from services.notify.slack import SlackBot, SlackWebhook
from services.settings import Settings, secret
from services.store.engine import Database


def notifiers(settings: Settings, watched: Monitor, say: Callable[[str], None], *, console: bool = False) -> Receivers:
    """Who is told: the receivers of the monitor file, and the environment's for routes that name none.

    Without KEELWATCH_SLACK_TOKEN and _CHANNEL, or _WEBHOOK_URL, that one is a console, printed by `say`; `console`
    alone tells nobody else.

    Raises:
        InputError: if a token is missing, or an address is none.
    """
    if console:
        return Receivers({DEFAULT: Receiver(Console(say))}, lambda route: RoutePolicy())
    named = {name: _slack_receiver(name, one.slack, settings) for name, one in watched.receivers.items()}
    return Receivers({DEFAULT: _default_receiver(settings, say), **named}, watched.policy)


def sender(
    settings: Settings,
    watched: Monitor,
    database: Database,
    name: str,
    say: Callable[[str], None],
    *,
    console: bool = False,
    registry: CollectorRegistry | None = None,
    own: str | None = None,
) -> Sender:
    """The delivery loop over a database: run its `run()` as a task, cancelled at the end.

    `name` is the process's among those that send; `registry` is where it counts, `own` the address of its pages; the
    rest as in `notifiers`.

    Raises:
        InputError: as `notifiers` does.
    """
    receivers = notifiers(settings, watched, say, console=console)
    meters = Meters(registry or CollectorRegistry())
    return Sender(database, receivers, name, look=look(settings, own), meters=meters)


def _slack_receiver(name: str, named: SlackReceiver, settings: Settings) -> Receiver:
    token = secret(named.token_env)
    if token is None:
        raise InputError(f"receivers.{name}.slack.token_env: {named.token_env} is not set; set it to the bot's token")
    return Receiver(SlackBot(token.get_secret_value(), named.channel, settings.slack_api_url), named.mention)


def _default_receiver(settings: Settings, say: Callable[[str], None]) -> Receiver:
    token, channel, webhook = settings.slack_token, settings.slack_channel, settings.slack_webhook_url
    if token is not None and channel is not None:
        return Receiver(SlackBot(token.get_secret_value(), channel, settings.slack_api_url))
    if channel is not None:
        raise InputError("KEELWATCH_SLACK_CHANNEL is set, KEELWATCH_SLACK_TOKEN is not: set both, or neither")
    if webhook is not None:
        return Receiver(SlackWebhook(webhook.get_secret_value(), settings.slack_api_url))
    return Receiver(Console(say))


def look(settings: Settings, own: str | None = None) -> Look:
    """How messages look: links to KEELWATCH_API_URL, else to `own`; buttons where a press can be verified."""
    return Look(settings.api_url or own, buttons=settings.slack_signing_secret is not None)


def answer(settings: Settings) -> Callable[[str, str], Awaitable[None]]:
    """What says words to the person who pressed a button, at the address that came with the press."""
    return lambda url, words: slack.answer(url, words, settings.slack_api_url)
