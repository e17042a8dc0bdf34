"""The list of exchanges: narrowed down by what its address says, a page at a time, and the same as a file."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.score import CATEGORY, LONGEST_CATEGORY, Flag
from services import specs
from services.api.auth.authorization import Principal, needs, who
from services.api.http.paging import check_span, cursor_of, place_of
from services.api.http.parameters import NameText, PageText, refuse_unknown
from services.api.http.problems import Problem, call_store, query_store
from services.api.pages import exchange
from services.api.pages.render import PageContext, page
from services.api.resources.exchanges import scored_exchange
from services.store import exchange_search, routes
from services.store.engine import Database
from services.store.exchange_search import ExchangePlace, ExchangeSearch, FoundExchanges
from services.store.scores import StoredExchange
from services.store.tables import TimeSpan
from services.wording import exchanges as words
from services.wording import nouns

_PAGE: Final = 50
_PAGE_OF_FILE: Final = 500
_BYTES_OF_FILE: Final = 4 * 1024 * 1024  # of stored text that is held at a time; a file of more comes in more pieces
MOST_EXPORTED: Final = 10_000
_MOST_ROUTES: Final = 200
_NAME: Final = re.compile(r"[a-z0-9_.]{1,100}")
_FLAGS: Final[tuple[str, ...]] = get_args(Flag)
_ORDERS: Final = {"": "newest first", "oldest": "oldest first"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS: Final = (
    *("ts", "route", "id", "model", "identity", "event_index", "conversation", "user", "flags", "found", "signals"),
    *("text", "prompt", "response"),
)
Cursor = Annotated[str, Query(max_length=4_000)]
"""As long as the longest id of four bytes a character makes it: 2,731 beside route and time, and all of that by 4/3."""


@dataclass(frozen=True, slots=True)
class AskedExchanges:
    """What the address says, as it was written; `from` and `to` are called `since` and `until` here."""

    route: PageText = ""
    since: Annotated[PageText, Query(alias="from")] = ""
    until: Annotated[PageText, Query(alias="to")] = ""
    signal: PageText = ""
    value: PageText = ""
    identity: PageText = ""
    flag: PageText = ""
    conversation: NameText = ""
    user: NameText = ""
    text: PageText = ""
    kept: PageText = ""
    order: PageText = ""

    @property
    def query(self) -> dict[str, str]:
        """What is asked for, under the names of the address."""
        called = {"since": "from", "until": "to"}
        named = {called.get(one.name, one.name): getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in named.items() if value}

    @property
    def within(self) -> str:
        """The route, or the pattern of routes, as routes are written."""
        return self.route.strip().lower()

    @property
    def narrowed(self) -> bool:
        """Whether less than everything is asked for."""
        return bool(self.query.keys() - {"order"})

    def link(self, path: str = "/exchanges", **more: str) -> str:
        """An address with the same filters."""
        return f"{path}?{urlencode({**self.query, **more})}"


Asked = Annotated[AskedExchanges, Depends(AskedExchanges)]


def search_of(asked: AskedExchanges, asker: Principal) -> ExchangeSearch:
    """What is looked for, among what the asker sees.

    Raises:
        Problem: 422 names the field.
    """
    _check("signal", not asked.signal or _NAME.fullmatch(asked.signal), "is the name of a signal, such as refusal")
    _check("identity", not asked.identity or re.fullmatch(HEX16, asked.identity), "must be 16 of 0-9 and a-f")
    _check("flag", not asked.flag or asked.flag in _FLAGS, f"choose one of {', '.join(_FLAGS)}")
    _check("order", asked.order in _ORDERS, "choose oldest, or leave it out for the newest first")
    _check("kept", asked.kept in ("", "1"), "must be 1, or be left out")
    _check("value", not asked.value or asked.signal, "say of which signal")
    category = len(asked.value) <= LONGEST_CATEGORY and re.fullmatch(CATEGORY, asked.value)
    _check("value", not asked.value or category, "must be true, false, unscored, or the name of a category")
    return ExchangeSearch(
        asker.routes,
        asked.within or None,
        _span(asked),
        asked.identity or None,
        asked.signal or None,
        asked.value or "true",
        asked.flag or None,
        asked.conversation or None,
        asked.user or None,
        asked.kept == "1",
        asked.text.strip() or None,
        asked.order == "oldest",
    )


def _check(field: str, fits: object, remedy: str) -> None:
    if not fits:
        raise Problem.of_field(field, remedy)


def _span(asked: AskedExchanges) -> TimeSpan:
    since, until = _time("from", asked.since), _time("to", asked.until)
    check_span(since, until, ("from", "to"))
    return TimeSpan(since, until)


def _time(field: str, said: str) -> datetime | None:
    """A time; one without a zone is in UTC."""
    if not said:
        return None
    try:
        ts = datetime.fromisoformat(said)
    except ValueError:
        raise Problem.of_field(field, "write a time such as 2026-11-24T12:00 (UTC) or 2026-11-24") from None
    return ts.replace(tzinfo=UTC) if ts.tzinfo is None else ts


@dataclass(frozen=True, slots=True)
class ExchangeLine:
    """One exchange in the list."""

    one: StoredExchange
    href: str
    model: str
    found: str
    flags: str
    snippet: str
    conversation: str


@dataclass(frozen=True, slots=True)
class _FormNames:
    """What the form offers, and the names of those who answered: (route, identity) -> name."""

    routes: tuple[str, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[tuple[str, str], str] = field(default_factory=dict)


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the list, of its files, and of one exchange."""
    return _listing(parts), _files(parts), *exchange.routers(parts)


def _listing(parts: PageContext) -> APIRouter:
    told = [needs(parts.guard, "viewer"), Depends(refuse_unknown)]
    made = APIRouter(include_in_schema=False, dependencies=told)

    @made.get("/exchanges")
    async def exchanges(request: Request, asked: Asked, cursor: Cursor = "") -> Response:
        problem, found, after = None, FoundExchanges(()), None
        try:
            wanted = search_of(asked, who(request))
            after = _place(cursor, wanted)
            found = await query_store(parts.database, exchange_search.search, wanted, after, _PAGE)
        except Problem as error:
            if error.status != 422:
                raise
            problem = error
        names = await query_store(parts.database, _names, who(request), asked, found.exchanges)
        shown = {
            "asked": asked,
            "problem": problem,
            "lines": _lines(found.exchanges, names.models, asked),
            "heading": words.heading(len(found.exchanges), found.next is not None, asked.narrowed, after is not None),
            "found": found,
            "following": None if found.next is None else asked.link(cursor=_cursor(found.next)),
            "first": asked.link() if cursor else None,
            "scanned": exchange_search.SCANNED_TEXTS if asked.text or asked.kept else exchange_search.SCANNED,
            "most": MOST_EXPORTED,
            "names": names,
            "signals": _signals(asked.signal),
            "flags": {name: nouns.flags([name]) for name in _FLAGS},
            "orders": _ORDERS,
            "now": parts.decisions.clock(),
        }
        return page(request, "exchanges.html", shown, 200 if problem is None else 422)

    return made


def _signals(asked: str) -> Mapping[str, str]:
    """The signals that can be asked for, by title; that of the address in any case."""
    names = dict.fromkeys([*specs.signals(), *([asked] if _NAME.fullmatch(asked) else [])])
    return dict(sorted(((name, nouns.signal_title(name)) for name in names), key=lambda one: one[1]))


def _names(
    connection: Connection, asker: Principal, asked: AskedExchanges, found: Sequence[StoredExchange]
) -> _FormNames:
    known = {name: routes.identities(connection, name) for name in sorted({one.route for one in found})}
    models = {(name, id): nouns.model_name(model) for name, some in known.items() for id, model in some.items()}
    own = routes.identities(connection, asked.within) if asker.sees(asked.within) else {}
    named = {id: nouns.model_name(model) for id, model in own.items()}
    if named and asked.identity:  # what is in force is shown, also where the route knows no such model
        named.setdefault(asked.identity, nouns.UNKNOWN_MODEL)
    return _FormNames(routes.some(connection, asker.routes, _MOST_ROUTES), named, models)


def _lines(
    found: Sequence[StoredExchange], models: Mapping[tuple[str, str], str], asked: AskedExchanges
) -> tuple[ExchangeLine, ...]:
    return tuple(
        ExchangeLine(
            one,
            words.link(one.route, one.id),
            models.get((one.route, one.identity), nouns.UNKNOWN_MODEL),
            words.found(_true(one)),
            nouns.flags(one.flags),
            words.snippet(one.sample),
            _conversation(one, asked),
        )
        for one in found
    )


def _conversation(one: StoredExchange, asked: AskedExchanges) -> str:
    """The link to an exchange's conversation; none where the list is of that one already."""
    there = asked.conversation == one.conversation and asked.within == one.route
    return "" if there or not one.conversation else words.conversation_link(one.route, one.conversation)


def _true(one: StoredExchange) -> list[str]:
    if one.signals is None:
        return [] if one.sample is None else list(one.sample.signals)
    return [name for name, signal in one.signals.items() if signal.value is True]


def _cursor(place: ExchangePlace) -> str:
    ts, route, number = place
    return cursor_of(ts, f"{route} {base64.urlsafe_b64encode(number.encode()).decode()}")


def _place(cursor: str, wanted: ExchangeSearch) -> ExchangePlace | None:
    if not cursor:
        return None
    ts, rest = place_of(cursor)
    route, _, written = rest.partition(" ")
    try:
        number = base64.b64decode(written, altchars=b"-_", validate=True).decode()
    except ValueError:
        number = ""
    if not number or "\0" in number or not (wanted.of_texts or re.fullmatch(r"[0-9]{1,18}", number)):
        raise Problem.of_field("cursor", "is none of ours; open the list anew")
    return ts, route, number


def _files(parts: PageContext) -> APIRouter:
    told = [needs(parts.guard, "viewer"), Depends(refuse_unknown)]
    made = APIRouter(include_in_schema=False, dependencies=told)

    @made.get("/exchanges.csv")
    async def as_csv(request: Request, asked: Asked) -> Response:
        pieces = _pieces(parts, search_of(asked, who(request)), "csv")
        return await _file(pieces, "text/csv; charset=utf-8", "exchanges.csv")

    @made.get("/exchanges.jsonl")
    async def as_lines(request: Request, asked: Asked) -> Response:
        pieces = _pieces(parts, search_of(asked, who(request)), "jsonl")
        return await _file(pieces, "application/x-ndjson", "exchanges.jsonl")

    return made


async def _file(pieces: AsyncIterator[bytes], kind: str, name: str) -> Response:
    """The pieces one after another; what keeps the first one from being read is a problem, and no empty file."""
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(all_pieces(), media_type=kind, headers=headers)


Rows = list[dict[str, Any]]


async def _pieces(parts: PageContext, wanted: ExchangeSearch, kind: str) -> AsyncIterator[bytes]:
    """What fits, page by page, each read in one state of the database; a fault ends the file before its end.

    The bytes are made in the thread that reads: other requests are answered meanwhile.
    """
    after, left, first = None, MOST_EXPORTED, True
    while left > 0:
        piece, n, after = await call_store(partial(_piece, parts.database, wanted, after, left, kind, first))
        left, first = left - n, False
        yield piece
        if after is None:
            return


def _piece(
    database: Database, wanted: ExchangeSearch, after: ExchangePlace | None, left: int, kind: str, first: bool
) -> tuple[bytes, int, ExchangePlace | None]:
    """The next bytes of a file, of how many exchanges they are, and the place behind them."""
    rows, behind = database.query(_rows, wanted, after, min(left, _PAGE_OF_FILE))
    return _ENCODERS[kind](rows, first), len(rows), behind


def _rows(
    connection: Connection, wanted: ExchangeSearch, after: ExchangePlace | None, most: int
) -> tuple[Rows, ExchangePlace | None]:
    found = exchange_search.search(connection, wanted, after, most, _BYTES_OF_FILE)
    known = {name: routes.identities(connection, name) for name in sorted({one.route for one in found.exchanges})}
    rows = []
    for one in found.exchanges:
        row = scored_exchange(one).model_dump(mode="json")
        row |= {"model": nouns.model_name(known[one.route].get(one.identity)), "found": _true(one)}
        row |= {"conversation": one.conversation, "user": one.user}
        rows.append(row)
    return rows, found.next


def _jsonl(rows: Rows, _first: bool) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _csv(rows: Rows, first: bool) -> bytes:
    written = io.StringIO()
    table = csv.writer(written)
    if first:
        table.writerow(_COLUMNS)
    table.writerows([cell(row.get(name)) for name in _COLUMNS] for row in rows)
    return written.getvalue().encode()


_ENCODERS: Final[dict[str, Callable[[Rows, bool], bytes]]] = {"csv": _csv, "jsonl": _jsonl}
"""Kind of a file -> what makes bytes of rows, the first ones or later ones."""


def cell(value: Any) -> str:
    """A value as a cell of a table; what a spreadsheet would take for a formula begins with an apostrophe.

    >>> cell("=1+1"), cell(["truncated"]), cell(None), cell({"refusal": 1}), cell(-5)
    ("'=1+1", 'truncated', '', '{"refusal":1}', '-5')
    """
    if isinstance(value, Mapping):
        said = msgspec.json.encode(value).decode()
    elif isinstance(value, list):
        said = " ".join(map(str, value))
    else:
        said = "" if value is None else str(value)
    formula = said.startswith(_FORMULA) and not isinstance(value, int | float)
    return f"'{said}" if formula else said
