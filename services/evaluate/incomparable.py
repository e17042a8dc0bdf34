"""Why two runs cannot be held against each other, in words."""

from __future__ import annotations

from services.evaluate.result import RunResult


def incomparable(before: RunResult | None, after: RunResult) -> str | None:
    """What stands in the way; None when the two can be compared."""
    if before is None:
        return "no run of the baseline to hold it against"
    for name, run in (("earlier", before), ("later", after)):
        if run.status != "complete":
            return f"the {name} run is {run.status}: {run.reason}"
    if before.suite.sha256 != after.suite.sha256:
        return f"the runs asked different suites: {_suite(before)} and {_suite(after)}"
    for what, old, new in (
        ("scorers", before.scorers, after.scorers),
        ("generation settings", before.settings, after.settings),
    ):
        if old != new:
            differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
            return f"the runs differ in {what}: {', '.join(differing)}; run the suite again under the same ones"
    return None


def _suite(run: RunResult) -> str:
    return f"{run.suite.name} {run.suite.version} ({run.suite.sha256[:8]})"
