"""Slack: a channel by a bot's token, or by an incoming webhook, and how a picture gets there.

Of a file it names an address, takes the bytes there, and is told that they are complete.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from services.errors import InputError
from services.notify.block_kit import ALT, LABEL, cleaned
from services.notify.channel import MessageRef, NotAccepted
from services.notify.message import RenderedMessage
from services.notify.receivers.slack_errors import meaning_of

API_URL: Final = "https://slack.com/api"
SECONDS: Final = 10.0
"""How long one call may take."""

_LONGEST_WAIT: Final = 3600.0
_CODE: Final = re.compile(r"[a-z0-9_]+", re.ASCII)
_SCOPE: Final = re.compile(r"[a-z:._,]+", re.ASCII)
_UNREADABLE: Final = "the answer cannot be read; the message may have arrived"
_HOSTS: Final = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_FILE_HOSTS: Final = frozenset({"files.slack.com", "files.slack-gov.com"})


class SlackBot:
    """A channel by `chat.postMessage` and `chat.update`: one message an incident, with its thread."""

    in_place = True
    events = False
    pictures = True

    def __init__(self, token: str, channel: str, api_url: str | None = None, seconds: float = SECONDS) -> None:
        """`channel` is a name or an id; `api_url` another server than Slack's."""
        # Without handlers of its own the client repeats what it got no answer to, and the message is there twice.
        self._client = AsyncWebClient(token, base_url=f"{api_url or API_URL}/", retry_handlers=[])
        self._client.timeout = seconds  # type: ignore[assignment]  # handed to aiohttp, which takes fractions
        self._client.proxy = None  # the environment's proxy is not ours to trust
        self._channel = channel
        self._api_url, self._seconds = api_url, seconds

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send a new message to the channel."""
        return await self._call("chat.postMessage", {"channel": self._channel, **_content(message), **_QUIETLY}, False)

    async def update(self, place: MessageRef, message: RenderedMessage) -> None:
        """Put another message in its place."""
        blocks = {"blocks": list(message.blocks)}  # without any, Slack would keep those that were there
        where = {"channel": place.channel, "ts": place.ts}
        await self._call("chat.update", {**where, **_content(message), **blocks, **_LITERALLY})

    async def reply(self, place: MessageRef, message: RenderedMessage, *, broadcast: bool) -> None:
        """Answer in the message's thread."""
        thread = {"channel": place.channel, "thread_ts": place.ts, "reply_broadcast": broadcast}
        await self._call("chat.postMessage", {**thread, **_content(message), **_QUIETLY})

    async def upload(self, picture: bytes, words: str) -> str:
        """Send a PNG that stays in no channel by itself; its id at Slack, for a block of a message."""
        try:
            place = await self._ask("files.getUploadURLExternal", params=upload_request(picture, words))
            url, id = upload_address(place.data)
            if not is_slacks(url, self._api_url, _FILE_HOSTS):
                raise NotAccepted("the address to send a picture to is none of Slack's", "message", slow=True)
            await put_file(url, picture, self._seconds)
            await self._ask("files.completeUploadExternal", params=upload_completion(id, words))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error
        return id

    async def read(self, method: str, what: Mapping[str, str]) -> Mapping[str, Any]:
        """What a method that only reads says.

        Raises:
            NotAccepted: if it says nothing.
        """
        said = (await self._ask(method, params=dict(what))).data
        return said if isinstance(said, Mapping) else {}

    async def _call(self, method: str, body: Mapping[str, Any], placed: bool = True) -> MessageRef:
        """`placed`: it is about a message that is there already."""
        answer = await self._ask(method, placed, json=dict(body))
        channel, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise NotAccepted(_UNREADABLE)
        return MessageRef(channel, ts)

    async def _ask(self, method: str, placed: bool = False, **what: Any) -> AsyncSlackResponse:
        try:
            return await self._client.api_call(method, **what)
        except SlackApiError as error:
            raise _refused(error, placed) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error
        except (AttributeError, TypeError, ValueError) as error:  # of the client, when an answer is no JSON object
            raise NotAccepted(_UNREADABLE) from error


class SlackWebhook:
    """A channel by an incoming webhook: it only posts."""

    in_place = False
    events = False
    pictures = False

    def __init__(self, url: str, api_url: str | None = None, seconds: float = SECONDS) -> None:
        """`api_url` is another server than Slack's, which the webhook may then be of.

        Raises:
            InputError: if the address is no webhook of Slack's.
        """
        if not is_slacks(url, api_url):
            raise InputError("KEELWATCH_SLACK_WEBHOOK_URL: must be https://hooks.slack.com/services/...")
        self._client = AsyncWebhookClient(url, retry_handlers=[])
        self._client.timeout = seconds  # type: ignore[assignment]  # handed to aiohttp, which takes fractions
        self._client.proxy = None

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send a new message."""
        await send(self._client, {**_content(message), **_QUIETLY})
        return MessageRef()

    async def update(self, place: MessageRef, message: RenderedMessage) -> None:
        """Cannot be done."""
        raise NotImplementedError("a webhook cannot update")

    async def reply(self, place: MessageRef, message: RenderedMessage, *, broadcast: bool) -> None:
        """Cannot be done."""
        raise NotImplementedError("a webhook has no threads")

    async def upload(self, picture: bytes, words: str) -> str:
        """Cannot be done."""
        raise NotImplementedError("a webhook takes no files")


_LITERALLY: Final = {"parse": "none", "link_names": False}
_QUIETLY: Final = {**_LITERALLY, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def _content(message: RenderedMessage) -> dict[str, Any]:
    return {"text": message.text, **({"blocks": list(message.blocks)} if message.blocks else {})}


def is_slacks(url: str, api_url: str | None = None, hosts: Collection[str] = _HOSTS) -> bool:
    """Whether an address is one that Slack gives out: a webhook, or where a press is answered."""
    try:
        parts = urlsplit(url)
        own = urlsplit(api_url) if api_url else None
        if own is not None and (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
            return True
        return parts.scheme == "https" and parts.netloc in hosts
    except ValueError:
        return False


async def answer(url: str, text: str, api_url: str | None = None) -> None:
    """Say something to the one person who pressed a button.

    Raises:
        NotAccepted: if Slack did not accept it, or the address is none of Slack's.
    """
    if not is_slacks(url, api_url):
        raise NotAccepted("the address to answer at is none of Slack's", "message")
    client = AsyncWebhookClient(url, retry_handlers=[])
    client.proxy = None
    await send(client, {"response_type": "ephemeral", "replace_original": False, "text": text})


async def send(client: AsyncWebhookClient, body: dict[str, Any]) -> None:
    """Send to a webhook.

    Raises:
        NotAccepted: if it was not accepted, or nothing says whether it was.
    """
    try:
        answer = await client.send_dict(body)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unanswered(error) from error
    if answer.status_code != 200:
        raise _not_accepted(answer.status_code, answer.body, answer.headers)


def _refused(error: SlackApiError, placed: bool) -> NotAccepted:
    answer = error.response
    if isinstance(answer, str) or not hasattr(answer, "status_code"):
        return NotAccepted(_UNREADABLE)
    data = answer.data if isinstance(answer.data, Mapping) else {}
    needed = "".join(_SCOPE.findall(str(data.get("needed") or "")))[:60]
    return _not_accepted(answer.status_code, str(data.get("error") or ""), answer.headers, placed, needed)


def _not_accepted(
    status: int, words: str, headers: Mapping[str, Any], placed: bool = False, needed: str = ""
) -> NotAccepted:
    """What an answer that is no acceptance means; `words` come from outside, and are kept as a code alone."""
    code = "".join(_CODE.findall(words))[:60]
    if status == 429:
        return NotAccepted("429: too many messages", after=_retry_after(headers))
    if status >= 500:
        return NotAccepted(f"Slack answered {status}; the message may have arrived")
    meaning = meaning_of(code, placed=placed)
    if meaning.reach == "receiver":
        return NotAccepted(code, after=_retry_after(headers) if code.startswith("rate") else None)
    remedy = meaning.remedy.format(needed=needed or "chat:write")
    told = f"{code}: {remedy}" if remedy else code
    return NotAccepted(told or f"Slack answered {status}", meaning.reach, slow=True)


def _retry_after(headers: Mapping[str, Any]) -> float:
    """The seconds that Slack asks to wait; a whole minute if it does not say."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        seconds = float(said[0] if isinstance(said, list) else said or 60)
    except (TypeError, ValueError):
        return 60.0
    return min(max(seconds, 0.1), _LONGEST_WAIT) if math.isfinite(seconds) else 60.0


def _unanswered(error: BaseException) -> NotAccepted:
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotAccepted("Slack cannot be reached")
    return NotAccepted(f"no answer ({type(error).__name__}); the message may have arrived")


_NAME = "chart.png"


def upload_request(picture: bytes, words: str) -> dict[str, Any]:
    """What is asked for an address: by name, length, and words for those who do not see it."""
    return {"filename": _NAME, "length": len(picture), "alt_txt": cleaned(words, ALT)}


def upload_address(answer: Any) -> tuple[str, str]:
    """The address to send to, and the file's id.

    Raises:
        NotAccepted: if the answer has none.
    """
    said = answer if isinstance(answer, Mapping) else {}
    url, id = said.get("upload_url"), said.get("file_id")
    if not isinstance(url, str) or not isinstance(id, str):
        raise NotAccepted("the answer names no address for a file", "message")
    return url, id


async def put_file(url: str, picture: bytes, seconds: float) -> None:
    """Send the bytes, and follow nobody elsewhere.

    Raises:
        NotAccepted: if they were not taken.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=picture, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise NotAccepted(f"a file was answered with {answer.status}", "message")


def upload_completion(id: str, words: str) -> dict[str, str]:
    """What is said when the bytes are there. Without a channel the file is posted nowhere by itself."""
    return {"files": json.dumps([{"id": id, "title": cleaned(words, LABEL)}])}
