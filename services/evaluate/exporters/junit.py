"""JUnit XML, for what shows tests: a test case an item, or a comparison's hazards. Pure.

An event is a failure. An item that the endpoint did not answer is an error, one that nobody can score is skipped, both
with the reason: neither has passed. A run that is not complete has one more test case, which is an error, so that no
gate is green for what was not measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from schemas.base import iso
from schemas.evaluation import HazardComparison
from services.evaluate.comparison import compare, incomparable
from services.evaluate.exporters.protocol import ExportedItem, items_of_run
from services.evaluate.result import RunResult
from services.evaluate.suite import POOLED
from services.wording import exports as words

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not (section 2.2)."""
_LONGEST: Final = 4_000
_FIRST_LINE: Final = 300


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """One test case. `outcome` None has passed; `failure`, `error`, `skipped` have a message, and may have a text."""

    group: str
    name: str
    seconds: float = 0.0
    outcome: str | None = None
    kind: str = ""
    message: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class JUnitReport:
    """`--to junit`."""

    name: str = "junit"
    ending: str = ".xml"
    several: bool = True

    def export(self, found: Sequence[RunResult]) -> bytes:
        """One test suite for each run."""
        return _document([_of_run(run) for run in found])


def comparison_report(pairs: Sequence[tuple[RunResult | None, RunResult]], missing: Sequence[RunResult] = ()) -> bytes:
    """What each later run changed: a test case for each measure, over all hazards and of each.

    `missing` are the earlier runs of suites that were not run again: each is an error.
    """
    return _document([_of_comparison(before, after) for before, after in pairs] + [_not_again(one) for one in missing])


def _of_run(run: RunResult) -> ElementTree.Element:
    cases = [_of_item(found, run) for found in items_of_run(run)]
    if run.status != "complete":
        cases.append(_broken(run, words.WHOLE_RUN, f"{run.status}: {run.reason}"))
    about = {
        "route": run.route,
        "run": run.id,
        "status": run.status,
        "model": run.target.model,
        "url": run.target.url,
        "suite": run.suite.sha256,
        **{f"scorer {name}": version for name, version in sorted(run.scorers.items())},
    }
    return _suite(f"{run.suite.name} {run.suite.version}", cases, iso(run.started), about)


def _broken(run: RunResult, what: str, why: str) -> JUnitCase:
    return JUnitCase(f"{run.suite.name}.run", what, outcome="error", kind="incomplete", message=why)


def _of_item(found: ExportedItem, run: RunResult) -> JUnitCase:
    item = found.item
    group = f"{run.suite.name}.{item.measure}.{item.hazard}"
    seconds = sum(answer.latency_ms or 0.0 for answer in found.answers) / 1000
    if found.event is False:
        return JUnitCase(group, item.id, seconds)
    if found.event is True:
        return JUnitCase(group, item.id, seconds, "failure", item.measure, found.reason, _told(found))
    if not found.answers:
        stopped = run.stopped is not None
        why = words.NOT_ASKED_DECIDED if stopped else words.not_asked(run.reason)
        return JUnitCase(group, item.id, seconds, "skipped" if stopped else "error", "not_asked", why)
    outcome, kind = ("skipped", "unscored") if found.answered else ("error", "unanswered")
    return JUnitCase(group, item.id, seconds, outcome, kind, found.reason or words.NOT_SCORED)


def _told(found: ExportedItem) -> str:
    """The question, and an answer that is an event."""
    answers = [one for one in found.answers if one.scored is not None and one.scored.event] or list(found.answers)
    one = answers[0]
    asked = [f"{sent.role}: {_cut(sent.content)}" for sent in one.messages]
    calls = [f"{call.name}({_cut(call.arguments)})" for call in one.calls]
    said = [part for part in (one.text, one.refusal) if part]
    return "\n".join([*asked, *(f"answer: {_cut(part)}" for part in [*said, *calls])])


def _of_comparison(before: RunResult | None, run: RunResult) -> ElementTree.Element:
    compared, why = compare(before, run), incomparable(before, run)
    cases = [_of_hazard(run.suite.name, row, compared.reason) for row in compared.hazards]
    if why is not None or not cases:
        cases = [_broken(run, words.COMPARABLE, why or compared.reason)]
    about = {"route": run.route, "run": run.id, "overall": compared.overall, "reason": compared.reason}
    return _suite(f"{run.suite.name} {run.suite.version}", cases, iso(run.started), about)


def _not_again(before: RunResult) -> ElementTree.Element:
    cases = [_broken(before, words.COMPARABLE, words.NOT_AGAIN)]
    about = {"route": before.route, "earlier run": before.id}
    return _suite(f"{before.suite.name} {before.suite.version}", cases, iso(before.started), about)


def _of_hazard(suite: str, row: HazardComparison, why: str) -> JUnitCase:
    name = words.ALL_HAZARDS if row.hazard == POOLED else row.hazard
    group = f"{suite}.{row.measure}"
    if row.verdict == "regressed":
        message = words.moved(row)
        return JUnitCase(group, name, 0.0, "failure", "regressed", message, words.flipped(row.flipped))
    if row.verdict == "inconclusive":
        return JUnitCase(group, name, 0.0, "skipped", "inconclusive", words.open_still(row) or why)
    return JUnitCase(group, name)


def _document(suites: Sequence[ElementTree.Element]) -> bytes:
    root = ElementTree.Element("testsuites", {"name": "keelwatch"})
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.extend(suites)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(name: str, cases: Sequence[JUnitCase], at: str, about: dict[str, str]) -> ElementTree.Element:
    outcomes = Counter(case.outcome for case in cases)
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": _legal(name),
            "tests": str(len(cases)),
            "failures": str(outcomes["failure"]),
            "errors": str(outcomes["error"]),
            "skipped": str(outcomes["skipped"]),
            "time": f"{sum(case.seconds for case in cases):.3f}",
            "timestamp": at,
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in about.items():
        ElementTree.SubElement(properties, "property", {"name": _legal(key), "value": _legal(value)})
    suite.extend(_cases(cases))
    return suite


def _cases(cases: Iterable[JUnitCase]) -> Iterable[ElementTree.Element]:
    for case in cases:
        made = ElementTree.Element(
            "testcase", {"classname": _legal(case.group), "name": _legal(case.name), "time": f"{case.seconds:.3f}"}
        )
        if case.outcome is not None:
            about = {"message": _legal(case.message)[:_FIRST_LINE]}
            if case.outcome != "skipped":
                about["type"] = case.kind
            ElementTree.SubElement(made, case.outcome, about).text = _legal(case.text) or None
        yield made


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
