"""One or more examples of every path that is read: `{route}` and the like are filled in from the data.

A path without an example fails the benchmark. `LEFT_OUT` are what never ends, is a whole file, or is
not there unless somebody asked for it before.
"""

from __future__ import annotations

from collections.abc import Mapping

ASKED: Mapping[str, tuple[str, ...]] = {
    "/": ("/",),
    "/incidents": ("/incidents",),
    "/incidents/{id}": ("/incidents/{incident}",),
    "/baselines": ("/baselines",),
    "/baselines/{route:path}": ("/baselines/{route}",),
    "/login": ("/login",),
    "/openapi.json": ("/openapi.json",),
    "/v1/incidents": ("/v1/incidents", "/v1/incidents?route={route}&limit=200", "/v1/incidents?state=open&limit=200"),
    "/v1/incidents/{id}": ("/v1/incidents/{incident}",),
    "/routes/{route:path}": (
        "/routes/{route}",
        "/routes/{route}?hours=1",
        "/routes/{route}?hours=168&slice=tags.locale%3Den",
        "/routes/{route}?hours=720",
    ),
    "/routes/{route:path}/profile": ("/routes/{route}/profile",),
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
    "/compare": ("/compare",),
    "/evaluations": ("/evaluations",),
    "/evaluations/{id}": ("/evaluations/{evaluation}",),
    "/exchanges": (
        "/exchanges",
        "/exchanges?route={route}",
        "/exchanges?route={route}&signal=secret_leak",
        "/exchanges?signal=secret_leak",
        "/exchanges?text=parcel",
        "/exchanges?kept=1&route={route}",
    ),
    "/exchanges/{id:path}": ("/exchanges/{exchange}?route={route}",),
    "/health": ("/health",),
    "/incidents/{id}/chart.png": ("/incidents/{incident}/chart.png",),
    "/incidents/{id}/chart.svg": ("/incidents/{incident}/chart.svg",),
    "/v1/baselines": ("/v1/baselines?limit=200",),
    "/v1/baselines/{id}": ("/v1/baselines/{baseline}",),
    "/v1/changes": ("/v1/changes?limit=200", "/v1/changes?route={route}"),
    "/v1/comparisons": ("/v1/comparisons?limit=200", "/v1/comparisons?route={route}"),
    "/v1/comparisons/{id}": ("/v1/comparisons/{comparison}",),
    "/v1/dead-letters": ("/v1/dead-letters",),
    "/v1/decisions": ("/v1/decisions?limit=200", "/v1/decisions?route={route}"),
    "/v1/decisions/{id}": ("/v1/decisions/{decision}",),
    "/v1/evaluations": ("/v1/evaluations?limit=200",),
    "/v1/evaluations/{id}": ("/v1/evaluations/{evaluation}",),
    "/v1/evaluations/{id}/comparison": ("/v1/evaluations/{evaluation}/comparison?before={evaluation}",),
    "/v1/evaluations/{id}/items": ("/v1/evaluations/{evaluation}/items",),
    "/v1/health": ("/v1/health",),
    "/v1/metrics": ("/v1/metrics", "/v1/metrics?route={route}"),
    "/v1/incidents/{id}/timeline": ("/v1/incidents/{incident}/timeline",),
    "/v1/routes": ("/v1/routes?limit=200",),
    "/v1/routes/{route:path}": ("/v1/routes/{route}",),
    "/v1/routes/{route:path}/profile": ("/v1/routes/{route}/profile",),
    "/v1/schemas/profile.json": ("/v1/schemas/profile.json",),
    "/v1/schedules": ("/v1/schedules",),
    "/v1/silences": ("/v1/silences",),
    "/v1/suites": ("/v1/suites",),
    "/v1/suites/{name}": ("/v1/suites/core",),
}
LEFT_OUT: frozenset[str] = frozenset({"/live", "/v1/dead-letters/replay", "/exchanges.csv", "/exchanges.jsonl"})
