"""What an API of endpoints must tell: how a question is sent in its form, and what came back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from schemas.base import canonical
from services.errors import InputError
from services.evaluate.result import MadeCall
from services.evaluate.suite import AskedCall, DeclaredTool, PromptMessage
from services.monitor.target_api import ApiName, TargetApi, wrong_setting

MANY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """What is asked, in no API's form yet.

    Attributes:
        settings: handed on as they are.
    """

    model: str
    messages: Sequence[PromptMessage]
    tools: Sequence[DeclaredTool] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """An answer, as far as its form is known.

    Attributes:
        raw: the whole JSON; of an event stream, what it says when it is joined.
        calls: of tools, in order.
        finish_reason: why it ended, in the vendor's word.
        fingerprint: of the system behind the model.
    """

    raw: Mapping[str, Any]
    text: str | None
    refusal: str | None = None
    calls: tuple[MadeCall, ...] = ()
    finish_reason: str | None = None
    served: str | None = None
    fingerprint: str | None = None

    @property
    def tool_calls(self) -> bool:
        """Whether it calls tools."""
        return bool(self.calls)


@dataclass(frozen=True, slots=True)
class EndpointFault:
    """Why there is no answer.

    Attributes:
        tries: requests after which it makes no sense to ask once more.
        after: seconds that the endpoint wants to be left alone, by all who ask it.
        raw: its JSON, when it was some.
    """

    words: str
    tries: int = 1
    after: float = 0.0
    raw: Any = None


class StreamEnded(Exception):  # noqa: N818 -- what came, not a malfunction of ours
    """An event stream that ended before the answer did: what there is of it is no answer."""


class ApiForm(Protocol):
    """The form of one API. What it cannot read raises KeyError, IndexError, TypeError or AttributeError."""

    name: ClassVar[ApiName]
    api: ClassVar[TargetApi]

    def request(self, asked: AskedPrompt) -> dict[str, Any]:
        """What is sent beside the settings."""
        ...

    def error(self, raw: Any) -> Any:
        """The error that stands where an answer of status 200 should; None when there is none."""
        ...

    def answer(self, raw: Any) -> EndpointAnswer:
        """The answer in a whole body."""
        ...

    def joined(self, events: Sequence[Mapping[str, Any]], ended: bool) -> Any:
        """The whole body that the events of a stream add up to; `ended`: whether the stream says that it is whole.

        Raises:
            StreamEnded: if they are a part of it.
        """
        ...


def request_body(form: ApiForm, asked: AskedPrompt) -> bytes:
    """The body of a request; settings are handed on as they are, and the answer is asked for as a whole.

    Raises:
        InputError: if a setting is one of those that belong to the runner.
    """
    refuse_settings(form, asked.settings)
    sent = {**form.api.defaults, **asked.settings, "model": asked.model, "stream": False}
    return canonical({**sent, **form.request(asked)})


def refuse_settings(form: ApiForm, settings: Mapping[str, Any]) -> None:
    """Nothing, if the settings can be those of a target.

    Raises:
        InputError: names one that cannot.
    """
    if (wrong := wrong_setting(form.name, settings)) is not None:
        raise InputError(f"settings.{wrong[0]}: {wrong[1]}")


def declared(asked: AskedPrompt, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The field `tools`: those of the settings, as they are, and behind them the item's in the API's form."""
    every = [*asked.settings.get("tools", ()), *tools]
    return {"tools": every} if every else {}


def numbered_calls(messages: Sequence[PromptMessage]) -> tuple[PromptMessage, ...]:
    """The messages with an id for every call that has none; a tool's message without one answers the oldest open call.

    The ids have nine letters and digits, which every vendor takes.
    """
    found: list[PromptMessage] = []
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message.tool_calls:
            calls = tuple(_numbered(call, place, i) for i, call in enumerate(message.tool_calls))
            waiting = [call.id for call in calls]
            found.append(message.model_copy(update={"tool_calls": calls}))
        elif message.role == "tool":
            answered = message.tool_call_id or next(iter(waiting), _call_id(place, 0))
            waiting = [id for id in waiting if id != answered]
            found.append(message.model_copy(update={"tool_call_id": answered}))
        else:
            found.append(message)
    return tuple(found)


def _numbered(call: AskedCall, place: int, i: int) -> AskedCall:
    return call if call.id else call.model_copy(update={"id": _call_id(place, i)})


def _call_id(place: int, i: int) -> str:
    return f"call{place:03d}{i:02d}"
