"""What is wrong with `target`, beyond what its schema sees: settings, keys in clear, and what would be sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from services.monitor.schema import TargetSection
from services.monitor.sent_values import looks_like_key
from services.monitor.target_api import TARGET_APIS, wrong_setting
from services.monitor.yaml_document import KeyPath

SENT: Final = ("headers", "query")
"""Keys of `target` whose entries are sent as they are named."""
_SENDERS: Final = ("target", "score_events", "webhook")


def wrong_target(section: TargetSection) -> Iterator[tuple[KeyPath, str]]:
    """Where a target cannot be used, below it, and what to write instead."""
    if (wrong := wrong_setting(section.api, section.settings)) is not None:
        yield ("settings", wrong[0]), wrong[1]
    api = TARGET_APIS[section.api]
    twice = next((name for name in section.headers if name.lower() == api.key_header.lower()), None)
    if twice is not None and section.api_key_env is not None:
        yield ("headers", twice), "is where the key of api_key_env is sent; keep one of the two"


def is_sent_in_clear(path: KeyPath, value: Any) -> bool:
    """Whether a value of the file is a header, or a parameter of a target, that looks like a key."""
    return _is_sent(path) and isinstance(value, str) and looks_like_key(str(path[-1]), value)


def remedy(path: KeyPath) -> str:
    """How a key is sent without standing in the file."""
    return "write {env: NAME} here" if _is_sent(path) else "name the variable here"


def _is_sent(path: KeyPath) -> bool:
    return len(path) >= 3 and path[-3] in _SENDERS and path[-2] in SENT
