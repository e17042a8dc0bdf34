"""Headers and query parameters of a target: what may be sent, and what must stand in the environment. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_PARAMETER: Final = re.compile(r"[A-Za-z0-9._~$\[\]-]{1,100}", re.ASCII)
_ENVIRONMENT: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,99}", re.ASCII)
_VALUE: Final = re.compile(r"[\x20-\x7e]{1,4000}", re.ASCII)
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "http2-settings"}
)
"""Of one connection (RFC 9110): who sets them in a message lies about the connection, or smuggles a second message."""
OURS: Final = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "expect", "date"}
    | {"cookie", "set-cookie", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "range"}
)
"""They follow from the request, or would change what comes back into something that cannot be read."""

_KEY_NAMES: Final = re.compile(
    r"authorization|(?:^|[_.-])(?:auth|key|apikey|token|secret|password|passwd|credentials?|signature|sig|session|jwt)"
    r"(?:$|[_.-](?:key|token|secret|id)$)|api-?key",
    re.IGNORECASE,
)
_KNOWN_IDS: Final = re.compile(r"(?:org|proj|asst|req|wrkspc)[-_][A-Za-z0-9]+", re.ASCII)
"""Names of organisations and projects, which vendors make of chance and call no secrets."""
_RANDOM: Final = re.compile(r"(?=[^A-Za-z]{0,200}[A-Za-z])(?=[^0-9]{0,200}[0-9])[A-Za-z0-9+/_=-]{20,}", re.ASCII)
_WORDS: Final = re.compile(r"[A-Za-z]{3,}|\d{1,8}")
_BITS: Final = 3.3


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A value that stands in an environment variable, and in no file.

    Attributes:
        name: of the variable.
    """

    name: str


SentValue = str | FromEnvironment


def checked_header(name: str) -> str:
    """The name of a header that may be sent.

    Raises:
        ValueError: if it is none, or belongs to the connection or to the request itself.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("must be the name of a header: letters, digits and hyphens")
    if name.lower() in HOP_BY_HOP:
        raise ValueError("is a header of the connection, not of the request; remove it")
    if name.lower() in OURS:
        raise ValueError("follows from the request and is set by Keelwatch; remove it")
    return name


def checked_parameter(name: str) -> str:
    """The name of a query parameter.

    Raises:
        ValueError: if it is none.
    """
    if not _PARAMETER.fullmatch(name):
        raise ValueError("must be the name of a query parameter: letters, digits and . _ ~ $ - [ ]")
    return name


def checked_value(value: Any) -> SentValue:
    """What is sent: text, or `{env: NAME}`.

    Raises:
        ValueError: if it is neither, or text that no header can hold.
    """
    if isinstance(value, Mapping):
        name = value.get("env")
        if set(value) != {"env"} or not isinstance(name, str) or not _ENVIRONMENT.fullmatch(name):
            raise ValueError("must be text, or {env: NAME} with the NAME of an environment variable in capitals")
        return FromEnvironment(name)
    if not isinstance(value, str):
        raise ValueError("must be text in quotes, or {env: NAME}")
    if not may_be_sent(value):
        raise ValueError("must be 1 to 4,000 printable ASCII characters, without space at either end")
    return value


def may_be_sent(value: str) -> bool:
    """Whether a header can hold it: no line break begins another header."""
    return _VALUE.fullmatch(value) is not None and value == value.strip()


def looks_like_key(name: str, value: str) -> bool:
    """Whether a value is called as keys are, or is as random as they are.

    >>> looks_like_key("api-key", "x"), looks_like_key("X-Title", "8f3kPq0ZxT1mWb7YdN5c")
    (True, True)
    >>> looks_like_key("api-version", "2024-10-21"), looks_like_key("anthropic-beta", "context-1m-2025-08-07")
    (False, False)
    """
    if _KEY_NAMES.search(name):
        return True
    return any(_is_random(word) for word in value.split() if not _KNOWN_IDS.fullmatch(word))


def _is_random(word: str) -> bool:
    """Letters and digits mixed as chance mixes them: what is left of a word without its words and dates is long."""
    if not _RANDOM.fullmatch(word):
        return False
    parts = re.split(r"[-_/+=]", word)
    mixed = [part for part in parts if part and not _WORDS.fullmatch(part)]
    counts = Counter(word)
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    return bits >= _BITS and sum(len(part) for part in mixed) * 2 > len(word)
