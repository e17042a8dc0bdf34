"""Who is told: the receivers that settings and monitor file name, and the loop that sends to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from services.errors import InputError
from services.monitor import (
    Monitor,
    OpsgenieReceiver,
    PagerDutyReceiver,
    ReceiverPolicy,
    RoutePolicy,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)
from services.monitor.receiver_section import ReceiverKind
from services.monitor.sent_values import SentValue, may_be_sent
from services.notify.channel import DEFAULT, Channel, Receiver, Receivers
from services.notify.message import MessageOptions
from services.notify.receivers.console import Console
from services.notify.receivers.http_post import HttpAddress
from services.notify.receivers.opsgenie import Opsgenie
from services.notify.receivers.pagerduty import PagerDuty
from services.notify.receivers.slack import SlackBot, SlackWebhook
from services.notify.receivers.teams import Teams
from services.notify.receivers.webhook import Webhook
from services.notify.sender import Sender
from services.observability.metrics import NotificationMeters
from services.outbound import UrlRefused, checked_url
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
    named = {name: _receiver(name, one, settings, watched) for name, one in watched.receivers.items()}
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
    meters = NotificationMeters(registry or CollectorRegistry())
    return Sender(database, receivers, name, look=message_look(settings, own), meters=meters)


def receiver_named(name: str, settings: Settings, watched: Monitor, say: Callable[[str], None]) -> Receiver:
    """One of the receivers, whatever the others miss.

    Raises:
        InputError: if there is none of this name, or something is missing for it.
    """
    if name == DEFAULT and name not in watched.receivers:
        return _default_receiver(settings, say)
    if name not in watched.receivers:
        known = ", ".join(sorted({DEFAULT, *watched.receivers}))
        raise InputError(f"no receiver {name}; there are {known}")
    return _receiver(name, watched.receivers[name], settings, watched)


def _receiver(name: str, policy: ReceiverPolicy, settings: Settings, watched: Monitor) -> Receiver:
    channel = _channel(policy.kind, f"receivers.{name}.{policy.name}", settings, watched)
    mention = policy.kind.mention if isinstance(policy.kind, SlackReceiver) else None
    return Receiver(channel, mention, policy.severity)


def _channel(kind: ReceiverKind, place: str, settings: Settings, watched: Monitor) -> Channel:
    def held(variable: str, key: str) -> str:
        return _needed(variable, f"{place}.{key}")

    match kind:
        case SlackReceiver():
            return SlackBot(held(kind.token_env, "token_env"), kind.channel, settings.slack_api_url)
        case PagerDutyReceiver():
            key = held(kind.routing_key_env, "routing_key_env")
            return PagerDuty(_address(kind.url, f"{place}.url", watched), key)
        case OpsgenieReceiver():
            key = held(kind.api_key_env, "api_key_env")
            return Opsgenie(_address(kind.url, f"{place}.url", watched), key)
        case TeamsReceiver():
            return Teams(_address(held(kind.url_env, "url_env"), f"{place}.url_env", watched))
        case WebhookReceiver():
            where = "url" if kind.url_env is None else "url_env"
            address = _address(kind.url or held(kind.url_env or "", where), f"{place}.{where}", watched)
            return Webhook(address, held(kind.secret_env, "secret_env"), _headers(kind.headers, place))


def _needed(variable: str, place: str) -> str:
    found = secret(variable)
    if found is None:
        raise InputError(f"{place}: {variable} is not set; set it, or remove the receiver")
    stripped = found.strip()
    if not stripped:
        raise InputError(f"{place}: {variable} is blank; set it, or remove the receiver")
    if not _is_text(stripped):
        raise InputError(f"{place}: {variable} is no UTF-8; correct it")
    return stripped


def _is_text(value: str) -> bool:
    """Whether it can be sent: the environment holds bytes, and Python keeps those that are no text as surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _address(url: str, place: str, watched: Monitor) -> HttpAddress:
    try:
        checked_url(url, watched.allow_hosts)
    except UrlRefused as refused:
        raise InputError(f"{place}: {refused}") from None
    return HttpAddress(url, watched.allow_hosts)


def _headers(given: Mapping[str, SentValue], place: str) -> dict[str, str]:
    found = {}
    for name, value in given.items():
        text = value if isinstance(value, str) else _needed(value.name, f"{place}.headers.{name}")
        if not may_be_sent(text):
            raise InputError(f"{place}.headers.{name}: its variable holds nothing that a header can; correct it")
        found[name] = text
    return found


def _default_receiver(settings: Settings, say: Callable[[str], None]) -> Receiver:
    token, channel, webhook = settings.slack_token, settings.slack_channel, settings.slack_webhook_url
    if token is not None and channel is not None:
        return Receiver(SlackBot(token.get_secret_value(), channel, settings.slack_api_url))
    if channel is not None:
        raise InputError("KEELWATCH_SLACK_CHANNEL is set, KEELWATCH_SLACK_TOKEN is not: set both, or neither")
    if webhook is not None:
        return Receiver(SlackWebhook(webhook.get_secret_value(), settings.slack_api_url))
    return Receiver(Console(say))


def message_look(settings: Settings, own: str | None = None) -> MessageOptions:
    """How messages look: links to the public URL, the API's or `own`; buttons where a press can be verified."""
    return MessageOptions(
        settings.public_url or settings.api_url or own, buttons=settings.slack_signing_secret is not None
    )
