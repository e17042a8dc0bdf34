"""What of an exchange is scored: which text, whether there is an answer, and who gave it."""

from __future__ import annotations

import hashlib
from typing import Final

from schemas.exchange import Answer, Exchange
from schemas.identity import Model
from services.ports import ScoredText

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
USER_ROLE: Final = "user"
LONGEST: Final = 1024 * 1024
KEPT: Final = 256 * 1024


def scored_text(exchange: Exchange) -> ScoredText:
    """The last user message and the content of the answer; rules also see all user and all system messages."""
    said = [message.text for message in exchange.messages if message.role == USER_ROLE]
    return ScoredText(
        exchange=exchange,
        prompt=_bounded(said[-1] if said else ""),
        response=_bounded(exchange.answer.content or "") if answered(exchange) else "",
        user_text="\n".join(said),
        system_text=_system_text(exchange),
    )


def is_cut(exchange: Exchange, text: ScoredText) -> bool:
    """Whether more was said than is scored (the ingest step cuts before; this catches who comes another way)."""
    said = [message.text for message in exchange.messages if message.role == USER_ROLE]
    content = exchange.answer.content if answered(exchange) else None
    return len(text.prompt) < len(said[-1] if said else "") or len(text.response) < len(content or "")


def answered(exchange: Exchange) -> bool:
    """False for a provider error and for no answer at all.

    Tool calls alone, a refusal in its own field, an empty text, or a stop by the provider are answers.
    """
    answer = exchange.answer
    if answer.error or answer.finish_reason == "error":
        return False
    return _says_something(answer)


def _says_something(answer: Answer) -> bool:
    has_words = answer.content is not None or answer.refusal is not None
    return has_words or bool(answer.tool_calls) or answer.finish_reason is not None


def model_of(exchange: Exchange) -> Model:
    """Who answered, with the hash of the system text where the publisher sent the text and no hash."""
    system = _system_text(exchange)
    if exchange.model.system_prompt_sha256 is not None or not system:
        return exchange.model
    hashed = hashlib.sha256(system.encode("utf-8", "surrogatepass")).hexdigest()
    return exchange.model.model_copy(update={"system_prompt_sha256": hashed})


def _system_text(exchange: Exchange) -> str:
    return "\n".join(message.text for message in exchange.messages if message.role in SYSTEM_ROLES)


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else text[:KEPT]
