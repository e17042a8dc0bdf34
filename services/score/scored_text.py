"""What of an exchange is scored: which text, whether there is an answer, and who gave it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from schemas.base import Json, canonical
from schemas.exchange import Answer, Exchange, NotMonitored
from schemas.identity import Model
from schemas.score import Flag
from services.signals.protocol import ScoredText
from services.signals.stop_reasons import broke_off, has_call, is_elsewhere, stop_of

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
USER_ROLE: Final = "user"
TOOL_ROLES: Final = frozenset({"tool", "function", "ipython", "observation"})
_FLAGS: Final[Mapping[NotMonitored, Flag]] = {
    "image": "not_monitored:image",
    "audio": "not_monitored:audio",
    "file": "not_monitored:file",
}
LONGEST: Final = 1024 * 1024
KEPT: Final = 256 * 1024


def scored_text(exchange: Exchange) -> ScoredText:
    """The last user message and the content of the answer; rules also see all user and all system messages.

    Where all of it together is longer than 1 MiB, 256 KiB of each are scored: the first of prompt, answer, system
    text and documents, and the last of what the user said before.
    """
    messages, answer = exchange.messages, exchange.answer
    # A message that holds results of tools alone is none that a person wrote, whatever its role.
    said = [one.text for one in messages if one.role == USER_ROLE and (one.text or not one.tool_text)]
    system = "\n".join(message.text for message in messages if message.role in SYSTEM_ROLES)
    response = (answer.text or "") if answered(answer) else ""
    documents = "\n".join(_retrieved(exchange))
    prompt, user = said[-1] if said else "", "\n".join(said)
    cut = len(user) + len(system) + len(response) + len(documents) > LONGEST
    if cut:
        earlier = "\n".join(said[:-1])[-KEPT:]
        prompt, response, system, documents = prompt[:KEPT], response[:KEPT], system[:KEPT], documents[:KEPT]
        user = f"{earlier}\n{prompt}" if earlier else prompt
    return ScoredText(exchange, answer, prompt, response, user, system, documents, cut)


def _retrieved(exchange: Exchange) -> Iterator[str]:
    """What came from outside: documents, messages of tools, and results of tools among the parts of others."""
    yield from (one.text for one in exchange.documents)
    for message in exchange.messages:
        if message.role in TOOL_ROLES and message.text:
            yield message.text
        if message.tool_text:
            yield message.tool_text


def not_monitored(exchange: Exchange) -> tuple[Flag, ...]:
    """The flags of what an exchange holds beside text, in the order of the schema."""
    kinds = exchange.answer.not_monitored.union(*(one.not_monitored for one in exchange.messages))
    return tuple(flag for kind, flag in _FLAGS.items() if kind in kinds)


def answered(answer: Answer) -> bool:
    """False for a provider's error, for a stop without a word that is none of the model's, and for no answer at all.

    What was delivered before an error broke it off is an answer: people have read it. Words, tool calls alone, a
    refusal in its own field, an empty text, and what a provider or its filter withheld (also as an error) are answers.
    A technical stop or a reached limit without text, and what stands only in a field that nobody reads (audio, images,
    reasoning), are none.
    """
    if (stop := stop_of(answer)) == "withheld":
        return True
    if is_broken_off(answer):
        return True
    if answer.error or answer.finish_reason == "error":
        return False
    if (answer.text or "").strip() or answer.declined is not None or has_call(answer):
        return True
    silent = answer.content is not None or answer.finish_reason is not None
    return silent and stop == "ordinary" and not is_elsewhere(answer)


def is_broken_off(answer: Answer) -> bool:
    """Whether an error ended the answer after text of it was delivered; the error's own words are none of it."""
    said = (answer.text or "").strip()
    if not said or stop_of(answer) == "withheld":
        return False
    return (
        not any(_repeats(said, words) for words in _texts_of(answer.error))
        if answer.error
        else broke_off(answer.finish_reason)
    )


_TELLING: Final = 12
_AROUND: Final = 60
_DEEPEST_ERROR: Final = 8


def _repeats(said: str, words: str) -> bool:
    """Whether what stands in the place of an answer are an error's words, as gateways write them there."""
    if said == words:
        return True
    if len(said) >= _TELLING and said in words:
        return True
    return len(words) >= _TELLING and words in said and len(said) <= len(words) + _AROUND


def _texts_of(error: Json, depth: int = 0) -> Iterator[str]:
    if isinstance(error, str):
        yield error.strip()
    elif depth < _DEEPEST_ERROR:
        inner = error.values() if isinstance(error, dict) else error if isinstance(error, (list, tuple)) else ()
        for one in inner:
            yield from _texts_of(one, depth + 1)


def model_of(text: ScoredText) -> Model:
    """Who answered, with the hashes of the system text and the tools that the publisher sent without a hash."""
    exchange, model, hashes = text.exchange, text.exchange.model, {}
    if model.system_prompt_sha256 is None and text.system_text:
        whole = "\n".join(one.text for one in exchange.messages if one.role in SYSTEM_ROLES)
        hashes["system_prompt_sha256"] = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    if model.tools_sha256 is None and exchange.tools:
        declared = sorted(canonical(tool.model_dump(mode="json", by_alias=True)) for tool in exchange.tools)
        hashes["tools_sha256"] = hashlib.sha256(b"\n".join(declared)).hexdigest()
    return model.model_copy(update=hashes) if hashes else model
