"""One call of a model, from its beginning to its publication. Whatever goes wrong here stays here."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from keelwatch_client.call_form import CallForm, get, present
from keelwatch_client.context import current
from keelwatch_client.exchange import Json, now
from keelwatch_client.publisher import Publisher

P = ParamSpec("P")
R = TypeVar("R")
_LONGEST_MESSAGE: Final = 4_000


def quietly(method: Callable[Concatenate[RecordedCall, P], None]) -> Callable[Concatenate[RecordedCall, P], None]:
    """A method whose exceptions go nowhere: the call is over then, and counted once as a `fault`."""

    @functools.wraps(method)
    def kept(self: RecordedCall, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.lost:
            return
        try:
            method(self, *args, **kwargs)
        except Exception:
            self.lost = True
            self.publisher.failed()

    return kept


class RecordedCall:
    """Begins with the arguments of a call and ends once: with an answer, an error, or a stream that is over."""

    def __init__(self, publisher: Publisher, form: CallForm, fields: Json, asked: Mapping[str, Any]) -> None:
        """`fields` are those that every exchange of the client has: route and `model`."""
        self.publisher, self._form, self._fields = publisher, form, fields
        self._began = time.perf_counter()
        self._ended = self.lost = False
        self._prepare(asked)

    @quietly
    def _prepare(self, asked: Mapping[str, Any]) -> None:
        """What is asked is copied now: an application goes on with its list of messages."""
        self._around, self._ts = current(), now()
        self._request = self._form.request(asked)
        self._joiner = self._form.joiner()

    @quietly
    def chunk(self, item: Any) -> None:
        """One chunk of a stream has come."""
        self._joiner.add(item)

    @quietly
    def answered(self, result: Any) -> None:
        """The whole answer has come."""
        if not self._ended:
            self._ended = True
            self._publish(self._form.answers(result))

    @quietly
    def stream_ended(self, helper: Any = None, error: BaseException | None = None, whole: bool = False) -> None:
        """A stream is over; `helper` is the vendor's, which joins by itself, `whole` says that the last chunk came.

        Of a stream that nobody read to its end, what was read is published as `cancelled`, and nothing if that is none.
        """
        if self._ended:
            return
        self._ended = True
        answers = self._form.answers(self._joined(helper))
        if error is not None:
            answers = answers or [{"response": {}}]
            answers[0]["response"]["error"] = error_of(error)
        elif not whole:
            answers = [one for one in answers if _was_begun(one["response"])]
            for one in answers:
                one["response"].setdefault("finish_reason", "cancelled")
        self._publish(answers)

    def _joined(self, helper: Any) -> Any:
        try:
            found = None if helper is None else self._form.snapshot(helper)
        except Exception:  # it has nothing yet
            found = None
        return self._joiner.whole() if found is None else found

    @quietly
    def failed(self, error: BaseException) -> None:
        """The call ended without an answer."""
        if not self._ended:
            self._ended = True
            self._publish([{"response": {"error": error_of(error)}}])

    def _publish(self, answers: list[Json]) -> None:
        latency = (time.perf_counter() - self._began) * 1000
        for answer in answers:
            model = {**self._fields["model"], **self._request["model"], **answer.get("model", {})}
            known = {**self._fields, **self._request, **answer, **self._around}
            self.publisher.enqueue({**known, "ts": self._ts, "latency_ms": latency, "model": model}, {})


Returned = Callable[[Any, RecordedCall], Any]
"""What an application gets for a result: itself, or what records it as it is read."""


def result_of(work: Callable[[], Any], call: RecordedCall, returned: Returned) -> Any:
    """What `work` gives, as the application gets it; its failure is recorded."""
    try:
        result = work()
    except Exception as error:
        call.failed(error)
        raise
    return returned(result, call)


async def result_later(waiting: Any, call: RecordedCall, returned: Returned) -> Any:
    """The same of what is awaited."""
    try:
        result = await waiting
    except Exception as error:
        call.failed(error)
        raise
    return returned(result, call)


def _was_begun(response: Json) -> bool:
    return any(response.get(name) for name in ("content", "tool_calls", "refusal", "finish_reason"))


def error_of(error: BaseException) -> Json:
    """An exception of a model's library as the field `error`: type, status, the provider's code, and its words."""
    body = getattr(error, "body", None)
    inner = get(body, "error") if isinstance(get(body, "error"), Mapping) else body
    code = get(inner, "code") if isinstance(inner, Mapping) else None
    kind = get(inner, "type") if isinstance(inner, Mapping) else None
    return present(
        type=kind if isinstance(kind, str) else type(error).__name__,
        code=code if isinstance(code, (str, int)) else getattr(error, "status_code", None),
        status=getattr(error, "status_code", None),
        message=str(error)[:_LONGEST_MESSAGE],
    )
