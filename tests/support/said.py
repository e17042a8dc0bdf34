"""Exchanges for tests of signals: what was asked, what was answered, as the score step sees it."""

from __future__ import annotations

from typing import Any

from schemas.exchange import Answer, Exchange, Message
from schemas.identity import Model
from services.score.scored_text import scored_text
from services.signals.protocol import ScoredText


def said(
    response: str | None, prompt: str = "Tell me.", system: str = "", earlier: str = "", **answer: Any
) -> ScoredText:
    """An exchange: system text, an earlier user message, the prompt, and an answer with further fields.

    Without NUL, which the ingest step has replaced by then.
    """
    response = None if response is None else response.replace("\0", "\ufffd")
    prompt, system, earlier = (text.replace("\0", "\ufffd") for text in (prompt, system, earlier))
    turns = (("system", system), ("user", earlier), ("user", prompt))
    messages = tuple(
        Message(role=role, content=text) for role, text in turns if text or (role, text) == ("user", prompt)
    )
    structured = Answer(content=response, **answer)
    return scored_text(Exchange(route="test/signals", model=Model(requested="m"), prompt=messages, response=structured))
