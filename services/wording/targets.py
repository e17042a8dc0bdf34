"""What a route's target is asked with, for `check-config`: what is sent where, and never a key. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from services.monitor.policy import Target
from services.monitor.sent_values import SentValue
from services.monitor.target_api import TARGET_APIS, base_url

_LONGEST: Final = 60


def target_told(target: Target) -> Iterator[str]:
    """Lines: where questions go and in which API, with which key and headers, and with which prompt and settings.

    >>> told = list(target_told(Target("https://api.example.com/v1", "m", "THE_KEY", settings={"temperature": 0})))
    >>> told[0]
    'asks m by OpenAI Chat Completions: POST https://api.example.com/v1/chat/completions'
    >>> told[1]
    'sends the key in THE_KEY as Authorization: Bearer; settings temperature=0'
    """
    api = TARGET_APIS[target.api]
    yield f"asks {target.model} by {api.title}: POST {base_url(target.api, target.url)}{api.path}{_query(target.query)}"
    named = {name.lower() for name in target.headers}
    usual = {name: value for name, value in api.headers.items() if name.lower() not in named}
    headers = [f"{name}: {_value(value)}" for name, value in {**usual, **target.headers}.items()]
    prompt = [f"the system prompt of {target.system_prompt_file}"] if target.system_prompt_file else []
    settings = ", ".join(_setting(*one) for one in sorted({**api.defaults, **target.settings}.items()))
    yield f"sends {'; '.join([*_key(target), *headers, *prompt, *([f'settings {settings}'] if settings else [])])}"


def not_from_here(why: str) -> str:
    """That a target lacks something on this machine: it may be there where suites run."""
    return f"cannot be asked from this environment: {why}"


def _key(target: Target) -> list[str]:
    """With which key, or that there is none."""
    api = TARGET_APIS[target.api]
    if target.api_key_env is not None:
        place = f"{api.key_header}: {api.key_prefix.strip()}" if api.key_prefix else api.key_header
        return [f"the key in {target.api_key_env} as {place}"]
    hidden = any(not isinstance(value, str) for value in (*target.headers.values(), *target.query.values()))
    return [] if hidden else ["no key"]


def _setting(name: str, value: object) -> str:
    told = json.dumps(value, ensure_ascii=False, default=str)
    return f"{name}={told if len(told) <= _LONGEST else f'{told[: _LONGEST - 1]}…'}"


def _value(value: SentValue) -> str:
    return value if isinstance(value, str) else f"what {value.name} holds"


def _query(query: Mapping[str, SentValue]) -> str:
    """As it stands in the URL; a value of the environment by the name of its variable."""
    parts = (f"{name}={quote(one) if isinstance(one, str) else f'${one.name}'}" for name, one in query.items())
    return f"?{'&'.join(parts)}" if query else ""
