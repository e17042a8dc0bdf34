"""Which rails are run over which texts, and what goes to their process and comes back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.base import hash16
from schemas.exchange import Exchange, Guardrail
from services.monitor import GuardrailPolicy, RailPolicy

LONGEST: Final = 64 * 1024
"""Characters of prompt and of response that a rail is given."""
_OUTCOMES: Final = ("pass", "modified", "blocked")


class Pair(NamedTuple):
    """The last user message and the answer of an exchange."""

    prompt: str
    response: str


class RailReply(NamedTuple):
    """What the rails said of one pair; the class of the error of those that could not."""

    outcomes: tuple[Guardrail, ...] = ()
    errors: Mapping[str, str] = {}


def order(policy: GuardrailPolicy) -> str:
    """The first line for the process: what it runs."""
    return json.dumps({"rails": [_described(rail) for rail in policy.rails], "hosts": list(policy.hosts)})


def _described(rail: RailPolicy) -> dict[str, Any]:
    common = {"name": rail.name, "text": rail.text}
    if rail.validator is not None:
        arguments = json.loads(rail.arguments)
        return common | {
            "kind": "guardrails_ai",
            "validator": rail.validator,
            "arguments": arguments,
            "mends": rail.mends,
        }
    return common | {"kind": "nemo_guardrails", "folder": rail.folder, "flow": rail.flow}


def question(pairs: Sequence[Pair]) -> str:
    """A line that asks about pairs."""
    return json.dumps(
        {"pairs": [{"prompt": one.prompt[:LONGEST], "response": one.response[:LONGEST]} for one in pairs]}
    )


def read_reply(line: str, count: int) -> list[RailReply]:
    """What the process says of `count` pairs.

    Raises:
        ValueError: if it is no answer to them; nothing of it is used.
    """
    told = json.loads(line).get("outcomes")
    if not isinstance(told, list) or len(told) != count:
        raise ValueError(f"no answer to {count} pairs")
    return [_read(one) for one in told]


def _read(told: Any) -> RailReply:
    outcomes, errors = [], {}
    for name, said in sorted(told.items()):
        if said.get("outcome") in _OUTCOMES:
            outcomes.append(Guardrail(name=name, outcome=said["outcome"]))
        else:
            errors[name] = str(said.get("error", "an unknown outcome"))[:100]
    return RailReply(tuple(outcomes), errors)


def with_outcomes(exchange: Exchange, outcomes: Sequence[Guardrail]) -> Exchange:
    """The exchange with outcomes beside those that its publisher reported; of two with one name, the publisher's."""
    reported = {one.name for one in exchange.guardrails}
    added = tuple(one for one in outcomes if one.name not in reported)
    return exchange.model_copy(update={"guardrails": (*exchange.guardrails, *added)}) if added else exchange


def plan_version(policy: GuardrailPolicy) -> str:
    """8 hex digits that change with any rail and its arguments; where a folder lies does not count."""
    rails = [{**_described(rail), "folder": (rail.folder or "").rpartition("/")[2]} for rail in policy.rails]
    return hash16([rails, policy.share])[:8]
