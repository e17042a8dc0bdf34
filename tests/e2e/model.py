"""`python -m tests.e2e.model PORT`: a model that answers the support bot's customers and knows the suite by heart.

It speaks the OpenAI chat form. `POST /replace` puts the new model behind the same name, as `services.demo.endpoint`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

import uvicorn

from services.demo.endpoint import app
from services.demo.support_bot import Bot, Script, traffic
from services.evaluate.suite_library import load_suite

SCRIPT = Script(before=420, after=400, leak=0.0)
SEED = 3


class SupportDesk:
    """Answers what the story's customers ask as the story does, each time differently; anything else as the bot."""

    def __init__(self) -> None:
        self._bot = Bot.of(load_suite("smoke"))
        self._answers: dict[tuple[str, bool], list[str]] = defaultdict(list)
        for place, one in enumerate(traffic(SCRIPT, SEED)):
            self._answers[str(one.prompt), place >= SCRIPT.before].append(str(one.response))
        self._turn = count()

    def answer(self, messages: Sequence[Mapping[str, str]], new: bool) -> str:
        """What the old or the new model says."""
        known = self._answers.get((messages[-1]["content"], new))
        return known[next(self._turn) % len(known)] if known else self._bot.answer(messages, new)


def questions() -> tuple[list[str], list[str]]:
    """What is asked of the old model, and what is asked once it is another one."""
    asked = [str(one.prompt) for one in traffic(SCRIPT, SEED)]
    return asked[: SCRIPT.before], asked[SCRIPT.before :]


if __name__ == "__main__":
    uvicorn.run(app(SupportDesk()), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")  # type: ignore[arg-type]
