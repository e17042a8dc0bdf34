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
}
STREAMS: frozenset[str] = frozenset()
