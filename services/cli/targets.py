"""The target of a command line: the route's, with what the options name in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from services.errors import InputError
from services.monitor import Monitor, Target
from services.monitor.fields import few_values
from services.monitor.sent_values import SentValue, checked_header, checked_parameter, checked_value
from services.monitor.target_api import TARGET_APIS, ApiName
from services.monitor.validation import find_secrets


@dataclass(frozen=True, slots=True)
class GivenTarget:
    """What options say of the endpoint; None and nothing are the target's own.

    Attributes:
        key: name of the environment variable. headers, query: `NAME=VALUE` or `NAME=$VARIABLE`.
    """

    endpoint: str | None = None
    model: str | None = None
    key: str | None = None
    api: str | None = None
    headers: Sequence[str] = ()
    query: Sequence[str] = ()


def asked_target(watched: Monitor, route: str, given: GivenTarget) -> Target:
    """The target that is asked.

    Another host than the target's gets nothing that may be meant for that one alone: key, headers and query.

    Raises:
        InputError: if there is none, or an option cannot be used; it names the option.
    """
    known = watched.policy(route).target
    if known is None and (given.endpoint is None or given.model is None):
        raise InputError(f"route {route} has no target in the monitor file; name --endpoint and --model")
    base = known or Target(given.endpoint or "", given.model or "")
    if given.endpoint is not None and place(given.endpoint) != place(base.url):
        base = replace(base, api_key_env=None, headers={}, query={})
    return replace(
        base,
        url=given.endpoint or base.url,
        model=given.model or base.model,
        api_key_env=given.key or base.api_key_env,
        api=_api(given.api) or base.api,
        headers=_merged(base.headers, _values("--header", given.headers, checked_header)),
        query={**base.query, **_values("--query", given.query, checked_parameter)},
    )


def place(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an endpoint.

    Raises:
        InputError: if it is no URL to which a path can be added.
    """
    try:
        parts = urlsplit(url)
        found = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise InputError("--endpoint: must be a URL such as https://HOST/v1") from None
    if found[0] not in ("http", "https") or not found[1]:
        raise InputError("--endpoint: must be a URL such as https://HOST/v1")
    if parts.query or parts.fragment:
        raise InputError("--endpoint: must hold no query; name its parameters by --query")
    return found


def _api(name: str | None) -> ApiName | None:
    found = next((known for known in TARGET_APIS if known == name), None)
    if name is not None and found is None:
        raise InputError(f"--api: {name} is none; name one of {', '.join(TARGET_APIS)}")
    return found


def _merged(base: Mapping[str, SentValue], added: Mapping[str, SentValue]) -> Mapping[str, SentValue]:
    """Headers, of which names count whatever their case."""
    named = {name.lower() for name in added}
    return {**{name: value for name, value in base.items() if name.lower() not in named}, **added}


def _values(option: str, given: Sequence[str], checked: Callable[[str], str]) -> dict[str, SentValue]:
    found: dict[str, SentValue] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise InputError(f"{option}: must be NAME=VALUE, or NAME=$VARIABLE for the value of a variable")
        try:
            sent = checked_value({"env": value[1:]} if value.startswith("$") else value)
            found[checked(name)] = sent
            few_values(found)
        except ValueError as error:
            raise InputError(f"{option} {name[:100]}: {error}") from None
        if any(find_secrets(sent, ("target", "headers", name))):
            raise InputError(f"{option} {name}: a key does not belong on a command line; write {name}=$VARIABLE")
    return found
