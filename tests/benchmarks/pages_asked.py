"""One or more examples of every path that is read: `{route}` and the like are filled in from the data.

A path without an example fails the benchmark. `STREAMS` never end, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

ASKED: Mapping[str, tuple[str, ...]] = {
    "/": ("/",),
    "/incidents": ("/incidents",),
    "/incidents/{id}": ("/incidents/{incident}",),
    "/openapi.json": ("/openapi.json",),
    "/v1/incidents": ("/v1/incidents", "/v1/incidents?route={route}&limit=200", "/v1/incidents?state=open&limit=200"),
    "/v1/incidents/{id}": ("/v1/incidents/{incident}",),
    "/routes/{route:path}": (
        "/routes/{route}",
        "/routes/{route}?hours=1",
        "/routes/{route}?hours=168&slice=tags.locale%3Den",
        "/routes/{route}?hours=720",
    ),
    "/v1/exchanges": (
        "/v1/exchanges?route={route}&limit=200",
        "/v1/exchanges?route={route}&kept=true&limit=200",
        "/v1/exchanges?route={route}&signal=refusal&limit=200",
    ),
    "/v1/exchanges/{id:path}": ("/v1/exchanges/{exchange}?route={route}",),
    "/v1/readings": (
        "/v1/readings?route={route}&limit=200",
        "/v1/readings?route={route}&stream={stream}&limit=200",
    ),
    "/v1/routes/{route:path}/safety": (
        "/v1/routes/{route}/safety",
        "/v1/routes/{route}/safety?hours=1",
        "/v1/routes/{route}/safety?hours=168",
        "/v1/routes/{route}/safety?hours=720",
    ),
    "/v1/routes/{route:path}/metrics": (
        "/v1/routes/{route}/metrics",
        "/v1/routes/{route}/metrics?hours=1",
        "/v1/routes/{route}/metrics?hours=33",
        "/v1/routes/{route}/metrics?hours=168&slice=tags.locale%3Den",
        "/v1/routes/{route}/metrics?hours=720",
        "/v1/routes/{route}/metrics?hours=720&signal=refusal&identity={identity}",
    ),
}
STREAMS: frozenset[str] = frozenset()
