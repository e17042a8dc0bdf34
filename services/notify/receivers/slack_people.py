"""Who somebody is at Slack: full member or guest, and in which user groups. Asked for, and kept for a minute."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Generic, TypeVar

from services.monitor import SlackAccess, SlackGrant
from services.notify.buttons import Press
from services.notify.channel import NotAccepted
from services.notify.press_access import (
    RoleRules,
    SlackPerson,
    grants_on,
    refusal_of_person,
    refusal_of_place,
    refusal_of_role,
)
from services.notify.receivers.slack import SlackBot
from services.wording.notifications import not_checked

KEPT_SECONDS: Final = 60.0
"""How long somebody who was taken out of a group may still decide."""
MOST_KEPT: Final = 1_000

T = TypeVar("T")


class AskedLately(Generic[T]):
    """Answers to questions by id, each asked again when it is older than a minute; a failure is not kept."""

    def __init__(self, ask: Callable[[str], Awaitable[T]], tick: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._tick = ask, tick
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()

    async def of(self, id: str) -> T:
        """The answer.

        Raises:
            NotAccepted: if there is none.
        """
        at, now = self._known.get(id), self._tick()
        if at is not None and now - at[0] < KEPT_SECONDS:
            return at[1]
        self._known.pop(id, None)
        found = await self._ask(id)
        self._known[id] = (now, found)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return found


class SlackPeople:
    """Looks people and user groups up. What cannot be looked up is nobody."""

    def __init__(self, bot: SlackBot, tick: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self.people = AskedLately(self._person, tick)
        self.groups = AskedLately(self._members, tick)

    async def _person(self, id: str) -> SlackPerson:
        user = _mapping((await self._bot.read("users.info", {"user": id})).get("user"))
        # What is not said is not so: a full member has both flags, and they are false.
        full = user.get("id") == id and user.get("is_restricted") is False and user.get("is_ultra_restricted") is False
        full = full and not any(user.get(name) for name in ("deleted", "is_bot", "is_stranger"))
        return SlackPerson(str(user.get("team_id") or ""), full)

    async def _members(self, id: str) -> frozenset[str]:
        said = await self._bot.read("usergroups.users.list", {"usergroup": id})
        users = said.get("users")
        return frozenset(one for one in users if isinstance(one, str)) if isinstance(users, list) else frozenset()


class PressPermission:
    """Says why a press does not count, None if it does. Whatever cannot be found out is a refusal."""

    def __init__(self, access: SlackAccess | None, people: SlackPeople | None, rules: RoleRules) -> None:
        """Without `access` nobody may; without `people` nobody can be looked up."""
        self._access, self._people, self._rules = access, people, rules

    async def __call__(self, press: Press, route: str) -> str | None:
        """Why not, in words for the person who pressed."""
        access = self._access
        refused = refusal_of_place(press, access, route)
        if refused is not None or access is None:
            return refused
        if self._people is None:
            return not_checked(f"{access.token_env} is not set")
        try:
            refused = refusal_of_person(await self._people.people.of(press.user), access)
            if refused is not None:
                return refused
            held = await _held(press.user, grants_on(access, route, self._rules), self._people, self._rules)
        except NotAccepted as trouble:
            return not_checked(str(trouble))
        return refusal_of_role(press.user, held, route, self._rules)


async def _held(
    user: str, grants: Collection[SlackGrant], people: SlackPeople, rules: RoleRules
) -> tuple[SlackGrant, ...]:
    """What the person has of the grants; groups are asked for only where the person's own id does not suffice."""
    own = tuple(one for one in grants if user in one.users)
    if refusal_of_role(user, own, "", rules) is None:
        return own
    groups = sorted({group for one in grants for group in one.groups})
    members = dict(zip(groups, await asyncio.gather(*(people.groups.of(group) for group in groups)), strict=True))
    return tuple(one for one in grants if user in one.users or any(user in members[group] for group in one.groups))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
