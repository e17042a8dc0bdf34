"""What of an exchange is scored: which text, whether there is an answer, and who gave it."""

from __future__ import annotations

import hashlib
from typing import Final

from schemas.exchange import Answer, Exchange
from schemas.identity import Model
from services.signals.protocol import ScoredText

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
USER_ROLE: Final = "user"
LONGEST: Final = 1024 * 1024
KEPT: Final = 256 * 1024


def scored_text(exchange: Exchange) -> ScoredText:
    """The last user message and the content of the answer; rules also see all user and all system messages."""
    messages, answer = exchange.messages, exchange.answer
    texts = [message.text for message in messages if message.role == USER_ROLE]
    return ScoredText(
        exchange=exchange,
        answer=answer,
        prompt=_bounded(texts[-1] if texts else ""),
        response=_bounded(answer.content or "") if answered(answer) else "",
        user_text="\n".join(texts),
        system_text="\n".join(message.text for message in messages if message.role in SYSTEM_ROLES),
    )


def is_cut(text: ScoredText) -> bool:
    """Whether more was said than is scored (the ingest step cuts before; this catches who comes another way)."""
    if KEPT not in (len(text.prompt), len(text.response)):
        return False
    texts = [message.text for message in text.exchange.messages if message.role == USER_ROLE]
    content = text.answer.content if answered(text.answer) else None
    return len(text.prompt) < len(texts[-1] if texts else "") or len(text.response) < len(content or "")


def answered(answer: Answer) -> bool:
    """False for a provider error and for no answer at all.

    Tool calls alone, a refusal in its own field, an empty text, or a stop by the provider are answers.
    """
    if answer.error or answer.finish_reason == "error":
        return False
    has_words = answer.content is not None or answer.refusal is not None
    return has_words or bool(answer.tool_calls) or answer.finish_reason is not None


def model_of(text: ScoredText) -> Model:
    """Who answered, with the hash of the system text where the publisher sent the text and no hash."""
    model = text.exchange.model
    if model.system_prompt_sha256 is not None or not text.system_text:
        return model
    hashed = hashlib.sha256(text.system_text.encode("utf-8", "surrogatepass")).hexdigest()
    return model.model_copy(update={"system_prompt_sha256": hashed})


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else text[:KEPT]
