"""The tools of `keelwatch mcp`: what an agent on call may read and decide, each one or a few requests to the API.

Over stdio the key of the environment is shown to the API; over HTTP only what the caller's own request shows, so that
nobody gets through this process what their key does not give them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from services.mcp.api import ApiClient, Refused
from services.mcp.untrusted import untrusted
from services.wording.agents import INSTRUCTIONS, NO_KEYS, SHOW_A_KEY

ACTOR: Final = "agent"
"""Who decides; the API adds the name of the key."""
_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_DECIDES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
_TIMELINE: Final = 50

Route = Annotated[str | None, Field(description="Only of this route, such as support-bot/prod.")]
OneRoute = Annotated[str, Field(description="Such as support-bot/prod.", min_length=1, max_length=200)]
Cursor = Annotated[str | None, Field(description="`next` of the page before.")]
Limit = Annotated[int, Field(description="How many at most.", ge=1, le=100)]
Since = Annotated[str | None, Field(description="Not before this moment, such as 2026-11-24T18:00:00Z.")]
Until = Annotated[str | None, Field(description="Before this moment.")]
Id = Annotated[str, Field(description="As the lists show it.", pattern="^[0-9a-f]{16}$")]
Reason = Annotated[str, Field(description="Why; it stays in the timeline.", min_length=1, max_length=1000)]
Hours = Annotated[float, Field(description="How long it holds.", gt=0, le=24 * 30)]
Kind = Literal["acknowledge", "snooze", "resolve", "false_alarm", "accept_baseline", "roll_back"]


def make_server(api: ApiClient, version: str, authorization: str | None = None, *, decides: bool = True) -> MCPServer:
    """The server, not yet listening.

    Args:
        api: is asked.
        version: of Keelwatch.
        authorization: header that is shown to the API for callers over stdio; over HTTP it is never used.
        decides: False leaves out the tools that decide something, whatever the key's role.
    """
    made = MCPServer("keelwatch", title="Keelwatch", version=version, instructions=INSTRUCTIONS, log_level="WARNING")
    tools = AgentTools(api, authorization)
    for read in (
        tools.list_routes,
        tools.get_route,
        tools.list_incidents,
        tools.get_incident,
        tools.list_exchanges,
        tools.get_exchange,
        tools.list_comparisons,
        tools.get_comparison,
        tools.list_changes,
        tools.get_health,
    ):
        made.tool(annotations=_READS, structured_output=False)(read)
    for decide in (tools.decide, tools.silence_route) if decides else ():
        made.tool(annotations=_DECIDES, structured_output=False)(decide)
    return made


class AgentTools:
    """The tools; their first lines are what agents read of them."""

    def __init__(self, api: ApiClient, authorization: str | None) -> None:
        self._api = api
        self._authorization = authorization

    async def list_routes(
        self,
        context: Context[Any, Any],
        text: Annotated[str | None, Field(description="Only routes whose name holds it.")] = None,
        state: Annotated[str | None, Field(description="Only routes in this state, such as alarm or blind.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> str:
        """List the routes that are watched, with their states and open incidents."""
        return await self._read(context, "/v1/routes", text=text, state=state, cursor=cursor, limit=limit)

    async def get_route(self, context: Context[Any, Any], route: OneRoute) -> str:
        """Read a route: its state, identity, baseline, and its rates of the last 24 hours beside the baseline's."""
        named = "/".join(map(_segment, route.split("/")))
        summary = await self._ask(context, "GET", f"/v1/routes/{named}")
        safety = await self._ask(context, "GET", f"/v1/routes/{named}/safety")
        return untrusted({"route": summary, "safety": safety})

    async def list_incidents(
        self,
        context: Context[Any, Any],
        route: Route = None,
        state: Annotated[Literal["open", "acknowledged", "resolved"] | None, Field(description="Only these.")] = None,
        since: Since = None,
        until: Until = None,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> str:
        """List incidents: what shifted on which route, how sure that is, and whether it was the model or the users."""
        asked = {"route": route, "state": state, "since": since, "until": until, "cursor": cursor, "limit": limit}
        return await self._read(context, "/v1/incidents", **asked)

    async def get_incident(self, context: Context[Any, Any], incident: Id) -> str:
        """Read an incident: evidence, verdict, the newest of its timeline, and answers before and after, redacted."""
        path = f"/v1/incidents/{incident}"
        found = await self._ask(context, "GET", path)
        timeline = await self._ask(context, "GET", f"{path}/timeline", limit=_TIMELINE)
        pairs = await self._ask(context, "GET", f"{path}/pairs")
        return untrusted({"incident": found, "timeline": timeline, "pairs": pairs})

    async def list_exchanges(
        self,
        context: Context[Any, Any],
        route: OneRoute,
        signal: Annotated[str | None, Field(description="Only where this signal is true, such as refusal.")] = None,
        identity: Annotated[str | None, Field(description="Only of the model with this identity.")] = None,
        conversation: Annotated[str | None, Field(description="Only of this conversation.")] = None,
        since: Since = None,
        until: Until = None,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> str:
        """List scored exchanges, newest first; redacted texts of those that were kept."""
        asked = {"route": route, "signal": signal, "identity": identity, "conversation": conversation}
        return await self._read(context, "/v1/exchanges", **asked, since=since, until=until, cursor=cursor, limit=limit)

    async def get_exchange(
        self,
        context: Context[Any, Any],
        exchange: Annotated[str, Field(description="Its id, as the lists show it.", max_length=200)],
        route: OneRoute,
    ) -> str:
        """Read one exchange: its scores with their versions, and its redacted text where it was kept."""
        return await self._read(context, f"/v1/exchanges/{_segment(exchange)}", route=route)

    async def list_comparisons(
        self, context: Context[Any, Any], route: Route = None, cursor: Cursor = None, limit: Limit = 20
    ) -> str:
        """List comparisons of suite runs: the model before a change held against the one after it, pairwise."""
        return await self._read(context, "/v1/comparisons", route=route, cursor=cursor, limit=limit)

    async def get_comparison(self, context: Context[Any, Any], comparison: Id) -> str:
        """Read a comparison: each measure and hazard before and after, with intervals, and the items that flipped."""
        return await self._read(context, f"/v1/comparisons/{comparison}")

    async def list_changes(
        self,
        context: Context[Any, Any],
        route: Route = None,
        since: Since = None,
        until: Until = None,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> str:
        """List changes of models: announced, deployed, or seen in the traffic."""
        asked = {"route": route, "since": since, "until": until, "cursor": cursor, "limit": limit}
        return await self._read(context, "/v1/changes", **asked)

    async def get_health(self, context: Context[Any, Any]) -> str:
        """Read how Keelwatch itself is: what it does not see, what waits, and what to do about it."""
        return await self._read(context, "/v1/health")

    async def decide(
        self,
        context: Context[Any, Any],
        incident: Id,
        kind: Annotated[Kind, Field(description="accept_baseline makes what is the new normal; roll_back the old.")],
        reason: Reason,
        hours: Annotated[Hours | None, Field(description="How long a snooze lasts; else 24 hours.")] = None,
    ) -> str:
        """Decide about an incident, for a person who asked for it. What it does shows in the incident's timeline."""
        found = await self._ask(context, "GET", f"/v1/incidents/{incident}")
        body: dict[str, Any] = {
            "kind": kind,
            "route": found["route"],
            "incident": found["id"],
            "reason": reason,
            "actor": ACTOR,
        }
        if hours is not None:
            if kind != "snooze":
                raise ToolError(f"{kind} does not end by itself: leave out hours")
            body["hours"] = hours
        return untrusted(await self._ask(context, "POST", "/v1/decisions", body=body))

    async def silence_route(
        self,
        context: Context[Any, Any],
        route: OneRoute,
        reason: Reason,
        hours: Hours = 24,
        fingerprint: Annotated[str | None, Field(description="Only this alert, not all of the route.")] = None,
    ) -> str:
        """Tell nobody of a route's alerts for some hours, for a person who asked for it; incidents stay open."""
        body = {"route": route, "hours": hours, "fingerprint": fingerprint, "reason": reason, "actor": ACTOR}
        return untrusted(await self._ask(context, "POST", "/v1/silences", body=body))

    async def _read(self, context: Context[Any, Any], path: str, **query: Any) -> str:
        return untrusted(await self._ask(context, "GET", path, **query))

    async def _ask(
        self,
        context: Context[Any, Any],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **query: Any,
    ) -> Any:
        try:
            shown = await self._shown(context)
            return await self._api.ask(method, path, shown, query, body)
        except Refused as refused:
            raise ToolError(untrusted({"error": str(refused)})) from None

    async def _shown(self, context: Context[Any, Any]) -> str | None:
        """What is shown to the API for a caller.

        Raises:
            Refused: if they come over HTTP and show no key, or the API asks for none: it would take them for admin.
        """
        if context.headers is None:
            return self._authorization
        shown = context.headers.get("authorization")
        if not shown:
            raise Refused(SHOW_A_KEY)
        if not await self._api.wants_keys():
            raise Refused(NO_KEYS)
        return shown


def _segment(name: str) -> str:
    """A part of a path that leads nowhere else."""
    if name in ("", ".", ".."):
        raise ToolError(f"{name!r} is no part of a name here; the lists show the names")
    return quote(name, safe="")
