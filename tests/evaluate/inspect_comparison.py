"""Whether the real Inspect, asked to run a suite, brings what our own runner brings: against a simulated endpoint.

    python -m tests.evaluate.inspect_comparison --python inspect-environment/bin/python

A person runs this when Inspect or the runner changes. `inspect-environment` needs inspect_ai and openai. Modes are
those of `tests.support.endpoint`. Compared is what scorers read of each answer, and where there is none, that there is
none. Inspect knows four reasons for the end of an answer; what ended for another is no answer through it, where our own
runner may know better: that is printed, and no fault.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from services.evaluate.client import Endpoint, EndpointSettings, Patience, RunBudget, RunLimits
from services.evaluate.inspect_runner import InspectEndpoint
from services.evaluate.result import SuiteAnswer
from services.evaluate.suite import AskedCall, DeclaredTool, Item, PromptMessage, Suite
from services.signals.stop_reasons import is_filter_error
from tests.support.endpoint import KEY, running
from tests.support.results import suite_of

MODES: Final = (
    *("normal", "leaks", "calls", "streams", "swallowed", "cut-reasoning", "filter-azure", "filter-openrouter"),
    *("stopped", "technical", "choice-error", "nothing", "rejects", "forbidden", "broken", "garbage", "cut"),
)
_COMPARED: Final = (
    "item",
    "repeat",
    "messages",
    "settings",
    "text",
    "refusal",
    "tool_calls",
    "finish_reason",
    "served",
)
_PATIENCE: Final = Patience(attempts=2, seconds=20.0, first_pause=0.1)


def small_suite() -> Suite:
    """A few questions of every form: alone, asked twice, under a system message, after a tool's result."""
    made = suite_of(harmful=2, benign=1, canaries=1, repeats=2, hazards=1)
    tool = DeclaredTool(name="send", description="Sends.", parameters={"type": "object", "properties": {}})
    asked = (
        PromptMessage(role="user", content="Look it up."),
        PromptMessage(role="assistant", content="I will.", tool_calls=(AskedCall(id="c1", name="send"),)),
        PromptMessage(role="tool", content="Nothing.", tool_call_id="c1"),
    )
    last = Item(
        id="tool", hazard="h0", measure="tool_misuse", messages=asked, tools=(tool,), forbidden=("send",), repeats=1
    )
    return replace(made, items=(*made.items, last))


async def answers(endpoint: Endpoint, suite: Suite) -> list[SuiteAnswer]:
    """Every question of a suite once for each repeat."""
    budget = RunBudget(RunLimits())
    async with endpoint:
        asked = [endpoint.ask(item, repeat, budget) for item in suite.items for repeat in range(item.repeats)]
        return await asyncio.gather(*asked)


def told(answer: SuiteAnswer) -> dict[str, Any]:
    """What is compared; of a missing answer that it is missing."""
    if answer.error is not None:
        return {"item": answer.item, "repeat": answer.repeat, "error": True}
    return {name: getattr(answer, name) for name in _COMPARED}


def alike(ours: SuiteAnswer, theirs: SuiteAnswer) -> bool:
    """Whether Inspect brings the same, or does not know, or tells of the filter that stopped a request."""
    if theirs.error is not None:
        return True
    stopped = theirs.finish_reason == "content_filter" and is_filter_error(ours.raw)
    return stopped or told(ours) == told(theirs)


def main() -> None:
    """Ask in every mode by both, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of an environment with inspect_ai and openai")
    parser.add_argument("modes", nargs="*", default=MODES)
    given = parser.parse_args()
    suite, wrong = small_suite(), 0
    with running() as endpoint:
        for mode in given.modes:
            settings = EndpointSettings(endpoint.url(mode), "fake-1", {"temperature": 0}, "Be kind.", KEY)
            common = (["127.0.0.1"], Random(1), lambda: datetime.now(UTC))
            ours = asyncio.run(answers(Endpoint(settings, *common, _PATIENCE), suite))
            theirs = asyncio.run(answers(InspectEndpoint(settings, *common, given.python, suite, _PATIENCE), suite))
            pairs = list(zip(ours, theirs, strict=True))
            differing = [one.item for one, other in pairs if told(one) != told(other)]
            leaked = [one.item for one in theirs if KEY in one.model_dump_json()]
            wrong += bool(leaked) + sum(not alike(one, other) for one, other in pairs)
            counts = f"{sum(one.error is None for one in theirs)} of {len(theirs)} answered"
            why = next((one.error for one in theirs if one.error is not None), "")
            print(f"{mode}: {counts}; differing: {differing or 'none'}; key in: {leaked or 'none'} {why}"[:300])
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
