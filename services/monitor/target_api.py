"""The APIs by which a target can be asked: where, with its key in which header, and what belongs to the runner. Pure.

How a request and an answer look in each of them is in `services/evaluate/endpoints`, one file an API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

ApiName = Literal["chat_completions", "responses", "messages"]
DEFAULT_API: Final[ApiName] = "chat_completions"
MAX_TOKENS: Final = 4096
"""What the Messages API, which must be told, may generate when the settings do not say."""
_RUNNERS: Final = frozenset({"model", "stream", "stream_options"})


@dataclass(frozen=True, slots=True)
class TargetApi:
    """What is known of an API before anything is asked.

    Attributes:
        title: what its vendor calls it. path: is added to the target's URL.
        key_header: where the key stands, after `key_prefix`.
        reserved: settings that belong to the runner.
        defaults: settings that are sent where the target does not name them; they count as the run's settings.
        headers: sent where the target does not name them.
    """

    title: str
    path: str
    key_header: str
    key_prefix: str = ""
    reserved: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


TARGET_APIS: Final[Mapping[ApiName, TargetApi]] = {
    "chat_completions": TargetApi(
        title="OpenAI Chat Completions",
        path="/chat/completions",
        key_header="Authorization",
        key_prefix="Bearer ",
        reserved=_RUNNERS | {"messages", "n"},
    ),
    "responses": TargetApi(
        title="OpenAI Responses",
        path="/responses",
        key_header="Authorization",
        key_prefix="Bearer ",
        reserved=_RUNNERS | {"input", "instructions", "previous_response_id", "conversation", "background", "prompt"},
        defaults=MappingProxyType({"store": False}),
    ),
    "messages": TargetApi(
        title="Anthropic Messages",
        path="/messages",
        key_header="x-api-key",
        reserved=_RUNNERS | {"messages", "system"},
        defaults=MappingProxyType({"max_tokens": MAX_TOKENS}),
        headers=MappingProxyType({"anthropic-version": "2023-06-01"}),
    ),
}


def wrong_setting(api: ApiName, settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """(name, why) of a setting that cannot be one of a target, None when all can."""
    for name in sorted(TARGET_APIS[api].reserved & settings.keys()):
        return name, "is not a setting of a target; remove it"
    if not isinstance(settings.get("tools", []), list | tuple):
        return "tools", "must be a list of tools as the API declares them; items add theirs behind"
    return None


def base_url(api: ApiName, url: str) -> str:
    """The URL to which the API's path is added: people name it with that path, too."""
    return url.rstrip("/").removesuffix(TARGET_APIS[api].path)
