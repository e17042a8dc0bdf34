"""A judge of the route's own questions: whether the later answer to each is worse, within the calls of a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.base import hash16
from services.errors import InputError
from services.evaluate.arena import Winner
from services.evaluate.client import EndpointSettings, Patience
from services.evaluate.judged_pairs import JudgedPair, JudgedPairs, PairVerdict
from services.evaluate.result import RunResult
from services.judge.panel import JudgeWorld, usable_key
from services.judge.preferences import PREFERENCE_VERSION, QUESTION, Duel, PreferenceJudge, duels
from services.signals.custom.definition import CustomDefinition
from services.signals.custom.judge_rule import JudgeRule, judge_settings
from services.wording import signals as words

SECONDS: Final = 900.0
"""How long the pairs of one run wait for their judge, at most; what is not said by then is inconclusive."""
_PATIENCE: Final = Patience(attempts=2, seconds=30.0)


@dataclass(frozen=True, slots=True)
class PairJudge:
    """Asks one judge of the monitor file; `masked` masks a text before it leaves, None where it cannot be."""

    definition: CustomDefinition
    rule: JudgeRule
    world: JudgeWorld
    masked: Callable[[str], str | None]
    seconds: float = SECONDS

    @property
    def version(self) -> str:
        """Prompt, model and a hash of what is asked where, and how."""
        asked = [PREFERENCE_VERSION, QUESTION, self.rule.endpoint, self.rule.model, self.rule.settings]
        return f"{PREFERENCE_VERSION}+{self.rule.model}+{hash16(asked)[:12]}"

    async def judged(self, before: RunResult, after: RunResult) -> JudgedPairs:
        """What it prefers of the answers of two runs; pairs that the day's calls do not hold are left, by chance."""
        name = self.definition.spec.name
        made = JudgedPairs(before=before.id, judge=name, version=self.version)
        if (why := self._refusal()) is not None:
            return made.model_copy(update={"reason": words.why(why)})
        pairs = sorted(duels([("before", before), ("after", after)]), key=lambda one: hash16(["pair", one.item]))
        same = [one for one in pairs if one.same]
        others = [one for one in pairs if not one.same]
        calls, today = self.world.calls, self.world.clock().date()
        granted = calls.take(name, 2 * len(others), self.rule.daily_calls, today)
        calls.give_back(name, granted % 2, today)
        asked = others[: granted // 2]
        try:
            said = await self._said(asked)
        except InputError as refused:  # of its address, or of a setting
            calls.give_back(name, 2 * len(asked), today)
            return made.model_copy(update={"reason": str(refused)})
        found = [
            *((one, "tie") for one in same),
            *((one, verdict(*orders)) for one, orders in zip(asked, said, strict=True)),
        ]
        told = tuple(sorted((JudgedPair(item=item_of(one), verdict=each) for one, each in found), key=_by_item))
        return made.model_copy(update={"pairs": told, "left": len(others) - len(asked)})

    def _refusal(self) -> str | None:
        """Why it is not asked: a judge that was not held against labels judges nothing by itself."""
        if not self.world.checks.passed(self.definition.spec.name, self.definition.version):
            return "not_checked"
        rule = self.rule
        return None if rule.key_env is None or usable_key(self.world.key(rule.key_env)) else "no_key"

    async def _said(self, asked: Sequence[Duel]) -> Sequence[tuple[Winner, Winner]]:
        rule = self.rule
        key = None if rule.key_env is None else self.world.key(rule.key_env)
        if rule.key_env is not None and not usable_key(key):
            raise InputError(words.why("no_key"))
        settings = EndpointSettings(rule.endpoint, rule.model, judge_settings(rule), key=key)
        hosts, world = tuple(self.world.allow_hosts), self.world
        judge = PreferenceJudge(
            settings, hosts, world.clock, world.mark, self.masked, 2 * len(asked), patience=_PATIENCE
        )
        return await judge.both_orders(asked, self.seconds)


def verdict(first: Winner, second: Winner) -> PairVerdict:
    """What two orders say of the later answer, `b`.

    >>> verdict("b", "b"), verdict("a", "a"), verdict("a", "b"), verdict("a", "tie"), verdict("b", "inconclusive")
    ('better', 'worse', 'by_order', 'by_order', 'inconclusive')
    """
    if "inconclusive" in (first, second):
        return "inconclusive"
    if first != second:
        return "by_order"
    return "tie" if first == "tie" else "better" if first == "b" else "worse"


def item_of(duel: Duel) -> str:
    """The id of the item of a pair; its hash stands behind it."""
    return duel.item.split(" ")[0]


def _by_item(pair: JudgedPair) -> str:
    return pair.item
