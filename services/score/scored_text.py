"""What of an exchange is scored: which text, whether there is an answer, and who gave it."""

from __future__ import annotations

import hashlib
from typing import Final

from schemas.exchange import Answer, Exchange
from schemas.identity import Model
from services.signals.protocol import ScoredText
from services.signals.stop_reasons import has_call, is_elsewhere, stop_of

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
USER_ROLE: Final = "user"
LONGEST: Final = 1024 * 1024
KEPT: Final = 256 * 1024


def scored_text(exchange: Exchange) -> ScoredText:
    """The last user message and the content of the answer; rules also see all user and all system messages.

    Where all of it together is longer than 1 MiB, 256 KiB of each are scored: the first of prompt, answer and system
    text, and the last of what the user said before.
    """
    messages, answer = exchange.messages, exchange.answer
    said = [message.text for message in messages if message.role == USER_ROLE]
    system = "\n".join(message.text for message in messages if message.role in SYSTEM_ROLES)
    response = (answer.content or "") if answered(answer) else ""
    prompt, user = said[-1] if said else "", "\n".join(said)
    cut = len(user) + len(system) + len(response) > LONGEST
    if cut:
        earlier = "\n".join(said[:-1])[-KEPT:]
        prompt, response, system = prompt[:KEPT], response[:KEPT], system[:KEPT]
        user = f"{earlier}\n{prompt}" if earlier else prompt
    return ScoredText(exchange, answer, prompt, response, user, system, cut)


def answered(answer: Answer) -> bool:
    """False for a provider's error, for a stop without a word that is none of the model's, and for no answer at all.

    Words, tool calls alone, a refusal in its own field, an empty text, and what a provider or its filter withheld (also
    as an error) are answers. A technical stop or a reached limit without text, and what stands only in a field that
    nobody reads (audio, images, reasoning), are none.
    """
    if (stop := stop_of(answer)) == "withheld":
        return True
    if answer.error or answer.finish_reason == "error":
        return False
    if (answer.content or "").strip() or answer.refusal is not None or has_call(answer):
        return True
    silent = answer.content is not None or answer.finish_reason is not None
    return silent and stop == "ordinary" and not is_elsewhere(answer)


def model_of(text: ScoredText) -> Model:
    """Who answered, with the hash of the system text where the publisher sent the text and no hash."""
    model = text.exchange.model
    if model.system_prompt_sha256 is not None or not text.system_text:
        return model
    messages = text.exchange.messages
    whole = "\n".join(one.text for one in messages if one.role in SYSTEM_ROLES) if text.cut else text.system_text
    hashed = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    return model.model_copy(update={"system_prompt_sha256": hashed})
