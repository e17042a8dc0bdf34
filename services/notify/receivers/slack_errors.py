"""What each error that Slack names means for what was sent: the one table of it. Pure.

Sources: the errors of chat.postMessage, chat.update and incoming webhooks in Slack's reference. What is not in the
table concerns the one message alone: it may hold up no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.notify.channel import Reach


@dataclass(frozen=True, slots=True)
class SlackError:
    """What an error means: whom it concerns, which says what is done, and what a person can do.

    `remedy` may have a place for the scope that is `{needed}`. `of_place`: it is about where the message was to go; for
    a message that is there already that is only its old place.
    """

    reach: Reach
    remedy: str = ""
    of_place: bool = False


UNKNOWN: Final = SlackError("message")
_PASSING: Final = SlackError("receiver")
_FORM: Final = SlackError("form")
_GONE: Final = SlackError("gone")
_THREAD: Final = SlackError("thread")
_WRONG: Final = "the token is wrong: copy the bot's token (xoxb-...) again"
_REINSTALL: Final = "install the app again"
_WEBHOOK: Final = "the webhook was removed: make a new one"
_ARCHIVED: Final = "unarchive the channel, or name another one"
_ADMIN: Final = "an admin of the workspace forbids it"

_MEANINGS: Final[Mapping[SlackError, tuple[str, ...]]] = {
    # It passes by itself: tried again soon, and everything else for the receiver waits with it.
    _PASSING: (
        *("ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "update_failed"),
        *("service_unavailable", "request_timeout", "team_added_to_org", "rollup_error"),
    ),
    # The form is not shown: sent again in a plainer one.
    _FORM: (
        *("invalid_blocks", "invalid_blocks_format", "invalid_arguments", "invalid_payload", "invalid_attachments"),
        *(
            "msg_too_long",
            "msg_blocks_too_long",
            "no_text",
            "markdown_text_conflict",
            "attachment_payload_limit_exceeded",
        ),
    ),
    # The message may be there without its mention; where not, nobody may post.
    SlackError("mention", _ADMIN): ("restricted_action",),
    # The message is there no more, or stays as it is: posted anew.
    _GONE: ("message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"),
    # The message is there, and its thread takes nothing: what must be heard is posted anew.
    _THREAD: (
        *("cannot_reply_to_message", "restricted_action_thread_locked", "restricted_action_non_threadable_channel"),
        "cant_broadcast_message",
    ),
    # The place takes nothing until a person mends something: the route's next receiver is told.
    SlackError("closed", "name a channel that exists; a private one must have the app in it", True): (
        "channel_not_found",
        "channel_type_not_supported",
    ),
    SlackError("closed", "invite the app to the channel: /invite @keelwatch", True): ("not_in_channel",),
    SlackError("closed", _ARCHIVED, True): ("is_archived", "channel_is_archived"),
    SlackError("closed", _ADMIN, True): (
        *("restricted_action_read_only_channel", "restricted_action_thread_only_channel", "action_prohibited"),
        *("posting_to_general_channel_denied", "ekm_access_denied", "access_denied", "no_permission"),
        *("enterprise_is_restricted", "team_access_not_granted", "org_login_required"),
    ),
    # So does the app or its token.
    SlackError("closed", _WRONG): ("invalid_auth", "not_allowed_token_type"),
    SlackError("closed", "there is no token: set the variable that token_env names"): ("not_authed",),
    SlackError("closed", f"the app was removed: {_REINSTALL}"): ("account_inactive",),
    SlackError("closed", f"the token was revoked: {_REINSTALL}"): ("token_revoked",),
    SlackError("closed", f"the token has expired: {_REINSTALL}"): ("token_expired",),
    SlackError("closed", "give the app the scope {needed}, and install it again"): ("missing_scope",),
    SlackError("closed", _WEBHOOK): ("no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled"),
    SlackError("closed", "the webhook's address is wrong: copy it again"): ("invalid_token",),
}
SLACK_ERRORS: Final[Mapping[str, SlackError]] = MappingProxyType(
    {code: meaning for meaning, codes in _MEANINGS.items() for code in codes}
)
"""What Slack says -> what it means."""


def meaning_of(code: str, *, placed: bool) -> SlackError:
    """What the error means; `placed` says that it is about a message that was there already."""
    found = SLACK_ERRORS.get(code, UNKNOWN)
    return _GONE if placed and found.of_place else found
